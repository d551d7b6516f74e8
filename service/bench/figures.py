"""A figure: what was measured, of whom, how often, and what came out."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

OURS = "clickmask"
MORE_IS_BETTER = {"s": False, "MB": False, "1/s": True}  # by unit


@dataclass(frozen=True)
class Figure:
    """One thing that was measured.

    group: the model, as it was asked for ("vit_t"). name: what was done, and with what span. unit: "s", "MB" or "1/s".
    values: of every run, in their order. who: "clickmask", or a peer on the same weights.
    """

    group: str
    name: str
    unit: str
    values: tuple[float, ...]
    who: str = OURS

    @property
    def median(self) -> float:
        """Of the runs."""
        return statistics.median(self.values)

    def as_json(self) -> dict[str, Any]:
        """Plain values, in seconds, megabytes or pieces a second."""
        return {
            "group": self.group,
            "name": self.name,
            "who": self.who,
            "unit": self.unit,
            "median": self.median,
            "least": min(self.values),
            "most": max(self.values),
            "runs": len(self.values),
            "values": list(self.values),
        }


def times_better(figure: Figure, figures: Sequence[Figure]) -> float | None:
    """How many times better ours is than this peer's; None for ours, and where there is nothing beside it."""
    same = (figure.group, figure.name)
    ours = [one for one in figures if one.who == OURS and (one.group, one.name) == same]
    if figure.who == OURS or not ours:
        return None
    ratio = figure.median / ours[0].median
    return 1 / ratio if MORE_IS_BETTER[figure.unit] else ratio


def shown(value: float, unit: str) -> str:
    """For people: three digits that count, in the unit that suits it."""
    if unit == "s" and value < 0.9995:
        return f"{_three(1000 * value)} ms"
    words = {"s": "s", "MB": "MB", "1/s": "a second"}
    return f"{value:,.0f} MB" if unit == "MB" else f"{_three(value)} {words[unit]}"


def _three(value: float) -> str:
    """With three digits that count, but never with an exponent."""
    return f"{value:.3g}" if value < 999.5 else f"{value:,.0f}"
