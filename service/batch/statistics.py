"""What is counted of a photo's objects, in its record; and of all photos together, in room that does not grow."""

from __future__ import annotations

import bisect
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

DECADES, PER_DECADE = 6, 4
AREA_BINS = DECADES * PER_DECADE
AREA_EDGES = tuple(10 ** (place / PER_DECADE - DECADES) for place in range(AREA_BINS + 1))  # shares of the image
SCORE_BINS = 50
SCORE_EDGES = tuple(place / SCORE_BINS for place in range(SCORE_BINS + 1))  # predicted IoU
Bins = tuple[tuple[int, int], ...]  # (place, count) of those that hold something


def area_bin(share: float) -> int:
    """The place in AREA_EDGES of a share of the image, above 0 and up to 1; the first holds all that is smaller."""
    return _place(AREA_EDGES, share)


def score_bin(score: float) -> int:
    """The place in SCORE_EDGES of a predicted IoU; what the model guesses below 0 or above 1 lies in the outer ones."""
    return _place(SCORE_EDGES, score)


def binned(places: Iterable[int]) -> Bins:
    """How many there are of each, by place."""
    found: dict[int, int] = {}
    for place in places:
        found[place] = found.get(place, 0) + 1
    return tuple(sorted(found.items()))


class Statistics(NamedTuple):
    """Of one photo's objects.

    areas, scores: how many lie in each bin of AREA_EDGES and SCORE_EDGES. empty: masks without a pixel, which are in no
    bin of areas. lowest: the lowest predicted IoU, None without objects. losses: (format, objects, pixels) for each
    format that could not keep some.
    """

    areas: Bins = ()
    scores: Bins = ()
    empty: int = 0
    lowest: float | None = None
    losses: tuple[tuple[str, int, int], ...] = ()

    @classmethod
    def parse(cls, values: Any) -> Statistics | None:
        """From plain values, as the journal holds them; None from None. Raises ValueError, TypeError or KeyError."""
        if values is None:
            return None
        lowest = values.get("lowest")
        areas, scores = _bins(values["areas"], AREA_BINS), _bins(values["scores"], SCORE_BINS)
        losses = tuple([(str(name), int(objects), int(pixels)) for name, objects, pixels in values.get("losses", ())])
        return cls(areas, scores, int(values.get("empty", 0)), None if lowest is None else float(lowest), losses)

    def values(self) -> dict[str, Any]:
        """As plain values, for the journal; what says nothing is left out."""
        others = {"empty": self.empty or None, "lowest": self.lowest, "losses": self.losses or None}
        return {"areas": self.areas, "scores": self.scores} | {k: v for k, v in others.items() if v is not None}


@dataclass
class Histograms:
    """Of the objects of all photos. empty: masks without a pixel."""

    areas: list[int] = field(default_factory=lambda: [0] * AREA_BINS)
    scores: list[int] = field(default_factory=lambda: [0] * SCORE_BINS)
    empty: int = 0

    def add(self, one: Statistics) -> None:
        """One photo more."""
        for counts, bins in ((self.areas, one.areas), (self.scores, one.scores)):
            for place, count in bins:
                counts[place] += count
        self.empty += one.empty

    def values(self) -> dict[str, Any]:
        """As plain values: edges (one more than counts) and counts."""
        areas = {"edges": [float(f"{edge:.4g}") for edge in AREA_EDGES], "counts": self.areas, "empty": self.empty}
        return {"area_share": areas, "predicted_iou": {"edges": list(SCORE_EDGES), "counts": self.scores}}


@dataclass
class Spread:
    """Mean and scatter of a number that every photo has."""

    count: int = 0
    total: float = 0.0
    squares: float = 0.0

    def add(self, value: float) -> None:
        """One more."""
        self.count += 1
        self.total += value
        self.squares += value * value

    @property
    def mean(self) -> float:
        """0 of none."""
        return self.total / self.count if self.count else 0.0

    def error_of(self, others: int) -> float:
        """How far the sum over so many others may be from `others` times the mean, 19 times of 20 or so."""
        if self.count < 2 or not others:
            return 0.0
        variance = max(0.0, (self.squares - self.count * self.mean**2) / (self.count - 1))
        return 2 * others * (variance * (1 / self.count + 1 / others)) ** 0.5


def _place(edges: tuple[float, ...], value: float) -> int:
    return min(max(bisect.bisect_right(edges, value) - 1, 0), len(edges) - 2)


def _bins(values: Any, most: int) -> Bins:
    found = tuple([(int(place), int(count)) for place, count in values])
    for place, count in found:
        if not 0 <= place < most or count < 0:
            raise ValueError(f"expected places below {most}")
    return found
