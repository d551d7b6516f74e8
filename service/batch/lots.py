"""Which few of many photos are looked at more closely: the lowest by some key, and some drawn by lot.

The lot is a digest of a photo's name, so that it falls the same way however often a run is stopped, in whatever order
photos are done, and by whomever.
"""

from __future__ import annotations

import bisect
import hashlib
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")
SHOWN = 18  # photos in the report, of the lowest scores and by lot each
KEPT = 2 * SHOWN  # of which there are thumbnails: some of those shown may be gone, or fail, the next time
Key = tuple[float, str]  # what it goes by, and the photo's name, which tells equals apart


def lot(name: str) -> int:
    """A photo's lot, 0 to 2**64 - 1: it has nothing to do with the shard that the photo belongs to."""
    return int.from_bytes(
        hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=8, person=b"lot").digest()
    )


def drawn(names: Iterable[str], count: int) -> frozenset[str]:
    """`count` names by lot, or all where there are fewer: the same ones for the same names."""
    few: Lowest[None] = Lowest(count)
    for name in names:
        few.add((lot(name), name), None)
    return frozenset(key[1] for key, _ in few)


class Lowest(Generic[T]):
    """The `most` entries of the lowest keys, of any number that are added; those with a key once, please."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: list[tuple[Key, T]] = []

    def admits(self, key: Key) -> bool:
        """Whether an entry of this key would be among them now."""
        return len(self._kept) < self._most or (self._most > 0 and key < self._kept[-1][0])

    def add(self, key: Key, value: T) -> None:
        """Take an entry in, where it is among the lowest; the highest then has to go."""
        if self.admits(key):
            bisect.insort(self._kept, (key, value), key=lambda entry: entry[0])
            del self._kept[self._most :]

    def __iter__(self) -> Iterator[tuple[Key, T]]:
        """Keys and values, the lowest first."""
        return iter(self._kept)

    def __len__(self) -> int:
        return len(self._kept)
