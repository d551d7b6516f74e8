"""What an adaptive search misses of the full one's result, and what it spares, on the shipped photos."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from clickmask import Found, Segmenter
from clickmask.service.everything.suppression import boxes_meet

IOU = 0.9
FIGURES = logging.getLogger("figures")


def _recall(full: Found, other: Found) -> float:
    """The share of the full result's masks that the other has, at an IoU over 0.9."""

    def has(number: int) -> bool:
        own = full[number].runs
        for mask in other:
            if boxes_meet(own, mask.runs):
                shared = own.overlap(mask.runs)
                if shared > IOU * (own.area + mask.area - shared):
                    return True
        return False

    return sum(map(has, range(len(full)))) / len(full)


@pytest.mark.soak
def test_an_adaptive_search_finds_nine_tenths_with_fewer_points(segmenter: Segmenter, photos: list[Path]) -> None:
    """Measured (MobileSAM, float32, square; nine photos, 32 points a side): recall 0.94 of 21 masks a photo, at the
    least 0.79, with 72% of the points.
    """
    recalls: list[float] = []
    shares: list[float] = []
    for path in photos:
        image = segmenter.open(path)
        full, quick = image.everything(), image.everything(adaptive=True)
        recalls.append(_recall(full, quick))
        shares.append(quick.points / full.points)
        FIGURES.warning("%s: %d masks, recall %.3f, %.3f of the points", path.stem, len(full), recalls[-1], shares[-1])
    assert sum(recalls) / len(recalls) > 0.9 and min(recalls) > 0.75
    assert sum(shares) / len(shares) < 0.8
