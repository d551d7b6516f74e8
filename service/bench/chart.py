"""Figures as a picture: bars on a logarithmic axis, ours and the peers', as SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from .figures import Figure, shown, times_better

_LEFT, _RIGHT, _WIDTH = 330, 190, 1000  # of the bars
_ROW, _BAR, _TOP = 22, 14, 64
_OURS, _PEER = "#0072bd", "#8a8f98"
_STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#1f2937}.dim{fill:#57606c}.grid{stroke:#e5e7eb}.title{font-size:17px}"
)


def chart(figures: Sequence[Figure], title: str) -> str:
    """The times among them, from the quickest decade to the slowest, with their medians in words."""
    times = [figure for figure in figures if figure.unit == "s"]
    low = math.floor(math.log10(min(figure.median for figure in times)))
    high = math.ceil(math.log10(max(figure.median for figure in times)))
    high = max(high, low + 1)
    rows = _rows(times)
    height = _TOP + _ROW * len(rows) + 12
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" '
        f'viewBox="0 0 {_WIDTH} {height}" role="img">',
        f'<title>{escape(title)}</title><style>{_STYLE}</style><rect width="{_WIDTH}" height="{height}" fill="#fff"/>',
        f'<text class="title" x="12" y="26">{escape(title)}</text>',
        f'<text class="dim" x="12" y="{_TOP - 12}">each line is ten times the one before</text>',
        *_axis(low, high, height),
    ]
    for number, row in enumerate(rows):
        y = _TOP + _ROW * number
        if isinstance(row, str):
            parts.append(f'<text x="12" y="{y + 15}" font-weight="600">{escape(row)}</text>')
        else:
            parts += _bar(row, times, y, low, high)
    return "\n".join([*parts, "</svg>\n"])


def _rows(times: Sequence[Figure]) -> list[str | Figure]:
    """Headings and figures, from above."""
    rows: list[str | Figure] = []
    for number, figure in enumerate(times):
        if number == 0 or figure.group != times[number - 1].group:
            rows.append(figure.group)
        rows.append(figure)
    return rows


def _axis(low: int, high: int, height: int) -> list[str]:
    parts = []
    for power in range(low, high + 1):
        x = _place(10.0**power, low, high)
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP - 6}" y2="{height - 8}"/>')
        parts.append(
            f'<text class="dim" x="{x:.1f}" y="{_TOP - 12}" text-anchor="middle">{shown(10.0**power, "s")}</text>'
        )
    return parts


def _bar(figure: Figure, times: Sequence[Figure], y: int, low: int, high: int) -> list[str]:
    end = _place(figure.median, low, high)
    better = times_better(figure, times)
    name = figure.name if better is None else figure.who
    words = shown(figure.median, "s") + ("" if better is None else f", {better:.1f} times ours")
    colour, look = (_OURS, "") if better is None else (_PEER, ' class="dim"')
    return [
        f'<text x="{_LEFT - 10}" y="{y + 15}" text-anchor="end"{look}>{escape(name)}</text>',
        f'<rect x="{_LEFT}" y="{y + 4}" width="{max(end - _LEFT, 1):.1f}" height="{_BAR}" rx="2" fill="{colour}"/>',
        f'<text x="{end + 8:.1f}" y="{y + 15}">{escape(words)}</text>',
    ]


def _place(seconds: float, low: int, high: int) -> float:
    share = (math.log10(seconds) - low) / (high - low)
    return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)
