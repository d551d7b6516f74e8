"""Parts of a run that share nothing: each photo belongs to one, by its name alone, whatever else there is."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass

from ...models.errors import SettingsError


@dataclass(frozen=True)
class Shard:
    """Part `number` of `count`, from 1 up; 1 of 1 is everything."""

    number: int = 1
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> Shard:
        """From "2/3". Raises SettingsError."""
        found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
        if not found or not 1 <= int(found[1]) <= int(found[2]):
            raise SettingsError(f"--shard {text!r}: expected NUMBER/COUNT, from 1/3 to 3/3 for three shards")
        return cls(int(found[1]), int(found[2]))

    @property
    def is_whole(self) -> bool:
        """Whether there is no other."""
        return self.count == 1

    @property
    def suffix(self) -> str:
        """What its files in the state folder are told apart by."""
        return "" if self.is_whole else f"-{self.number}of{self.count}"

    def holds(self, name: str) -> bool:
        """Whether a photo belongs to it."""
        if self.is_whole:
            return True
        digest = hashlib.blake2b(os.fsencode(name), digest_size=8).digest()
        return int.from_bytes(digest) % self.count == self.number - 1
