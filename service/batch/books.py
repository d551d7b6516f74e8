"""What a process writes down of each photo that is done: what goes to its shard, its record, its part in the report."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from .begun import Begun, leftovers
from .history import History
from .journal import Journal, Record
from .outlet import Outlet, stopped
from .plan import Job
from .report import Report
from .shard_joining import EarlyShards, Shards
from .spool import Spool
from .writing import part_of


class Books:
    """A run's journal, and what goes with it. A context manager. Records are for one thread, beginnings for any.

    path: of the journal. Everything raises StoppedError when the disk takes no more.
    """

    def __init__(self, path: Path, out: Outlet, report: Report) -> None:
        self._path, self._out, self._report = path, out, report
        self._lock, self._stack = threading.Lock(), ExitStack()
        self._spool: Spool | None = None
        self._early: EarlyShards | None = None
        with self._written():
            self._journal = Journal(path, out.disk, self._sync_spool)
        self._stack.callback(self._journal.close)

    def __enter__(self) -> Books:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def clear(self, begun: Iterable[Begun], history: History) -> None:
        """Delete what a killed run left of the photos whose files it was writing; they are done again."""
        for item in begun:
            self._out.remove({*leftovers(self._out, item.base), part_of(item.base), *item.outputs})
            history.forget(item.name)
            with self._written():
                self._journal.clear(item)

    def open_shards(self, shards: Shards, history: History, jobs: Sequence[Job]) -> None:
        """Photos go to shards too, which are written meanwhile where the run has all the work."""
        self._spool = Spool(shards.out, shards.run.suffix, shards.plan.shard_of)
        self._stack.callback(self._spool.close)
        self._stack.callback(self._sync)
        if shards.run.is_whole:
            self._early = self._stack.enter_context(EarlyShards(shards, self._spool, history, jobs))

    def begin(self, job: Job) -> None:
        """A photo's files may be written from now on."""
        outputs = tuple(path for path, _, _ in job.previous.outputs) if job.previous else ()
        with self._written():
            self._journal.begin(Begun(job.source.name, job.base, outputs))

    def note(self, record: Record) -> None:
        """A photo is done with: its files are there."""
        with self._written():
            if self._spool is not None and record.payload:
                place = self._spool.append(record.name, record.payload)
                record = record._replace(outputs=(*record.outputs, place), payload=b"")
            self._journal.add(record)
        self._report.note(record)
        if self._early is not None:
            self._early.note(record)

    def _sync(self) -> None:
        with self._written():
            self._journal.sync()

    def _sync_spool(self) -> None:
        if self._spool is not None:
            self._spool.sync()

    @contextmanager
    def _written(self) -> Generator[None]:
        try:
            with self._lock:
                yield
        except OSError as error:
            raise stopped(f"{self._path.parent} cannot be written", error) from error
