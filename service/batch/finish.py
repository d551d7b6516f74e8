"""`--finish`: what shards did is joined into the documents about all photos, without a model and without work."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ...models.errors import SettingsError
from .journal import FAILED, Record
from .lock import locked
from .naming import name_bases
from .plan import Job, is_same_file, make_plan
from .report import FINISHED, Report
from .run import Batch, asked_of, count_plan, history_of, join, shards_of, stops_cleanly
from .settings import agree_on_question, recorded
from .shards import Shard


@dataclass(frozen=True)
class Missing:
    """Photos that are not done yet, in their order, of `total`; shards: how many of each, where there were any."""

    names: tuple[str, ...]
    total: int
    shards: tuple[tuple[str, int], ...]


def finish(batch: Batch, show: Callable[[Report], None]) -> Report | Missing:
    """Join what is done; or, where photos are not done yet, say which. Those that failed are left out of documents.

    Raises OutputError when a run is at it, SettingsError when nothing was done in the folder, or with other settings.
    """
    batch = replace(batch, formats=batch.formats.of_classes(batch.question.labels()))
    if not (batch.state / "settings.json").is_file():
        raise SettingsError(
            f"--finish: {batch.out.title} holds no results yet: give the same command without --finish first"
        )
    with stops_cleanly(), locked(batch.state, Shard(), batch.out.title):
        batch.out.claim()
        agree_on_question(batch.state / "settings.json", batch.question, batch.formats, batch.out.title)
        report = Report(batch.state, "", show=show)
        bases = name_bases(batch.scan.sources.names, batch.formats.files)
        with history_of(batch) as history:
            plan = make_plan(asked_of(batch), bases, history, batch.out, verify=batch.verify)
        failed = [record for job in plan.jobs if (record := _given_up(job)) is not None]
        waiting = tuple(job.source.name for job in plan.jobs if _given_up(job) is None)
        if waiting:
            return Missing(waiting, plan.total, _by_shard(batch, waiting))
        count_plan(batch, report, plan, len(batch.scan.sources) - plan.total)
        for record in failed:
            report.count_failure(record)
        report.begin()
        provenance = recorded(batch.state / "settings.json", batch.question)
        join(batch, report, shards_of(batch, {**provenance, "asked": batch.question.describe()}))
        report.finish(FINISHED)
    return report


def _given_up(job: Job) -> Record | None:
    """The record of a failure that trying again is not asked for here."""
    before = job.previous
    if before is None or before.state != FAILED or before.base != job.base:
        return None
    return before if is_same_file(before, job.source) else None


def _by_shard(batch: Batch, names: Sequence[str]) -> tuple[tuple[str, int], ...]:
    """Of what shards there were, the journals' names tell; nothing where they were shared out in several ways."""
    found = (re.search(r"-\d+of(\d+)\.jsonl$", path.name) for path in batch.state.glob("journal-*of*.jsonl"))
    counts = {int(match[1]) for match in found if match}
    if len(counts) != 1:
        return ()
    shards = [Shard(number, *counts) for number in range(1, max(counts) + 1)]
    missing = ((f"{shard.number}/{shard.count}", sum(map(shard.holds, names))) for shard in shards)
    return tuple((name, count) for name, count in missing if count)
