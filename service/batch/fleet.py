"""Processes that do photos, one a device: what kills or hangs one of them costs at most the photo that did it.

The parent hands out jobs, a few at a time, and gets records back; it alone writes the journal. When a process dies, the
photos it had are suspects: they are tried again one at a time, and one that kills a process by itself is set aside as
failed. Such a photo is tried again by the next run, as all that failed are.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import wait
from typing import Any

from ...models.errors import StoppedError
from .journal import FAILED, Record
from .messages import Finish, Stop
from .plan import Job
from .task import Errand, Note, Task
from .worker_process import OpenSegmenter, WorkerProcess

PATIENCE = 900.0  # seconds without a sign of life from a process that has work
DEATHS = 10  # photos set aside one after another: it is not the photos
STILLBORN = 3  # processes that die one after another before their model is loaded
_LOOK = 1.0  # seconds between two looks at the clock
_GOODBYE = 4.0  # seconds to finish the photo that is being written


@contextmanager
def fleet(openers: Sequence[OpenSegmenter], *, patience: float = PATIENCE, deaths: int = DEATHS) -> Generator[Fleet]:
    """A process for each of `openers` (picklable), which are started at once and ended at the end."""
    found = Fleet(openers, patience=patience, deaths=deaths)
    try:
        yield found
    finally:
        found.close()


class Fleet:
    """Hands that are processes."""

    def __init__(self, openers: Sequence[OpenSegmenter], *, patience: float = PATIENCE, deaths: int = DEATHS) -> None:
        self._workers = [WorkerProcess(opener) for opener in openers]
        self._patience, self._deaths = patience, deaths
        self._suspects: deque[Errand] = deque()
        self._again: deque[Errand] = deque()
        self._in_a_row = self._stillborn = 0
        self._task: Task | None = None

    @property
    def provenance(self) -> Mapping[str, Any]:
        """Of the first segmenter, once it is there. Raises what kept it from being there."""
        return self._workers[0].ready().provenance

    @property
    def takes_all_at_once(self) -> bool:
        """No."""
        return False

    def work(self, task: Task, errands: Iterable[Errand], note: Note) -> None:
        """Do all. Raises StoppedError when the disk takes no more, or processes die whatever they are given.

        It may be called again, with more of the same task.
        """
        rest = iter(errands)
        for worker in self._workers if self._task is not task else ():
            worker.send(task)
        self._task = task
        try:
            while self._feed(rest):
                for worker in self._heard():
                    self._listen(worker, task, note)
        except BaseException:
            self._stop(note)
            raise

    def close(self) -> None:
        """End the processes."""
        for worker in self._workers:
            worker.send(Finish())
        end = time.monotonic() + _GOODBYE
        for worker in self._workers:
            worker.close(end - time.monotonic())

    def _feed(self, rest: Iterator[Errand]) -> bool:
        """Give out work; whether any is being done."""
        for worker in self._workers:
            if self._suspects and not worker.errands:
                worker.give(self._suspects.popleft(), alone=True)
            while not worker.alone and worker.has_room and (errand := self._next(rest)) is not None:
                worker.give(errand)
        return any(worker.errands for worker in self._workers)

    def _next(self, rest: Iterator[Errand]) -> Errand | None:
        return self._again.popleft() if self._again else next(rest, None)

    def _heard(self) -> list[WorkerProcess]:
        """Those of which there is news: a message, a death, or a silence that was too long."""
        ends = {end: worker for worker in self._workers for end in (worker.connection, worker.sentinel)}
        heard = dict.fromkeys(ends[end] for end in wait(list(ends), _LOOK))  # pyright: ignore[reportArgumentType]
        for worker in self._workers:
            if worker.errands and worker.is_ready and time.monotonic() - worker.heard_at > self._patience:
                worker.kill(f"gave no sign of life for {self._patience:.0f} s")
                heard[worker] = None
        return list(heard)

    def _listen(self, worker: WorkerProcess, task: Task, note: Note) -> None:
        for record in worker.records():
            note(record)
            self._in_a_row = 0
        if not worker.is_alive:
            self._bury(worker, task, note)

    def _bury(self, worker: WorkerProcess, task: Task, note: Note) -> None:
        self._in_a_row += worker.alone and worker.is_ready
        self._stillborn = 0 if worker.is_ready else self._stillborn + 1
        if self._in_a_row >= self._deaths or self._stillborn >= STILLBORN:
            raise StoppedError(
                f"a process that works on photos {worker.cause}, whatever it was given; what is done is kept: see "
                "whether the device works and memory suffices (--workers 1 takes least), then run it again"
            )
        errands = list(worker.errands.values())
        if not worker.is_ready:  # it never came to look at them: a suspect stays one
            (self._suspects if worker.alone else self._again).extend(errands)
        elif worker.alone:
            note(_set_aside(errands[0][0], worker.cause))
        else:
            self._suspects.extend(errands)
        worker.restart(task)

    def _stop(self, note: Note) -> None:
        for worker in self._workers:
            worker.send(Stop())
        end = time.monotonic() + _GOODBYE
        for worker in self._workers:
            worker.join(end - time.monotonic())
            with suppress(Exception):  # of two errors the first is told
                for record in worker.records():
                    note(record)


def _set_aside(job: Job, cause: str) -> Record:
    reason = f"the process that worked on it {cause}, twice: it is set aside"
    return Record(job.source.name, FAILED, base=job.base, kind="WorkerDied", reason=reason)
