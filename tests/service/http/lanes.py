"""A worker for lanes that remembers what it did, and that a test can stop."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from clickmask.service.http.lane import Done, Lane, Rank

PATIENCE = 10.0  # seconds until a test gives up on what should take a moment


class Worker:
    """Does pieces of work: remembers them in their order, and waits while `gate` is closed."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.done: list[Any] = []
        self.batches: list[tuple[Hashable, list[Any]]] = []
        self.gate, self.begun = threading.Event(), threading.Event()
        self.gate.set()
        self._seconds = seconds

    def run(self, kind: Hashable, works: Sequence[Any]) -> list[Any]:
        self.begun.set()
        assert self.gate.wait(PATIENCE)
        time.sleep(self._seconds)
        self.batches.append((kind, list(works)))
        self.done += works
        return [work() if callable(work) else work for work in works]

    async def hold(self, lane: Lane) -> asyncio.Future[Done]:
        """Keep the lane busy with a first piece until `gate.set()`; what is handed in meanwhile waits."""
        self.gate.clear()
        self.begun.clear()
        first = lane.submit(Rank.CLICK, "holder", "hold", "first")
        await asyncio.to_thread(self.begun.wait, PATIENCE)
        return first


@contextmanager
def running(worker: Worker, together: Callable[[Hashable], int] = lambda kind: 1) -> Iterator[Lane]:
    lane = Lane(worker.run, together)
    try:
        yield lane
    finally:
        worker.gate.set()
        lane.close()
