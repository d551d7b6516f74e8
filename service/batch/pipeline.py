"""The work itself, in three stages that overlap: threads decode ahead, the model answers, a thread writes.

Between the stages wait at most a few photos, however many there are.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Protocol

from .journal import Record
from .plan import Job
from .reading import Opened, Read, read
from .task import Errand, Task
from .writing import Answered

_WRITE_BEHIND = 2  # photos whose files wait to be written
_PATIENCE = 0.2  # seconds after which a waiting stage looks whether the other is still there

Item = tuple[Job, Answered | Record]


class Reads(Protocol):
    """Photos that are being decoded, in their order."""

    def take(self, most: int) -> list[tuple[Job, Read]]:
        """The next ones, at least one; none at the end."""
        ...

    def close(self) -> None:
        """Begin no more."""
        ...


def work(
    reads: Reads,
    answer: Callable[[Sequence[Opened]], Sequence[Answered | Record]],
    write: Callable[[Item], None],
    *,
    together: int = 1,
) -> None:
    """Do all there is. `answer` gets up to `together` photos, `write` their answers in order, in a thread of its own.

    What `write` raises ends the work and is raised here; an interrupt lets it finish the photo it is at.
    """
    writer = _Writer(write)
    try:
        while taken := reads.take(together):
            opened = [found for _, found in taken if isinstance(found, Opened)]
            answers = iter(answer(opened) if opened else ())
            items = [(job, next(answers) if isinstance(found, Opened) else found) for job, found in taken]
            del taken, opened  # the pixels are the writer's to hold now
            for item in items:
                writer.put(item)
            del items, answers
        writer.finish()
    except BaseException:
        writer.abandon()
        raise
    finally:
        reads.close()


class ReadAhead:
    """Errands, a few of which are decoded ahead by threads."""

    def __init__(self, errands: Iterable[Errand], task: Task, *, ahead: int, threads: int) -> None:
        self._rest, self._task, self._ahead = iter(errands), task, ahead
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="clickmask-read")
        self._waiting: deque[tuple[Job, Future[Read]]] = deque()

    def take(self, most: int) -> list[tuple[Job, Read]]:
        """Waits for as many as there are, up to `most`."""
        self._submit(self._ahead + most - len(self._waiting))
        taken = [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]
        self._submit(self._ahead - len(self._waiting))
        return [(job, future.result()) for job, future in taken]

    def close(self) -> None:
        """Those that wait are let go."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _submit(self, count: int) -> None:
        for job, asks in islice(self._rest, max(count, 0)):
            future = self._pool.submit(read, job, asks, self._task.out, is_fast=self._task.is_fast)
            self._waiting.append((job, future))


class _Writer:
    """A thread that takes items one by one, a few behind."""

    def __init__(self, write: Callable[[Item], None]) -> None:
        self._write, self._error = write, None
        self._queue: queue.Queue[Item | None] = queue.Queue(_WRITE_BEHIND)
        self._is_abandoned = False
        self._thread = threading.Thread(target=self._run, name="clickmask-write", daemon=True)
        self._thread.start()

    def put(self, item: Item | None) -> None:
        """Hand over an item. Raises what writing an earlier one raised."""
        while True:
            if self._error is not None:
                raise self._error
            try:
                return self._queue.put(item, timeout=_PATIENCE)
            except queue.Full:
                continue

    def finish(self) -> None:
        """Wait until all is written. Raises what writing raised."""
        self.put(None)
        self._thread.join()
        if self._error is not None:
            raise self._error

    def abandon(self) -> None:
        """Wait until the item it is at is written, and leave the others."""
        self._is_abandoned = True
        self._thread.join()

    _error: Exception | None

    def _run(self) -> None:
        try:
            while not self._is_abandoned:
                try:
                    item = self._queue.get(timeout=_PATIENCE)
                except queue.Empty:
                    continue
                if item is None:
                    return
                self._write(item)
                del item
        except Exception as error:
            self._error = error
