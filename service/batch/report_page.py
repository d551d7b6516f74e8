"""`report.html`: one page of everything about a run, which asks nothing of any host and runs no script.

It holds the same few pictures and rows whether ten photos were done or ten million. Whatever comes from outside (names
of files, reasons, settings) is escaped where it is written into the page.
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .report_charts import share_bar
from .report_sections import failures_section, galleries, histograms, losses_section, settings_section, stages_section
from .report_style import STYLE
from .words import counted, duration, printable, shortened

if TYPE_CHECKING:
    from .report import Report

_ENDINGS = {
    "finished": "Finished",
    "interrupted": "Interrupted: the same command goes on from here",
    "stopped": "Stopped: once it is mended, the same command goes on from here",
}


def write_page(report: Report) -> bytes:
    """The page, as UTF-8."""
    title = f"Report: {shortened(printable(report.state.absolute().parent.name), 80)}{report.suffix}"
    sections = [
        _head(report, title),
        *galleries(report),
        histograms(report.totals),
        losses_section(report.totals),
        failures_section(report.failures, f"failures{report.suffix}.csv"),
        stages_section(report),
        settings_section(_settings(report.state / "settings.json")),
    ]
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    page = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{escape(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<main>
{chr(10).join(section for section in sections if section)}
<footer>Made by clickmask batch. Beside this page lie summary{report.suffix}.json, with these figures for programs, and
failures{report.suffix}.csv. Names lead to results where the page lies with them.</footer>
</main>
</body>
</html>
"""
    return page.encode()


def _head(report: Report, title: str) -> str:
    now = datetime.now(UTC)
    took = duration(time.monotonic() - report.started)
    ending = _ENDINGS.get(report.phase, "Under way")
    rate = f", {report.rate:.2f} photos a second" if report.pace.is_settled else ""
    when = f'<time datetime="{now.strftime("%Y-%m-%dT%H:%M:%SZ")}">{now.day} {now.strftime("%B %Y, %H:%M")} UTC</time>'
    lines = [
        f"<header><h1>{escape(title)}</h1>",
        f'<p class="state dim">{ending}. {when}, after {took}{rate}.</p>',
    ]
    if report.reason:
        lines.append(f'<p class="told">{escape(printable(shortened(report.reason, 500)))}</p>')
    if report.pilot:
        text = f"A pilot: {counted(report.pilot, 'photo')}, drawn by lot; {counted(report.ahead, 'more photo')} to do."
        lines.append(f'<p class="told">{text}</p>')
    return "\n".join([*lines, _counts(report), "</header>"])


def _counts(report: Report) -> str:
    tally, totals = report.tally, report.totals
    waiting = tally.total - tally.past
    cells = [
        ("", "Photos", tally.total, ""),
        ("", "Done", tally.done, f"{tally.kept:,} of them before" if tally.kept else ""),
        ("bad" if tally.failed else "", "Failed", tally.failed, ""),
        ("", "Passed over", tally.skipped, ""),
        *([("", "Not yet", waiting, "")] if waiting else []),
        ("", "Objects", tally.objects, f"{totals.without_objects:,} photos without" if totals.without_objects else ""),
    ]
    boxes = "".join(
        f'<div class="{kind}"><dt>{name}</dt><dd>{number:,}{f"<small>{note}</small>" if note else ""}</dd></div>'
        for kind, name, number, note in cells
    )
    told = f"{tally.done:,} of {tally.total:,} photos done, {tally.failed:,} failed, {tally.skipped:,} passed over"
    parts = [("done", tally.done), ("failed", tally.failed), ("passed", tally.skipped)]
    return f'<dl class="counts">{boxes}</dl>\n{share_bar(parts, tally.total, told)}'


def _settings(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):  # stopped before it was written, or spoilt: the run itself says so
        return {}
    return found if isinstance(found, dict) else {}
