"""The sections of the report: pictures, histograms, and tables, each with a heading; "" for one with nothing to say."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ..image_headers import read_header
from .lots import SHOWN
from .report_charts import Histogram
from .sources import Trouble
from .statistics import AREA_BINS, AREA_EDGES, DECADES, PER_DECADE, SCORE_BINS, SCORE_EDGES
from .thumbnails import FOLDER, find
from .totals import Exhibit, Totals
from .words import counted, duration, printable, shortened, told_losses

if TYPE_CHECKING:
    from .report import Report

_ROWS = 100  # of failures, all classes together, but a few of each at least
_ROWS_AT_LEAST = 5
_CLASSES, _SETTINGS = 20, 40
_LAST = (
    "formats",
    "options",
    "model",
    "digest",
    "device",
    "precision",
    "fit",
    "refine",
    "torch",
    "clickmask",
    "layout",
)
_LONGEST_NAME, _LONGEST_REASON, _LONGEST_SETTING = 120, 300, 400


def galleries(report: Report) -> list[str]:
    """The photos of the lowest scores, and some by lot."""
    own = report.state / f"{FOLDER}{report.suffix}"
    folders = [own, *sorted(path for path in report.state.glob(f"{FOLDER}-*of*") if path != own)]
    worst = [exhibit for _, exhibit in report.totals.worst][:SHOWN]
    by_lot = [(exhibit, find(folders, exhibit.name)) for _, exhibit in report.totals.by_lot]
    by_lot = [(exhibit, picture) for exhibit, picture in by_lot if picture is not None][:SHOWN]
    return [
        _gallery(
            "The lowest scores",
            "The photos with the object that the model is least sure of, by its predicted IoU: look here first.",
            [(exhibit, find(folders, exhibit.name)) for exhibit in worst],
        ),
        _gallery(
            "Drawn by lot",
            "What the results are like on the whole: the same photos however often the run was stopped.",
            by_lot,
        ),
    ]


def histograms(totals: Totals) -> str:
    """How large the objects are, and how sure the model is of them."""
    found = totals.histograms
    if not sum(found.areas) and not found.empty:
        return ""
    notes = [
        f"{counted(found.empty, 'mask is', 'masks are')} empty." if found.empty else "",
        f"{counted(totals.unmeasured, 'photo was', 'photos were')} done by an earlier version, which did not count."
        if totals.unmeasured
        else "",
    ]
    told = " ".join(note for note in notes if note)
    charts = _areas(found.areas).figure() + _scores(found.scores).figure()
    return f'<section><h2>The objects</h2>\n<p class="dim">{told}</p>\n<div class="charts">{charts}</div></section>'


def losses_section(totals: Totals) -> str:
    """What the formats could not keep."""
    if not totals.losses:
        return ""
    lines = "".join(f"<li>{escape(told_losses(name, lost))}</li>" for name, lost in sorted(totals.losses.items()))
    return f"<section><h2>What formats could not keep</h2>\n<ul>{lines}</ul></section>"


def failures_section(failures: Sequence[Trouble], file: str) -> str:
    """The failures by class: how many, and the first of them with their reasons."""
    if not failures:
        return ""
    classes: dict[str, list[Trouble]] = {}
    for trouble in failures:
        classes.setdefault(trouble.kind, []).append(trouble)
    ranked = sorted(classes.items(), key=lambda entry: (-len(entry[1]), entry[0]))
    shown = ranked[:_CLASSES]
    rows = max(_ROWS_AT_LEAST, _ROWS // len(shown))
    parts = [_failures_of(kind, troubles, rows) for kind, troubles in shown]
    others = sum(len(troubles) for _, troubles in ranked[_CLASSES:])
    more = f"<p>And {counted(others, 'failure')} of other kinds.</p>" if others else ""
    all_ = f'<p class="dim">All are in <a href="{quote(file)}">{escape(file)}</a>.</p>'
    return f"<section><h2>Failures</h2>\n{all_}{''.join(parts)}{more}</section>"


def stages_section(report: Report) -> str:
    """What the time went into."""
    elapsed = max(time.monotonic() - report.started, 1e-9)
    if not any(report.seconds.values()):
        return ""
    words = {"read": "Reading and decoding", "model": "The model", "write": "Formats and writing"}
    rows = "".join(
        f'<tr><th scope="row">{words[stage]}</th><td class="number">{duration(seconds)}</td>'
        f'<td class="number">{seconds / elapsed:.2f}</td></tr>'
        for stage, seconds in report.seconds.items()
    )
    head = '<th scope="col">Stage</th><th scope="col" class="number">Time, all threads together</th>'
    head += '<th scope="col" class="number">Photos at a time</th>'
    note = "Stages work side by side; one with about as many photos at a time as it has threads holds up the others."
    table = f'<div class="wide"><table class="narrow"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
    return f'<section><h2>Where the time went</h2>\n<p class="dim">{note}</p>\n{table}</section>'


def settings_section(settings: Mapping[str, Any]) -> str:
    """What the results depend on beside the photos."""
    ranked = sorted(settings, key=lambda key: _LAST.index(key) if key in _LAST else -1)
    rows = "".join(
        f'<tr><th scope="row">{escape(printable(shortened(str(key), 40)))}</th>'
        f"<td>{escape(printable(shortened(_plain(settings[key]), _LONGEST_SETTING)))}</td></tr>"
        for key in ranked[:_SETTINGS]
    )
    return f'<section><h2>Settings</h2>\n<div class="wide"><table>{rows}</table></div></section>' if rows else ""


def _gallery(title: str, note: str, shown: Iterable[tuple[Exhibit, bytes | None]]) -> str:
    items = "\n".join(_exhibit(exhibit, picture) for exhibit, picture in shown)
    if not items:
        return ""
    return f'<section><h2>{title}</h2>\n<p class="dim">{note}</p>\n<ul class="gallery">\n{items}\n</ul></section>'


def _exhibit(exhibit: Exhibit, picture: bytes | None) -> str:
    name = escape(printable(shortened(exhibit.name, _LONGEST_NAME)))
    objects = counted(exhibit.objects, "object")
    figure = objects if exhibit.lowest is None else f"{exhibit.lowest:.3f} \N{MIDDLE DOT} {objects}"
    if picture is None:
        image = '<span class="none">no picture of it was kept</span>'
    else:
        size = read_header(picture, "the thumbnail")
        data = base64.b64encode(picture).decode()
        sides = f'width="{size.width}" height="{size.height}"'
        image = f'<img src="data:image/jpeg;base64,{data}" {sides} alt="{name}, {objects} marked">'
    if exhibit.picture:
        name = f'<a href="../{quote(Path(exhibit.picture).as_posix(), errors="surrogateescape")}">{name}</a>'
    return (
        f'<li><figure><div class="frame">{image}</div><figcaption>{name}<br><span class="figure">{figure}</span>'
        "</figcaption></figure></li>"
    )


def _areas(counts: Sequence[int]) -> Histogram:
    shares = [_percent(edge) for edge in AREA_EDGES]
    labels = [f"{low} to {high}" for low, high in zip(shares[:-1], shares[1:], strict=True)]
    labels[0] = f"below {shares[1]}"
    ticks = [(decade * PER_DECADE, _percent(10.0 ** (decade - DECADES))) for decade in range(DECADES + 1)]
    assert len(labels) == AREA_BINS
    return Histogram("areas", "Size of the objects", "share of the photo", labels, counts, ticks)


def _scores(counts: Sequence[int]) -> Histogram:
    """From the tenth below the lowest score on."""
    tenth = SCORE_BINS // 10
    first = next((place for place, count in enumerate(counts) if count), 0)
    first = min(first // tenth * tenth, SCORE_BINS - 2 * tenth)
    labels = [f"{SCORE_EDGES[place]:.2f} to {SCORE_EDGES[place + 1]:.2f}" for place in range(first, SCORE_BINS)]
    ticks = [(place - first, f"{SCORE_EDGES[place]:.1f}") for place in range(first, SCORE_BINS + 1, tenth)]
    return Histogram("scores", "Scores of the objects", "predicted IoU", labels, counts[first:], ticks)


def _percent(share: float) -> str:
    return f"{float(f'{100 * share:.2g}'):.6f}".rstrip("0").rstrip(".") + " %"


def _failures_of(kind: str, troubles: Sequence[Trouble], most: int) -> str:
    rows = "\n".join(
        f"<tr><td>{escape(printable(shortened(trouble.name, _LONGEST_NAME)))}</td>"
        f"<td>{escape(printable(shortened(trouble.reason, _LONGEST_REASON)))}</td></tr>"
        for trouble in troubles[:most]
    )
    note = f", the first {most}" if len(troubles) > most else ""
    head = '<tr><th scope="col">Photo</th><th scope="col">Reason</th></tr>'
    return (
        f"<h3>{escape(printable(shortened(kind, 60)))}: {len(troubles):,}{note}</h3>\n"
        f'<table class="failures"><thead>{head}</thead><tbody>\n{rows}\n</tbody></table>\n'
    )


def _plain(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(_told(key, item) for key, item in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value)) or "none"
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    return value if isinstance(value, str) else json.dumps(value)


def _told(key: str, value: object) -> str:
    return f"{key} ({_plain(value)})" if isinstance(value, Mapping) else f"{key}={_plain(value)}"
