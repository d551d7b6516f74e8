"""How far a batch is: a bar on a terminal, a plain line now and then anywhere else."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from rich.console import Console

from .shell import say

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from ..batch.report import Report

Show = Callable[["Report"], None]
_EVERY = 10.0  # seconds between two plain lines
_SOON, _DAY, _FARTHEST = 600.0, 86_400.0, 10 * 365 * 86_400.0  # seconds


@contextmanager
def shown(*, quiet: bool = False) -> Generator[Show]:
    """Something to show reports with."""
    if quiet:
        yield lambda report: None
    elif Console(stderr=True).is_terminal:
        with _bar() as bar:
            task = bar.add_task("", total=None, words=" starting")
            yield lambda report: bar.update(
                task, completed=report.tally.past, total=report.tally.total, words=_words(report)
            )
    else:
        yield _Lines()


class _Lines:
    """Plain lines, which logs can hold."""

    def __init__(self) -> None:
        self._said_at = time.monotonic()

    def __call__(self, report: Report) -> None:
        if time.monotonic() - self._said_at >= _EVERY:
            self._said_at = time.monotonic()
            say(f"{report.tally.past:,} of {report.tally.total:,}{_words(report)}")


def _bar() -> Bar:
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = MofNCompleteColumn(), BarColumn(), TextColumn("{task.fields[words]}"), TimeElapsedColumn()
    return Bar(*columns, console=Console(stderr=True))


def _words(report: Report) -> str:
    """Rate of this run (what earlier runs did took no time), time left, when that will be, and failures."""
    left = report.seconds_left
    failed = f", {report.tally.failed:,} failed" if report.tally.failed else ""
    if left is None or not report.pace.is_settled:
        return f" {report.tally.kept:,} done before{failed}" if report.tally.kept else failed
    end = datetime.now() + timedelta(seconds=min(left, _FARTHEST))
    at = f", done {end:%H:%M}" if left < _DAY else f", done {end:%a %d %b %H:%M}"
    return f" {report.pace.lately():.2f} a second, {_duration(left)} left{at if left > _SOON else ''}{failed}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
