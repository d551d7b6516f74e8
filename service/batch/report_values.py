"""A report as plain values: `status.json`, which is small and written every second, and `summary.json`."""

from __future__ import annotations

import os
import platform
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from .pace import MINUTE
from .pilot import forecast

if TYPE_CHECKING:
    from .report import Report

_FARTHEST = 10 * 365 * 86_400.0  # seconds; the calendar ends somewhere


def status_of(report: Report) -> dict[str, Any]:
    """How it stands, and when it will end. Times are ISO 8601, UTC; durations seconds."""
    left = report.seconds_left
    now = datetime.now(UTC)
    return {
        **_common(report),
        "images_per_second_last_minute": round(report.pace.lately(MINUTE), 3),
        "seconds_left": None if left is None else round(left, 1),
        "eta": None if left is None else iso(now + timedelta(seconds=min(left, _FARTHEST))),
        "last_image": report.last or None,
        "updated": iso(now),
        "pid": os.getpid(),
        "host": platform.node(),
    }


def summary_of(report: Report) -> dict[str, Any]:
    """What came of it. The photos of earlier runs count but in rates, stages and bytes_written.

    stages: the seconds that photos spent in each, and how many photos were in it at a time, on average: a stage
    whose figure is near the number of its threads is what the others wait for.
    """
    totals = report.totals
    elapsed = max(time.monotonic() - report.started, 1e-9)
    stages = {
        name: {"seconds": round(seconds, 3), "photos_at_a_time": round(seconds / elapsed, 3)}
        for name, seconds in report.seconds.items()
    }
    found = {
        **_common(report),
        "ended": iso(datetime.now(UTC)),
        "images_without_objects": totals.without_objects,
        "files": totals.files,
        "bytes": totals.bytes,
        "bytes_written": report.written,
        "stages": stages,
        **totals.histograms.values(),
        "images_without_statistics": totals.unmeasured,
    }
    ahead = forecast(report)
    return found if ahead is None else {**found, "forecast": vars(ahead)}


def iso(moment: datetime) -> str:
    """A moment of UTC as ISO 8601 has it, to the second."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _common(report: Report) -> dict[str, Any]:
    return {
        "state": report.phase,
        "reason": report.reason or None,
        **vars(report.tally),
        "pilot": report.pilot or None,
        "gone": report.gone,
        "failures": dict(Counter(trouble.kind for trouble in report.failures).most_common()),
        "losses": {name: vars(losses) for name, losses in sorted(report.totals.losses.items())},
        "started": iso(report.started_at),
        "seconds": round(time.monotonic() - report.started, 3),
        "images_per_second": round(report.rate, 3),
    }
