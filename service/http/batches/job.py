"""One batch: what was asked, how far it is, and the thread that does it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ....models.errors import StoppedError
from ...batch.journal import DONE, Record
from ...batch.report import RUNNING as AT_WORK
from ...batch.report import Report
from ...batch.report_values import status_of
from ...batch.run import Batch, run
from ...batch.sources import Trouble
from ...segmenter import Segmenter
from .lane_model import LaneSegmenter, Line
from .planning import Place, explain, scan_photos, way_of
from .schemas import BatchAnswer, BatchFailure, BatchRequest, BatchResult
from .spool import Spool

QUEUED, CHECKING, RUNNING, STOPPING = "queued", "checking", "running", "stopping"
FINISHED, STOPPED, FAILED = "finished", "stopped", "failed"
ACTIVE = (QUEUED, CHECKING, RUNNING, STOPPING)

MOST_FAILURES, MOST_NEWEST, _MOST_FILES = 100, 8, 8
_TELL_EVERY, _MEASURE_EVERY = 0.25, 5.0  # seconds
_TAIL = 1 << 16  # bytes of the journal that are looked at for what was done last
_COUNTS = ("total", "done", "failed", "skipped", "kept", "objects")
_TIMES = ("seconds", "images_per_second", "seconds_left")


@dataclass(frozen=True)
class Told:
    """What a run said last: plain values, failures and results; made in its threads, read by the event loop."""

    values: dict[str, Any] = field(default_factory=dict)
    failures: tuple[Trouble, ...] = ()
    newest: tuple[BatchResult, ...] = ()


@dataclass(eq=False)
class Job:
    """A batch of a caller's. upload: the folder of what was uploaded for it; None: it is about folders of the server.

    refused: uploads that the decoder would not take. ended: when, by the monotonic clock. moved: set when anything has
    changed since it was got.
    """

    id: str
    caller: str
    request: BatchRequest
    place: Place
    batch: Batch
    upload: Path | None = None
    state: str = QUEUED
    error: str | None = None
    refused: list[Trouble] = field(default_factory=list)
    told: Told = field(default_factory=Told)
    line: Line | None = None
    ended: float = 0.0
    moved: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_active(self) -> bool:
        """Whether it is at work, or will be."""
        return self.state in ACTIVE

    def move(self, state: str | None = None) -> None:
        """Something has changed. On the event loop."""
        self.state = state or self.state
        before, self.moved = self.moved, asyncio.Event()
        before.set()

    def describe(self, ahead: int) -> BatchAnswer:
        """For its caller."""
        told = self.told
        values, failures = told.values, (*self.refused, *told.failures)
        counts = {name: values[name] for name in (*_COUNTS, *_TIMES) if name in values}
        for name in ("total", "failed") if counts else ():
            counts[name] += len(self.refused)
        return BatchAnswer(
            id=self.id,
            state=self.state,  # pyright: ignore[reportArgumentType]
            photos=self.request.photos,
            out=self.request.out,
            asked=way_of(self.request),
            formats=list(self.request.formats),
            ahead=ahead,
            failures=[self._failure(one) for one in failures[:MOST_FAILURES]],
            newest=list(told.newest),
            error=self.error,
            **counts,
        )

    def _failure(self, one: Trouble) -> BatchFailure:
        return BatchFailure(name=_text(one.name), kind=one.kind, reason=_text(self.place.hide(one.reason)))

    def do(self, segmenter: Segmenter, line: Line, loop: asyncio.AbstractEventLoop, spool: Spool) -> None:
        """Run it to its end, in a thread of its own. Raises what `run` raises."""
        teller = _Teller(self, line, loop, None if self.upload is None else spool)
        fresh = replace(self.batch, scan=scan_photos(self.place))
        run(fresh, lambda: LaneSegmenter(segmenter, line, is_plain=fresh.question.is_plain), teller)
        self.batch = replace(self.batch, restart=False)  # that it begins anew is done

    def end(self, error: BaseException | None) -> None:
        """It has ended, with what `do` raised. On the event loop."""
        was_stopped = self.line is not None and self.line.stopped
        self.line, self.ended = None, time.monotonic()
        if error is None:
            self.move(FINISHED)
        elif was_stopped and self.error is None and isinstance(error, KeyboardInterrupt | StoppedError):
            self.move(STOPPED)
        else:
            self.error = self.error or explain(error, self.place) or "the server could not do this; its log says why"
            self.move(FAILED)


class _Teller:
    """What a run shows its report to, in its threads; ends it where that was wished, or its files take too much."""

    def __init__(self, job: Job, line: Line, loop: asyncio.AbstractEventLoop, spool: Spool | None) -> None:
        self._job, self._line, self._loop, self._spool = job, line, loop, spool
        self._told_at = self._measured_at = 0.0

    def __call__(self, report: Report) -> None:
        now, is_over = time.monotonic(), report.phase != AT_WORK
        if is_over or now - self._told_at > _TELL_EVERY:
            self._told_at = now
            newest = _newest(report.state)
            self._job.told = Told(status_of(report), tuple(report.failures[:MOST_FAILURES]), newest)
            self._loop.call_soon_threadsafe(self._job.move)
        if is_over:
            return
        if self._spool is not None and now - self._measured_at > _MEASURE_EVERY:
            self._measured_at = now
            if self._spool.left() < 0:
                self._job.error = "the results are larger than the server has room for: choose fewer photos or formats"
                self._line.stop()
        if self._line.stopped:
            raise StoppedError("it was stopped")


def _newest(state: Path) -> tuple[BatchResult, ...]:
    """The photos that the journals say were done last, and some of their files."""
    journals = sorted(state.glob("journal*.jsonl"), key=lambda path: path.stat().st_mtime_ns)
    if not journals:
        return ()
    with journals[-1].open("rb") as file:
        file.seek(max(0, file.seek(0, 2) - _TAIL))
        lines = file.read().splitlines(keepends=True)
    records = [record for line in reversed(lines[-4 * MOST_NEWEST :]) if (record := Record.parse(line))]
    done = [record for record in records if record.state == DONE][:MOST_NEWEST]
    return tuple(BatchResult(name=_text(one.name), files=_files_of(one)) for one in done)


def _files_of(record: Record) -> list[str]:
    return [path for path, _, _ in record.outputs if not path.startswith(".")][:_MOST_FILES]


def _text(text: str) -> str:
    """Without what JSON cannot say: bytes of names that are no UTF-8."""
    return text.encode(errors="replace").decode()
