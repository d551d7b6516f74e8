"""Hovers: of each page the latest counts; an older one is dropped, unless it is being decoded already."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from .errors import ApiError

RECENT = 2.0  # seconds for which a page counts as hovering
MOST_STREAMS = 10_000
MOST_PAGES = 8  # of one caller


class Turn:
    """One hover, from its arrival to its answer."""

    def __init__(self, seq: int) -> None:
        self.seq, self.at, self.superseded = seq, time.monotonic(), False
        self._work: Sequence[asyncio.Future[Any]] = ()
        self._drop: Callable[[asyncio.Future[Any]], object] = lambda future: None

    def hold(self, work: Sequence[asyncio.Future[Any]], drop: Callable[[asyncio.Future[Any]], object]) -> None:
        """What is to be dropped, and by what, when a newer hover comes."""
        self._work, self._drop = work, drop
        if self.superseded:
            self.give_way()

    def give_way(self) -> None:
        """A newer one came."""
        self.superseded = True
        for future in self._work:
            self._drop(future)

    def done(self) -> None:
        """It was answered."""
        self._work = ()


class Streams:
    """The latest hover of each page; used from the event loop only."""

    def __init__(self) -> None:
        self._latest: OrderedDict[tuple[str, str], Turn] = OrderedDict()
        self.dropped = 0

    def turn(self, caller: str, stream: str, seq: int) -> Turn:
        """A page's hover begins, and the one before it, if it still waits, is dropped.

        Raises:
            ApiError: 409 when a newer one came already.
        """
        before = self._latest.get((caller, stream))
        if before is not None and before.seq >= seq:
            raise self.late()
        if before is not None:
            before.give_way()
        turn = self._latest[caller, stream] = Turn(seq)
        self._latest.move_to_end((caller, stream))
        while len(self._latest) > MOST_STREAMS:
            self._latest.popitem(last=False)
        return turn

    def late(self) -> ApiError:
        """The answer to a hover whose place a newer one took."""
        self.dropped += 1
        return ApiError(409, "superseded", "a newer hover of this stream took its place")

    def pages(self) -> int:
        """How many pages hover, lately; of one caller a few count, so that making up more stops nobody else."""
        now, counts = time.monotonic(), Counter[str]()
        for (caller, _), turn in reversed(self._latest.items()):
            if now - turn.at > RECENT:
                break
            counts[caller] += 1
        return sum(min(count, MOST_PAGES) for count in counts.values())
