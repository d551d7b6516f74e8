"""What is left to do: what the scan found, against what the journal says and what lies in the output folder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ...models.errors import ClickmaskError
from .history import History
from .journal import DONE, SKIPPED, Record
from .naming import Bases
from .outlet import Outlet
from .sources import Source
from .totals import Totals


@dataclass(frozen=True)
class Job:
    """A photo to be done.

    base: where its files go. previous: what an earlier run did with it. embedding: the file where what the encoder made
    of it may lie, or nothing.
    """

    source: Source
    base: str
    previous: Record | None = None
    embedding: str = ""


@dataclass
class Plan:
    """Jobs in their order; how many photos were done before, and how many files were passed over before.

    known: of how many there are records of earlier runs. kept_objects, totals: of the photos that were done before.
    """

    jobs: list[Job] = field(default_factory=list)
    known: int = 0
    kept: int = 0
    skipped: int = 0
    kept_objects: int = 0
    totals: Totals = field(default_factory=Totals)

    @property
    def total(self) -> int:
        """How many photos there are."""
        return self.kept + self.skipped + len(self.jobs)


def make_plan(
    sources: Iterable[Source], bases: Bases | Mapping[str, str], history: History, out: Outlet, *, verify: bool = False
) -> Plan:
    """Nothing that is done is done twice; what changed, or whose files are gone, is done again.

    verify: read the files of earlier runs, instead of looking at their sizes alone.
    """
    plan = Plan()
    for source in sources:
        record = history.get(source.name)
        plan.known += record is not None
        base = bases[source.name]
        if record is None or record.base != base or not is_same_file(record, source):
            plan.jobs.append(Job(source, base, record))
        elif record.state == SKIPPED:
            plan.skipped += 1
        elif record.state == DONE and are_there(record, out, verify=verify):
            plan.kept += 1
            plan.kept_objects += record.objects
            plan.totals.add(record)
        else:
            plan.jobs.append(Job(source, base, record))
    plan.jobs = _with_twins_together(plan.jobs)
    return plan


def give_up_old_names(
    jobs: list[Job],
    names: Iterable[str],
    bases: Bases | Mapping[str, str],
    history: History,
    out: Outlet,
    *,
    is_alone: bool,
) -> None:
    """Where another photo's files go by now to where a photo's went before, delete the old ones now, not when the photo
    is done again: the other may be done by then. Those that the other has already stay.

    names: of all photos of the run. is_alone: no other shard may be writing the other photo's files just now; else they
    are left to whoever does.
    """
    moved = {job.previous.base for job in jobs if job.previous and job.previous.base != job.base}
    owners = {base: name for name in names if moved and (base := bases[name]) in moved}
    waiting = {job.source.name for job in jobs} if owners else set[str]()
    for at, job in enumerate(jobs):
        before = job.previous
        if before is None or before.base == job.base or before.base not in owners:
            continue
        owner = owners[before.base]
        if is_alone or owner in waiting:
            own = None if owner in waiting else history.get(owner)
            kept = {path for path, _, _ in own.outputs} if own else set[str]()
            out.remove({path for path, _, _ in before.outputs} - kept)
        jobs[at] = replace(job, previous=before._replace(outputs=()))


def _with_twins_together(jobs: Sequence[Job]) -> list[Job]:
    """Files of one size, which may be the same file twice, one after the other; within what must be read in turn."""
    turns = np.array([job.source.turn for job in jobs], np.int64)
    sizes = np.array([_size(job.source) for job in jobs], np.int64)
    _, first, alike = np.unique(sizes, return_index=True, return_inverse=True)
    return [jobs[at] for at in np.lexsort((first[alike], turns))]


def _size(source: Source) -> int:
    try:
        return source.stamp().size
    except (OSError, ClickmaskError):
        return -1


def is_same_file(record: Record, source: Source) -> bool:
    """Whether the photo's file is as it was when it was read: by its check sum or tag, else by size and time."""
    try:
        return source.stamp().is_same(record.size, record.mtime_ns, record.identity)
    except (OSError, ClickmaskError):
        return False


def are_there(record: Record, out: Outlet, *, verify: bool = False) -> bool:
    """Whether all files of a record lie in the output folder, by size or (verify) by content."""
    for path, size, digest in record.outputs:
        if not out.has(path, size, digest, verify=verify):
            return False
    return True
