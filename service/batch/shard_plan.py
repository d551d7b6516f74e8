"""Which photo belongs to which output shard: by its name alone, once and for all.

Shards are stretches of the photos in their order. Their beginnings are written down at the first run and never move:
a photo that appears later goes to the shard in whose stretch its name sorts; those that sort behind all that were
there fill up the last shard, and then begin new ones.
"""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ...models.errors import OutputError, SettingsError
from ..files import write_atomic
from .inputs.found import key_of

FILE = "shard-plan.json"
_MOST = 100_000  # five digits


@dataclass(frozen=True)
class ShardPlan:
    """size: photos a shard. firsts: the name that each shard begins with. last: the last name that there was."""

    size: int
    firsts: tuple[str, ...] = ()
    last: str = ""

    def shard_of(self, name: str) -> int:
        """The number of a photo's shard, from 0 up."""
        return max(bisect_right(self._keys, key_of(name)) - 1, 0)

    def grown(self, names: Sequence[str]) -> ShardPlan:
        """With room for these names, which are in their order; what belonged somewhere stays there."""
        known, held = 0, self.size
        if self.firsts:
            known = bisect_right(names, key_of(self.last), key=key_of)
            held = known - bisect_left(names, self._keys[-1], hi=known, key=key_of)
        new = names[known:]
        firsts = new[max(self.size - held, 0) :: self.size]
        return ShardPlan(self.size, (*self.firsts, *firsts), new[-1]) if new else self

    @cached_property
    def _keys(self) -> list[bytes]:
        return [key_of(name) for name in self.firsts]


def agree_on_plan(state: Path, names: Sequence[str], size: int) -> ShardPlan:
    """The plan in the state folder, grown by these names where needed, and written down.

    Raises OutputError, and SettingsError when there would be more shards than their files' names have room for.
    """
    path = state / FILE
    before = _read(path, size)
    plan = before.grown(names)
    if len(plan.firsts) > _MOST:
        raise SettingsError(
            f"{len(plan.firsts):,} shards of {size} photos, of at most {_MOST:,}: give a larger --shard-size"
        )
    if plan != before or not path.exists():
        values = {"size": plan.size, "firsts": plan.firsts, "last": plan.last}
        write_atomic(path, json.dumps(values).encode() + b"\n")
    return plan


def _read(path: Path, size: int) -> ShardPlan:
    if not path.exists():
        return ShardPlan(size)
    try:
        values = json.loads(path.read_bytes())
        return ShardPlan(values["size"], tuple(values["firsts"]), values["last"])
    except (OSError, ValueError, KeyError, TypeError):
        raise OutputError(
            f"{path} is spoilt, and it says which photo is in which shard: begin anew with --restart"
        ) from None
