"""The work itself, in three stages that overlap: threads decode ahead, the model answers, a thread writes.

Between the stages wait at most a few photos, however many there are.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path

from ...models.device_errors import is_device_error
from ..segmenter import READ_AHEAD, Segmenter
from .journal import Record
from .plan import Job
from .questions import Question
from .reading import Opened, Read, failed, read
from .writing import Answered

_WRITE_BEHIND = 2  # photos whose files wait to be written
_DECODERS = 2
_PATIENCE = 0.2  # seconds after which a waiting stage looks whether the other is still there

Item = tuple[Job, Answered | Record]


def work(
    jobs: Iterable[Job], segmenter: Segmenter, question: Question, out: Path, write: Callable[[Item], None]
) -> None:
    """Do all jobs. `write` gets them in their order, in a thread of its own.

    What `write` raises ends the work and is raised here; an interrupt lets it finish the photo it is at.
    """
    writer = _Writer(write)
    try:
        for job, found in _read_ahead(jobs, out):
            writer.put((job, answer(found, segmenter, question) if isinstance(found, Opened) else found))
        writer.finish()
    except BaseException:
        writer.abandon()
        raise


def answer(opened: Opened, segmenter: Segmenter, question: Question) -> Answered | Record:
    """Encode a photo and ask it. What goes wrong is told in a record, unless the device broke."""
    try:
        answers = question.ask(opened.job.source.name, segmenter.open(opened.picture))
    except Exception as error:  # of one photo; the others are none the worse for it
        if is_device_error(error):  # ... but no other would come through
            raise
        return failed(opened.stamp, error)
    return Answered(opened.job, opened.stamp, opened.picture, answers)


def _read_ahead(jobs: Iterable[Job], out: Path) -> Iterator[tuple[Job, Read]]:
    rest = iter(jobs)
    pool = ThreadPoolExecutor(_DECODERS, thread_name_prefix="clickmask-read")
    try:
        waiting: deque[tuple[Job, Future[Read]]] = deque()

        def submit(count: int) -> None:
            waiting.extend((job, pool.submit(read, job, out)) for job in islice(rest, count))

        submit(READ_AHEAD)
        while waiting:
            job, found = waiting.popleft()
            submit(1)
            result = found.result()
            del found  # the pixels are the caller's to hold, no longer ours
            yield job, result
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


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
        except Exception as error:
            self._error = error
