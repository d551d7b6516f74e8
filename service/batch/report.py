"""How far a run is, and what came of it: a status file for monitoring; at its end a summary, the failures, and a page.

Those, the journal, the lock and the log may hold times of day and the host's name; results never do.
"""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from ...models.errors import OutputError, StoppedError
from ..files import write_atomic
from .journal import DONE, FAILED, Record
from .pace import Pace
from .report_page import write_page
from .report_values import status_of, summary_of
from .sources import Trouble
from .thumbnails import FOLDER, prune
from .totals import Totals

_EVERY = 1.0  # seconds between two writings of the status
_TIDIED_EVERY, _YOUNG = 2000, 600.0  # photos; seconds
RUNNING, FINISHED, INTERRUPTED, STOPPED = "running", "finished", "interrupted", "stopped"
STAGES = ("read", "model", "write")


@dataclass
class Tally:
    """Counts of a run: total = done + failed + skipped once it is finished. kept: of those done, by earlier runs."""

    total: int = 0
    done: int = 0
    failed: int = 0
    skipped: int = 0
    kept: int = 0
    objects: int = 0

    @property
    def past(self) -> int:
        """How many need no more work."""
        return self.done + self.failed + self.skipped

    def count(self, record: Record) -> None:
        """One more."""
        self.done += record.state == DONE
        self.failed += record.state == FAILED
        self.skipped += record.state not in (DONE, FAILED)
        self.objects += record.objects


@dataclass
class Report:
    """Counts, failures and times, told to whoever shows them (`show`) and to the files of the state folder.

    phase, reason: how it ended, and why it did not end well. totals: of all photos that are done, by earlier runs too.
    pilot: how many photos were drawn for a pilot, 0 where it is none; ahead: how many the whole run has left after it.
    gone: photos of earlier runs that are no longer there, but their results are. last: the photo that was done
    last. seconds: of each of STAGES in this run, all threads together; written: bytes of this run's results. Used
    by the writing thread alone, and before and after it.
    """

    state: Path
    suffix: str
    tally: Tally = field(default_factory=Tally)
    failures: list[Trouble] = field(default_factory=list)
    show: Callable[[Report], None] = lambda report: None
    phase: str = RUNNING
    reason: str = ""
    totals: Totals = field(default_factory=Totals)
    pilot: int = 0
    ahead: int = 0
    gone: int = 0
    last: str = ""
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(STAGES, 0.0))
    written: int = 0
    pace: Pace = field(default_factory=Pace)
    started: float = field(default_factory=time.monotonic)
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    _told_at: float = 0.0
    _is_planned: bool = False

    def begin(self) -> None:
        """The plan is made, and the work begins: times count from here. Raises OutputError."""
        self._is_planned = True
        self.pace.start()
        self._write_status()
        self.show(self)

    def note(self, record: Record) -> None:
        """A photo is done with. Raises StoppedError when the disk takes no more."""
        self.tally.count(record)
        self.totals.add(record)
        self.pace.step()
        self.last = record.name
        self.written += sum(size for _, size, _ in record.outputs)
        for stage, seconds in zip(STAGES, record.seconds, strict=False):  # a failure got through some of them only
            self.seconds[stage] += seconds
        if record.state == FAILED:
            self.failures.append(Trouble(record.name, record.kind, record.reason))
        if self.pace.count % _TIDIED_EVERY == 0:
            self._tidy(age=_YOUNG)
        if time.monotonic() - self._told_at > _EVERY:
            try:
                self._write_status()
            except OutputError as error:
                raise StoppedError(f"{error}; what is done is kept") from error
        self.show(self)

    def count_failure(self, record: Record) -> None:
        """A photo failed in an earlier run, and is not tried again."""
        self.tally.count(record)
        self.failures.append(Trouble(record.name, record.kind, record.reason))

    def take_back(self, troubles: Iterable[Trouble]) -> None:
        """Photos that were counted as done cannot be used after all."""
        for trouble in troubles:
            self.failures.append(trouble)
            self.tally.done -= 1
            self.tally.failed += 1

    def finish(self, phase: str, reason: str = "") -> None:
        """Write down how it ended. Raises OutputError."""
        self.phase, self.reason = phase, reason
        self._write_status()
        write_atomic(self.state / f"summary{self.suffix}.json", _json(summary_of(self)))
        write_atomic(self.failures_path, _table(self.failures))
        if self._is_planned:  # else it knows nothing of earlier runs
            self._tidy()
            write_atomic(self.page_path, write_page(self))
        self.show(self)

    @property
    def failures_path(self) -> Path:
        """Where the failures are listed."""
        return self.state / f"failures{self.suffix}.csv"

    @property
    def page_path(self) -> Path:
        """The page that shows what came of it."""
        return self.state / f"report{self.suffix}.html"

    @property
    def rate(self) -> float:
        """Photos a second in this run, since the work began; those of earlier runs do not count."""
        return self.pace.rate

    @property
    def seconds_left(self) -> float | None:
        """At the rate of the last ten minutes; None before that says something."""
        left, rate = self.tally.total - self.tally.past, self.pace.lately()
        if not left:
            return 0.0
        return left / rate if rate and self.pace.is_settled else None

    def _write_status(self) -> None:
        self._told_at = time.monotonic()
        write_atomic(self.state / f"status{self.suffix}.json", _json(status_of(self)))

    def _tidy(self, age: float = 0.0) -> None:
        if self.pilot:  # the other photos' are not its to judge
            return
        kept = {key[1] for few in (self.totals.worst, self.totals.by_lot) for key, _ in few}
        prune(self.state / f"{FOLDER}{self.suffix}", kept, age=age)


def _json(values: object) -> bytes:
    return json.dumps(values, indent=1, allow_nan=False).encode() + b"\n"


def _table(rows: list[Trouble]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(("image", "class", "reason"))
    writer.writerows((row.name, row.kind, row.reason) for row in rows)
    return text.getvalue().encode("utf-8", "surrogateescape")
