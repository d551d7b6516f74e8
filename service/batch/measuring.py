"""From a photo's objects to what is counted of them."""

from __future__ import annotations

import numpy as np

from .. import rle
from ..formats import count_losses
from ..formats.result import ObjectResult, Result
from .settings import Formats
from .statistics import Statistics, area_bin, binned, score_bin


def measure(result: Result, formats: Formats) -> Statistics:
    """The statistics of a photo, and what the formats could not keep of it."""
    image = result.width * result.height
    areas = [_area(item) for item in result.objects]
    scores = [item.score for item in result.objects if item.score is not None]
    return Statistics(
        areas=binned(area_bin(area / image) for area in areas if area),
        scores=binned(score_bin(score) for score in scores),
        empty=areas.count(0),
        lowest=round(min(scores), 4) if scores else None,
        losses=_losses(result, formats),
    )


def _area(item: ObjectResult) -> int:
    return int(np.count_nonzero(item.pixels)) if isinstance(item.pixels, np.ndarray) else rle.area(item.pixels)


def _losses(result: Result, formats: Formats) -> tuple[tuple[str, int, int], ...]:
    found = []
    for name in formats.files:
        losses = count_losses(result, name, formats.options)
        if losses:
            found.append((name, len(losses), sum(loss.pixels for loss in losses)))
    return tuple(found)
