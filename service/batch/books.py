"""What a process writes down of each photo that is done: what goes to its shard, its record, its part in the report."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from .journal import History, Journal, Record
from .outlet import stopped
from .plan import Plan
from .report import Report
from .shard_joining import EarlyShards, Shards
from .spool import Spool


@contextmanager
def books(
    path: Path, report: Report, shards: Shards | None, history: History, plan: Plan
) -> Generator[Callable[[Record], None]]:
    """Something that takes records, in one thread. path: of the journal. shards: where photos go to shards.

    Raises StoppedError when the disk takes no more.
    """
    with ExitStack() as stack:
        spool = early = None
        if shards is not None:
            spool = Spool(shards.out, shards.run.suffix, shards.plan.shard_of)
            stack.callback(spool.close)
            if shards.run.is_whole:
                early = stack.enter_context(EarlyShards(shards, spool, history, plan.jobs))
        journal = Journal(path, spool.sync if spool else lambda: None)
        stack.callback(journal.close)

        def note(record: Record) -> None:
            try:
                if spool is not None and record.payload:
                    place = spool.append(record.name, record.payload)
                    record = replace(record, outputs=(*record.outputs, place), payload=b"")
                journal.add(record)
            except OSError as error:
                raise stopped(f"{path.parent} cannot be written", error) from error
            report.note(record)
            if early is not None:
                early.note(record)

        yield note
