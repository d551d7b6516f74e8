"""A pilot: a few photos, drawn by lot, go first; they tell how long the others will take, and how large they get."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .report import Report


@dataclass(frozen=True)
class Forecast:
    """Of the photos that a pilot left. seconds: None where it did nothing, or too little, to be timed.

    files, bytes: of their results, dataset documents included; each with how far it may be off, 19 times of 20.
    """

    images: int
    seconds: float | None
    files: float
    files_error: float
    bytes: float
    bytes_error: float


def forecast(report: Report) -> Forecast | None:
    """What is to come after a pilot; None where it was none."""
    if not report.pilot:
        return None
    ahead, totals = report.ahead, report.totals
    rate = report.pace.steady_rate
    return Forecast(
        images=ahead,
        seconds=ahead / rate if rate else None,
        files=round(ahead * totals.results.mean, 1),
        files_error=round(totals.results.error_of(ahead), 1),
        bytes=round(ahead * totals.room.mean),
        bytes_error=round(totals.room.error_of(ahead)),
    )
