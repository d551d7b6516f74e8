"""A whole run: lock, settings, plan, work, and the files about all photos together."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ...models.errors import OutputError, SettingsError, StoppedError
from ..formats.yolo import write_data_yaml
from ..provenance import lasting
from .begun import leftovers
from .books import Books
from .dataset import DOCUMENT, write_dataset
from .history import History
from .journal import DONE
from .lock import joining, locked
from .lots import drawn
from .naming import Bases, name_bases
from .outlet import Outlet
from .plan import Job, Plan, are_there, give_up_old_names, make_plan
from .questions import Question
from .report import FINISHED, INTERRUPTED, STOPPED, Report
from .settings import SHARDS, Formats, agree, fingerprint
from .shard_files import ShardMaker
from .shard_joining import Shards, join_shards, open_shards, photo_reader
from .shard_store import remove_all
from .shards import Shard
from .sources import Scan, Source
from .task import Errand, Hands, Task
from .thumbnails import FOLDER, Gallery
from .writing import COCO, embedding_of, part_of

if TYPE_CHECKING:  # with workers, this process need not wait for torch
    from ..segmenter import Segmenter

YOLO, CLASSES = "yolo", "data.yaml"
_OF_THE_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS}


@dataclass(frozen=True)
class Batch:
    """What to do: photos, question, formats, output folder.

    shard: which part of the photos. verify: read the files of earlier runs to see whether they are whole.
    restart: delete the results of earlier runs first. pilot: do only so many photos, drawn by lot, and join nothing.
    embeddings: the output folder of a run that wrote embeddings, which are used where they are there.
    is_fast: decode of JPEGs only what the encoder needs, see `images.read_reduced`.
    """

    scan: Scan
    question: Question
    formats: Formats
    out: Outlet
    shard: Shard = field(default_factory=Shard)
    verify: bool = False
    restart: bool = False
    pilot: int = 0
    embeddings: Path | None = None
    is_fast: bool = False

    @property
    def most(self) -> int:
        """How many photos there are to be done at most."""
        count = len(self.scan.sources)
        return min(self.pilot or count, count)

    @property
    def state(self) -> Path:
        """The folder of journal, lock, status and parts."""
        return self.out.state

    @property
    def journal(self) -> Path:
        """This run's own."""
        return self.state / f"journal{self.shard.suffix}.jsonl"


def run(batch: Batch, open_segmenter: Callable[[], Segmenter], show: Callable[[Report], None]) -> Report:
    """Do what is left to do, with a segmenter of this process; else as `run_with`."""

    def open_hands() -> AbstractContextManager[Hands]:
        from .hands import Here

        return nullcontext(Here(open_segmenter()))

    return run_with(batch, open_hands, show)


def run_with(
    batch: Batch, open_hands: Callable[[], AbstractContextManager[Hands]], show: Callable[[Report], None]
) -> Report:
    """Do what is left to do. `show` is called with the report as it changes, from whatever thread.

    Raises OutputError when another run is at it, SettingsError when the folder holds results of other settings,
    StoppedError when the disk takes no more; KeyboardInterrupt passes, once what was being written is written.
    """
    batch.out.check()
    batch = replace(batch, formats=batch.formats.of_classes(batch.question.labels()))
    report = Report(batch.state, batch.shard.suffix, show=show)
    with stops_cleanly():
        batch.state.mkdir(parents=True, exist_ok=True)
        with locked(batch.state, batch.shard, batch.out.title):
            batch.out.claim()
            _prepare(batch)
            with open_hands() as hands, history_of(batch) as history:
                own = fingerprint(hands.provenance, batch.question, batch.formats)
                ways = {"embeddings": batch.embeddings is not None, "fast_decode": batch.is_fast}
                own |= {way: True for way, is_taken in ways.items() if is_taken}
                agree(batch.state / "settings.json", own, batch.out.title)
                asked = {**lasting(hands.provenance), "asked": batch.question.describe()}
                shards = shards_of(batch, asked)
                with _ends_with_a_summary(report):
                    with Books(batch.journal, batch.out, report) as books:
                        books.clear((begun for begun in history.begun() if batch.shard.holds(begun.name)), history)
                        plan = _plan(batch, report, history)
                        if batch.embeddings is not None:
                            plan.jobs = with_embeddings(plan.jobs, batch.scan, batch.embeddings)
                        if shards is not None:
                            books.open_shards(shards, history, plan.jobs)
                        _work(batch, plan, hands, report, books)
                    if not batch.pilot:
                        join(batch, report, shards)
    return report


@contextmanager
def stops_cleanly() -> Generator[None]:
    """What the disk does not take becomes a StoppedError."""
    try:
        yield
    except OutputError as error:
        cause = error.__context__
        if isinstance(cause, OSError) and cause.errno in _OF_THE_DISK:
            raise StoppedError(f"{error}; what is done is kept") from error
        raise
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise StoppedError(
            f"the output folder cannot be used{where}: {error.strerror}; what is done is kept"
        ) from error


@contextmanager
def _ends_with_a_summary(report: Report) -> Generator[None]:
    try:
        yield
    except BaseException as error:
        phase = INTERRUPTED if isinstance(error, KeyboardInterrupt) else STOPPED
        with suppress(OutputError):  # the disk may be full: the journal tells what is done
            report.finish(phase, f"{type(error).__name__}: {error}".rstrip(": "))
        raise
    report.finish(FINISHED)


def _prepare(batch: Batch) -> None:
    if batch.restart:
        if not batch.shard.is_whole:
            raise SettingsError("--restart deletes the results of all shards: give it without --shard")
        _delete_results(batch)
    if batch.shard.is_whole:  # other shards may be writing theirs just now
        batch.out.tidy()


def _delete_results(batch: Batch) -> None:
    with history_of(batch) as history:
        for record in history.all():
            batch.out.remove(path for path, _, _ in record.outputs)
        for begun in history.begun():
            batch.out.remove([*leftovers(batch.out, begun.base), *begun.outputs])
    batch.out.remove([DOCUMENT, CLASSES])
    if SHARDS in batch.formats.names:
        remove_all(batch.out.root)
    for path in sorted(batch.state.iterdir()):
        if path.is_dir():
            shutil.rmtree(path)
        elif not path.name.startswith("lock"):
            path.unlink()
    batch.out.prune()


@contextmanager
def history_of(batch: Batch) -> Generator[History]:
    """What earlier runs, of all shards, did."""
    history = History(sorted(batch.state.glob("journal*.jsonl")))
    try:
        yield history
    finally:
        history.close()


def shards_of(batch: Batch, provenance: Mapping[str, object]) -> Shards | None:
    """The output shards, where they were asked for, as earlier runs left them."""
    if SHARDS not in batch.formats.names:
        return None
    sources = [source for source in batch.scan.sources if batch.question.concerns(source.name)]
    maker = ShardMaker(batch.out.root, provenance, batch.verify, photo_reader(sources, batch.formats.shards))
    return open_shards(sources, batch.scan.failed, batch.formats.shards, maker, batch.shard)


def _work(batch: Batch, plan: Plan, hands: Hands, report: Report, books: Books) -> None:
    names = (job.source.name for job in plan.jobs)
    gallery = Gallery(batch.state / f"{FOLDER}{batch.shard.suffix}", names, plan.totals)
    report.begin()
    task = Task(batch.formats, batch.out, batch.question.describe(), gallery, batch.is_fast)

    def errands() -> Iterator[Errand]:
        for job in plan.jobs:
            if not hands.takes_all_at_once:
                books.begin(job)
            yield job, batch.question.part(job.source.name)

    hands.work(task, errands(), books.note)


def _plan(batch: Batch, report: Report, history: History) -> Plan:
    """The jobs; the report gets the counts of what needs no work."""
    bases = name_bases(batch.scan.sources.names, batch.formats.files)
    if batch.pilot:
        chosen = drawn((source.name for source in asked_of(batch)), batch.pilot)
        others = (source for source in asked_of(batch) if source.name not in chosen)
        report.pilot, report.ahead = len(chosen), len(make_plan(others, bases, history, batch.out).jobs)
        asked = (source for source in asked_of(batch) if source.name in chosen)
        plan = make_plan(asked, bases, history, batch.out, verify=batch.verify)
        _give_up_old_names(batch, plan, bases, history)
        count_plan(batch, report, plan, unasked=0)
        return plan
    plan = make_plan(asked_of(batch), bases, history, batch.out, verify=batch.verify)
    names = batch.scan.sources.names
    _give_up_old_names(batch, plan, bases, history)
    mine = len(names) if batch.shard.is_whole else sum(map(batch.shard.holds, names))
    count_plan(batch, report, plan, unasked=mine - plan.total)
    report.gone = len(history) - plan.known if batch.shard.is_whole else 0
    return plan


def _give_up_old_names(batch: Batch, plan: Plan, bases: Bases, history: History) -> None:
    names, is_alone = batch.scan.sources.names, batch.shard.is_whole
    give_up_old_names(plan.jobs, names, bases, history, batch.out, is_alone=is_alone)


def with_embeddings(jobs: Iterable[Job], found: Scan, folder: Path) -> list[Job]:
    """The jobs, each with the file that a run with `--embed` on the same photos wrote to that folder."""
    bases = name_bases(found.sources.names, ())
    return [replace(job, embedding=str(folder / embedding_of(bases[job.source.name]))) for job in jobs]


def count_plan(batch: Batch, report: Report, plan: Plan, unasked: int) -> None:
    """Tell the report what needs no work. unasked: photos that the question does not concern."""
    failed = [trouble for trouble in batch.scan.failed if batch.shard.holds(trouble.name)]
    skipped = sum(batch.shard.holds(trouble.name) for trouble in batch.scan.skipped)
    report.failures += failed
    tally = report.tally
    tally.total = plan.total + unasked + len(failed) + skipped
    tally.done = tally.kept = plan.kept
    tally.failed = len(failed)
    tally.skipped = skipped + plan.skipped + unasked
    tally.objects = plan.kept_objects
    report.totals = plan.totals


def asked_of(batch: Batch) -> Iterator[Source]:
    """The photos of this shard that something is asked of."""
    is_whole, holds, concerns = batch.shard.is_whole, batch.shard.holds, batch.question.concerns
    for source in batch.scan.sources:
        if (is_whole or holds(source.name)) and concerns(source.name):
            yield source


def join(batch: Batch, report: Report, shards: Shards | None) -> None:
    """Once every photo, of all shards, is done or given up: the documents about all of them."""
    if YOLO in batch.formats.names:  # it depends on the question alone
        batch.out.write(CLASSES, write_data_yaml(batch.formats.options.classes))
    batch.out.refresh()
    if COCO not in batch.formats.names and shards is None:
        return
    with history_of(batch) as history:
        if COCO in batch.formats.names:
            _join_coco(batch, history)
        if shards is not None:
            with joining(batch.state, batch.out.title):
                report.take_back(join_shards(shards, history))


def _join_coco(batch: Batch, history: History) -> None:
    parts = []
    for source in batch.scan.sources:
        if not batch.question.concerns(source.name):
            continue
        record = history.get(source.name)
        if record is None:
            return  # another shard has yet to come to it
        part = part_of(record.base)
        if record.state == DONE and are_there(record, batch.out):
            parts.append(part)
    write_dataset(batch.out, parts)
