"""What `clickmask batch` says at its end."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from .shell import say

if TYPE_CHECKING:
    from ..batch.finish import Missing
    from ..batch.pilot import Forecast
    from ..batch.report import Report

_SHOWN = 5  # failures named on the terminal; all are in the file
_NAMED = 3  # photos that are not done yet


def tell(report: Report, *, quiet: bool, finished: bool = False) -> None:
    """Counts, losses, failures, and a pilot's forecast. Failures are errors: --quiet does not silence their sum."""
    from ..batch.pilot import forecast
    from ..batch.words import told_losses

    tally = report.tally
    ahead = forecast(report)
    if not quiet:
        _tell_counts(report)
        for name, losses in sorted(report.totals.losses.items()):
            say(("Lost: ", "yellow"), told_losses(name, losses))
        if ahead is not None:
            _tell_forecast(report, ahead)
    if tally.failed:
        what = "1 photo failed" if tally.failed == 1 else f"{tally.failed:,} photos failed"
        again = "without --finish" if finished else "again"
        say(f"{what}: {report.failures_path} says which and why; run the same command {again} to try them once more")
    if not quiet:
        say(f"{report.page_path} shows what came of it")


def tell_missing(missing: Missing) -> None:
    """Photos that are not done yet, by shard where there were any."""
    from ..batch.words import counted, printable

    say(
        ("Error: ", "bold red"),
        f"--finish: {len(missing.names):,} of {counted(missing.total, 'photo')} are not done yet",
    )
    for shard, count in missing.shards:
        say(f"  shard {shard}: {counted(count, 'photo')}")
    more = ", ..." if len(missing.names) > _NAMED else ""
    say(f"  the first: {', '.join(map(printable, missing.names[:_NAMED]))}{more}")
    say("Nothing was joined: run the same command without --finish, with --shard for each of these or without")


def _tell_counts(report: Report) -> None:
    from ..batch.words import counted, printable

    tally = report.tally
    kept = f" ({tally.kept:,} of them before)" if tally.kept else ""
    passed = f", {tally.skipped:,} passed over" if tally.skipped else ""
    say(f"{tally.done:,} of {tally.total:,} done{kept}{passed}, {tally.objects:,} objects")
    if report.gone:
        say(
            f"Of {counted(report.gone, 'photo')} of earlier runs, no longer among PHOTOS, the results are left "
            "where they are; --restart begins anew"
        )
    for trouble in report.failures[:_SHOWN]:
        say(("Failed: ", "red"), f"{printable(trouble.name)}: {printable(trouble.reason)}")


def _tell_forecast(report: Report, ahead: Forecast) -> None:
    from ..batch.words import about, counted, duration, size

    if not ahead.images:
        return say("Pilot: these are all photos; the same command without --pilot joins them")
    if ahead.seconds is None:
        say("Pilot: its photos were done before, or too few, to tell how long the others will take")
    else:
        when = datetime.now().astimezone() + timedelta(seconds=ahead.seconds)
        say(
            f"Pilot: {ahead.images / ahead.seconds:.2f} photos a second; {counted(ahead.images, 'more photo')} would "
            f"take {duration(ahead.seconds)}, until {when:%a %d %b %Y, %H:%M %Z}"
        )
    say(
        f"Pilot: they would be about {about(ahead.files)} files, {size(ahead.bytes)} \N{PLUS-MINUS SIGN} "
        f"{size(ahead.bytes_error)}; the same command without --pilot does them"
    )
