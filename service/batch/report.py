"""How far a run is, and what came of it: counts, a status file for monitoring, a summary, and the failures."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...models.errors import OutputError, StoppedError
from ..files import write_atomic
from .journal import DONE, FAILED, Record
from .sources import Trouble

_EVERY = 1.0  # seconds between two writings of the status
RUNNING, FINISHED, INTERRUPTED, STOPPED = "running", "finished", "interrupted", "stopped"


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

    Used by the writing thread alone, and before and after it.
    """

    state: Path
    suffix: str
    tally: Tally = field(default_factory=Tally)
    failures: list[Trouble] = field(default_factory=list)
    show: Callable[[Report], None] = lambda report: None
    phase: str = RUNNING
    _started: float = field(default_factory=time.monotonic)
    _written: float = 0.0
    _worked: int = 0

    def note(self, record: Record) -> None:
        """A photo is done with. Raises StoppedError when the disk takes no more."""
        self.tally.count(record)
        self._worked += 1
        if record.state == FAILED:
            self.failures.append(Trouble(record.name, record.kind, record.reason))
        if time.monotonic() - self._written > _EVERY:
            try:
                self._write("status", self.values())
            except OutputError as error:
                raise StoppedError(f"{error}; what is done is kept") from error
        self.show(self)

    def finish(self, phase: str) -> None:
        """Write down how it ended. Raises OutputError."""
        self.phase = phase
        self._write("status", self.values())
        self._write("summary", self.values())
        write_atomic(self.failures_path, _table(self.failures))
        self.show(self)

    @property
    def failures_path(self) -> Path:
        """Where the failures are listed."""
        return self.state / f"failures{self.suffix}.csv"

    @property
    def rate(self) -> float:
        """Photos a second in this run."""
        return self._worked / max(time.monotonic() - self._started, 1e-9)

    @property
    def seconds_left(self) -> float | None:
        """At this rate; None before the first photo."""
        return (self.tally.total - self.tally.past) / self.rate if self._worked else None

    def values(self) -> dict[str, Any]:
        """The status as plain values."""
        left = self.seconds_left
        return {
            "state": self.phase,
            **vars(self.tally),
            "seconds": round(time.monotonic() - self._started, 3),
            "images_per_second": round(self.rate, 3),
            "seconds_left": None if left is None else round(left, 1),
        }

    def _write(self, name: str, values: dict[str, Any]) -> None:
        self._written = time.monotonic()
        write_atomic(self.state / f"{name}{self.suffix}.json", json.dumps(values, indent=1).encode() + b"\n")


def _table(rows: list[Trouble]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(("image", "class", "reason"))
    writer.writerows((row.name, row.kind, row.reason) for row in rows)
    return text.getvalue().encode("utf-8", "surrogateescape")
