"""The report's pictures of numbers: bars as SVG, and the numbers as text. No style stands in an attribute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import accumulate

_WIDTH, _HEIGHT = 440, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 20, 10, 42  # room for the axes


@dataclass(frozen=True)
class Histogram:
    """Counts of bins with labels; ticks: (place among the bins' edges, text); axis: what the edges are."""

    name: str
    title: str
    axis: str
    labels: Sequence[str]
    counts: Sequence[int]
    ticks: Sequence[tuple[int, str]]

    def figure(self) -> str:
        """The bars, and a table of them to be opened."""
        return (
            f"<figure><figcaption>{escape(self.title)}</figcaption>\n{self._svg()}\n"
            f"<details><summary>The numbers</summary>\n{self._table()}\n</details></figure>"
        )

    def _svg(self) -> str:
        top = nice_top(max(self.counts, default=0))
        step = (_WIDTH - _LEFT - _RIGHT) / max(1, len(self.counts))
        base = _HEIGHT - _BOTTOM
        parts = [
            f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-labelledby="{self.name}-title">',
            f'<title id="{self.name}-title">{escape(self._told())}</title>',
        ]
        for share in (0.5, 1.0):
            y = base - share * (base - _TOP)
            parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:g}" y2="{y:g}"/>')
            parts.append(f'<text class="end" x="{_LEFT - 6}" y="{y + 4:g}">{top * share:,g}</text>')
        parts.append(f'<text class="end" x="{_LEFT - 6}" y="{base + 4}">0</text>')
        for place, count in enumerate(self.counts):
            if count:
                height = max(1.0, (base - _TOP) * count / top)
                parts.append(
                    f'<rect class="bar" x="{_LEFT + place * step + 0.5:.2f}" y="{base - height:.2f}" '
                    f'width="{step - 1:.2f}" height="{height:.2f}"><title>{escape(self.labels[place])}: {count:,}'
                    "</title></rect>"
                )
        parts.append(f'<line class="axis" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{base}" y2="{base}"/>')
        for place, text in self.ticks:
            x = _LEFT + place * step
            parts.append(f'<line class="axis" x1="{x:.2f}" x2="{x:.2f}" y1="{base}" y2="{base + 4}"/>')
            parts.append(f'<text class="middle" x="{x:.2f}" y="{base + 17}">{escape(text)}</text>')
        middle = (_LEFT + _WIDTH - _RIGHT) / 2
        parts.append(f'<text class="middle" x="{middle:g}" y="{_HEIGHT - 6}">{escape(self.axis)}</text></svg>')
        return "\n".join(parts)

    def _told(self) -> str:
        total = sum(self.counts)
        if not total:
            return f"{self.title}: nothing to show"
        so_far = list(accumulate(self.counts))
        middle = next(place for place, count in enumerate(so_far) if 2 * count >= total)
        return f"{self.title}: {total:,} in all; half of them are below or in {self.labels[middle]}"

    def _table(self) -> str:
        rows = "\n".join(
            f'<tr><th scope="row">{escape(label)}</th><td class="number">{count:,}</td></tr>'
            for label, count in zip(self.labels, self.counts, strict=True)
            if count
        )
        head = f'<tr><th scope="col">{escape(self.axis)}</th><th scope="col" class="number">objects</th></tr>'
        return f'<table class="narrow"><thead>{head}</thead><tbody>\n{rows}\n</tbody></table>'


def nice_top(most: int) -> int:
    """The end of an axis from 0 that holds `most`: an even number of few digits, so that half of it is whole."""
    for power in range(19):
        for digits in (2, 4, 6, 8, 10):
            if most <= digits * 10**power:
                return digits * 10**power
    return most


def share_bar(parts: Sequence[tuple[str, int]], total: int, told: str) -> str:
    """A bar of all photos: (class, count) one after the other; what is left of `total` stays empty."""
    rects, at = [], 0.0
    for name, count in parts:
        width = 1000 * count / max(1, total)
        rects.append(f'<rect class="{name}" x="{at:.2f}" y="0" width="{width:.2f}" height="10"/>')
        at += width
    return (
        f'<svg class="share" viewBox="0 0 1000 10" preserveAspectRatio="none" role="img" aria-label="{escape(told)}">'
        f"{''.join(rects)}</svg>"
    )
