"""A shelf: things kept while they fit into a budget of bytes, each belonging to a caller.

When there is no room, the caller who holds most gives up what it has not used for longest. So of n callers each is sure
of an n-th of the shelf, and whoever is alone may have all of it. Things in use (pinned) stay.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

V = TypeVar("V")

ACTIVE = 120.0  # seconds after its last use during which what was merely fetched ahead may not push a thing out


@dataclass(eq=False)
class _Thing(Generic[V]):
    value: V
    size: int
    caller: str
    used: float


@dataclass(frozen=True)
class Counts:
    """What a shelf holds and has seen: bytes, things, lookups that found something or nothing, things pushed out."""

    size: int
    things: int
    hits: int
    misses: int
    evictions: int


class Shelf(Generic[V]):
    """A budget of bytes, least recently used first. Any thread may use it.

    Args:
        budget: bytes that all things together never exceed.
        on_gone: called with key and value of each thing that was pushed out or has expired (not of those taken off).
    """

    def __init__(self, budget: int, on_gone: Callable[[Hashable, V], None] = lambda key, value: None) -> None:
        self.budget = budget
        self._on_gone = on_gone
        self._things: OrderedDict[Hashable, _Thing[V]] = OrderedDict()
        self._size: dict[str, int] = {}  # bytes by caller
        self._pins: dict[Hashable, int] = {}  # by key: a thing may be replaced while it is in use
        self._hits = self._misses = self._evictions = 0
        self._lock = threading.RLock()

    def put(self, key: Hashable, value: V, size: int, caller: str, *, ahead: bool = False) -> bool:
        """Keep a thing, in the place of one with that key; False, with nothing changed, when there is no room.

        size: bytes, at least 1.
        ahead: it is fetched ahead of use, so others' things in active use are not pushed out for it.
        """
        assert size > 0, "a thing without a size would never be counted"
        with self._lock:
            victims = self._victims(key, size, caller, ahead)
            if victims is None:
                return False
            self._remove(key)
            for victim in victims:
                gone = self._remove(victim)
                self._evictions += 1
                if gone is not None:  # the one before may have taken this one with it
                    self._on_gone(victim, gone.value)
            self._things[key] = _Thing(value, size, caller, time.monotonic())
            self._size[caller] = self._size.get(caller, 0) + size
            return True

    def get(self, key: Hashable, caller: str) -> V | None:
        """A caller's thing, which is thereby used; None when there is none of this caller's."""
        with self._lock:
            thing = self._things.get(key)
            if thing is None or thing.caller != caller:
                self._misses += 1
                return None
            self._hits += 1
            thing.used = time.monotonic()
            self._things.move_to_end(key)
            return thing.value

    def look(self, key: Hashable) -> V | None:
        """What is under a key, whoever's it is; looking is not using."""
        with self._lock:
            thing = self._things.get(key)
            return None if thing is None else thing.value

    def pin(self, key: Hashable) -> None:
        """Keep a thing from being pushed out until `unpin`; also one that takes its key's place meanwhile."""
        with self._lock:
            self._pins[key] = self._pins.get(key, 0) + 1

    def unpin(self, key: Hashable) -> None:
        """Undo one `pin`."""
        with self._lock:
            self._pins[key] -= 1
            if not self._pins[key]:
                del self._pins[key]

    def take(self, key: Hashable) -> V | None:
        """Take a thing off the shelf, whoever's it is."""
        with self._lock:
            thing = self._remove(key)
            return None if thing is None else thing.value

    def things_of(self, caller: str) -> list[tuple[Hashable, V]]:
        """A caller's things with their keys."""
        with self._lock:
            return [(key, thing.value) for key, thing in self._things.items() if thing.caller == caller]

    def expire(self, idle: float) -> None:
        """Drop what nobody used for so many seconds."""
        with self._lock:
            limit = time.monotonic() - idle
            for key in [key for key, thing in self._things.items() if thing.used < limit and key not in self._pins]:
                thing = self._remove(key)
                if thing is not None:  # the one before may have taken this one with it
                    self._on_gone(key, thing.value)

    def clear(self) -> None:
        """Drop everything that is not pinned."""
        self.expire(-1.0)

    def counts(self) -> Counts:
        """What it holds and has seen, now."""
        with self._lock:
            size = sum(self._size.values())
            return Counts(size, len(self._things), self._hits, self._misses, self._evictions)

    def _remove(self, key: Hashable) -> _Thing[V] | None:
        thing = self._things.pop(key, None)
        if thing is not None:
            self._size[thing.caller] -= thing.size
            if not self._size[thing.caller]:
                del self._size[thing.caller]
        return thing

    def _victims(self, key: Hashable, size: int, caller: str, ahead: bool) -> list[Hashable] | None:
        """What must go so that a thing of this size fits; None when that cannot be."""
        sizes = dict(self._size)
        sizes[caller] = sizes.get(caller, 0) + size
        if key in self._things:
            sizes[self._things[key].caller] -= self._things[key].size
        over = sum(sizes.values()) - self.budget
        if over <= 0:
            return []
        victims: list[Hashable] = []
        mine_only_or_idle = time.monotonic() - ACTIVE if ahead else float("inf")
        candidates: dict[str, list[Hashable]] = {}
        for other, thing in self._things.items():  # least recently used first
            free = thing.caller == caller or thing.used < mine_only_or_idle
            if other != key and other not in self._pins and free:
                candidates.setdefault(thing.caller, []).append(other)
        for line in candidates.values():
            line.reverse()  # so that the oldest is popped first
        while over > 0:
            holders = [holder for holder, line in candidates.items() if line]
            if not holders:
                return None
            victim = candidates[max(holders, key=lambda holder: sizes[holder])].pop()
            victims.append(victim)
            thing = self._things[victim]
            sizes[thing.caller] -= thing.size
            over -= thing.size
        return victims
