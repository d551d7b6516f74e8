"""Real weights on drawn pictures: each shape is found, once, as it was drawn (IoU over 0.9)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest

from clickmask import Found, Segmenter

IOU = 0.9
Draw = Callable[..., np.ndarray]
GROUND = (225, 220, 210)


def _picture(size: tuple[int, int], shapes: list[tuple[np.ndarray, tuple[int, int, int]]]) -> np.ndarray:
    """(H, W, 3) uint8: shapes, (H, W) bool each, in their colours on plain ground, a little blurred as photos are."""
    pixels = np.full((size[1], size[0], 3), GROUND, np.uint8)
    for mask, colour in shapes:
        pixels[mask] = colour
    return cv2.GaussianBlur(pixels, (0, 0), 0.7)


def _iou(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


def _numbers(found: Found, shape: np.ndarray) -> list[int]:
    """The numbers of the masks that are this shape."""
    return [number for number, mask in enumerate(found) if _iou(mask.pixels, shape) > IOU]


def test_squares_are_found_each_once(segmenter: Segmenter, square: Draw) -> None:
    size = (320, 200)
    squares = [square(30, 30, 60, size), square(130, 40, 40, size), square(220, 90, 80, size)]
    colours = [(200, 40, 40), (40, 150, 60), (50, 60, 190)]
    image = segmenter.open(_picture(size, list(zip(squares, colours, strict=True))))
    found = image.everything(points_per_side=7)
    for drawn in squares:
        (number,) = _numbers(found, drawn)
        assert found[number].score > 0.88 and found[number].stability >= 0.95
        assert found[number].area < 1.1 * drawn.sum()


def test_touching_discs_are_told_apart(segmenter: Segmenter, disc: Draw) -> None:
    size = (320, 200)
    left, right = disc(110, 100, 50, size), disc(208, 100, 47, size)
    image = segmenter.open(_picture(size, [(left, (200, 60, 40)), (right, (40, 90, 190))]))
    found = image.everything(points_per_side=8, non_overlapping=True)
    (one,), (other,) = _numbers(found, left), _numbers(found, right)
    assert one != other and not (found[one].pixels & found[other].pixels).any()
    labels = found.label_map()
    assert labels[100, 110] == one + 1 and labels[100, 208] == other + 1


def test_discs_within_each_other_have_the_next_larger_as_parent(segmenter: Segmenter, disc: Draw) -> None:
    size = (256, 256)
    outer, middle, inner = (disc(128, 128, radius, size) for radius in (100, 62, 28))
    colours = [(190, 50, 50), (240, 210, 70), (40, 70, 170)]
    image = segmenter.open(_picture(size, list(zip((outer, middle, inner), colours, strict=True))))
    found = image.everything(points_per_side=8)
    numbers = [_numbers(found, drawn) for drawn in (outer, middle, inner)]
    assert all(len(own) == 1 for own in numbers)
    (a,), (b,), (c,) = numbers
    assert found.parents[b] == a and found.parents[c] == b


TILED: dict[str, Any] = {"tiles": 256, "tile_halo": 0.25, "points_per_side": 6}


@pytest.fixture(scope="module")
def discs(disc: Draw) -> list[np.ndarray]:
    """Five small ones in 2 x 2 tiles of a 448 x 448 image; the last on the seam of all four."""
    size = (448, 448)
    return [disc(x, y, 28, size) for x, y in ((90, 90), (350, 80), (100, 360), (345, 350), (222, 230))]


@pytest.mark.parametrize("whole", [pytest.param(True, marks=pytest.mark.soak), False])
def test_small_discs_in_tiles_are_found_once_and_whole(
    segmenter: Segmenter, discs: list[np.ndarray], whole: bool
) -> None:
    image = segmenter.open(_picture((448, 448), [(drawn, (180, 50, 60)) for drawn in discs]))
    found = image.everything(**TILED, whole=whole)
    for drawn in discs:
        assert len(_numbers(found, drawn)) == 1
        pieces = [mask for mask in found if 0 < (mask.pixels & drawn).sum() and mask.area < 0.9 * drawn.sum()]
        assert not pieces
    crops = {mask.crop for mask in found}
    assert whole or (0, 0, 448, 448) not in crops
    assert any(crop != (0, 0, 448, 448) for crop in crops)


def test_a_bar_across_three_tiles_is_one_mask(segmenter: Segmenter) -> None:
    size = (640, 256)
    bar = np.zeros(size[::-1], bool)
    bar[60:120, 40:600] = True
    image = segmenter.open(_picture(size, [(bar, (200, 30, 30))]))
    proposals = image.proposals(**TILED, whole=False, floor_score=0.88, floor_stability=0.85)
    cut = [c for c in proposals.finds.candidates if c.is_cut and _iou(c.runs.pixels() & bar, bar) > 0.2]
    assert {c.crop for c in cut} == {0, 1, 2}
    found = proposals.filter(stability_score_thresh=0.9)
    assert len(_numbers(found, bar)) == 1
