"""One ring a part, holes and all, that every kind of reader fills to the very mask."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw
from pycocotools import mask as coco

from clickmask.models.errors import PromptError
from clickmask.service.formats.rings import INSET, to_rings
from clickmask.service.polygons import from_polygons

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of pycocotools

Rings = list[np.ndarray]
Size = tuple[int, int]


def _ours(rings: Rings, size: Size) -> np.ndarray:
    return from_polygons([[ring] for ring in rings], size)


def _pycocotools(rings: Rings, size: Size) -> np.ndarray:
    flat = [ring.ravel().tolist() for ring in rings]
    return coco.decode(coco.merge(coco.frPyObjects(flat, size[1], size[0]))) > 0


def _labelme(rings: Rings, size: Size) -> np.ndarray:
    """As labelme's `shape_to_mask` does: filled and outlined by Pillow, a shape at a time."""
    mask = np.zeros(size[::-1], bool)
    for ring in rings:
        image = Image.new("L", size)
        ImageDraw.Draw(image).polygon([(x, y) for x, y in ring.tolist()], outline=1, fill=1)
        mask |= np.asarray(image) > 0
    return mask


def _opencv(rings: Rings, size: Size) -> np.ndarray:
    """As most converters do: decimals cut off, filled by OpenCV."""
    mask = np.zeros(size[::-1], np.uint8)
    for ring in rings:
        cv2.fillPoly(mask, [ring.astype(np.int32)], 1)
    return mask > 0


def _mask(*rows: str) -> np.ndarray:
    return np.array([[cell == "#" for cell in row] for row in rows])


READERS = [_ours, _pycocotools, _labelme, _opencv]


@pytest.mark.parametrize("read", READERS)
def test_each_kind_of_reader_gets_the_very_mask(
    read: Callable[[Rings, Size], np.ndarray], random_masks: list[np.ndarray]
) -> None:
    draw = np.random.default_rng(3)
    small = [draw.random((7, 8)) < share for share in np.linspace(0.4, 0.95, 150)]
    for mask in [*random_masks, *small]:
        rings = to_rings(mask)
        if rings:
            assert np.array_equal(read(rings, mask.shape[::-1]), mask), mask.astype(int)


def test_a_square_is_its_corners_a_tenth_within() -> None:
    (ring,) = to_rings(_mask("....", ".##.", ".##."))
    assert {(x, y) for x, y in ring.tolist()} == {(1.1, 1.1), (2.9, 1.1), (2.9, 2.9), (1.1, 2.9)}
    assert len(ring) == 4 and INSET == 0.1


def test_a_hole_is_joined_by_a_slit_straight_down() -> None:
    mask = _mask("###", "#.#", "###")
    (ring,) = to_rings(mask)
    corners = [tuple(corner) for corner in ring.tolist()]
    down = corners.index((1.1, 0.1))
    assert corners[down + 1] == (1.1, 0.9)
    assert corners.count((1.1, 0.1)) == corners.count((1.1, 0.9)) == 2
    assert len(corners) == 4 + 4 + 4  # the square, the hole, and the slit's two ends twice


def test_there_is_a_ring_for_each_part() -> None:
    assert len(to_rings(_mask("#.#", "...", "##."))) == 3
    assert len(to_rings(_mask("#.", ".#"))) == 1  # pixels that touch by corners hang together
    assert to_rings(np.zeros((3, 3), bool)) == []


def test_tolerance_makes_rings_simpler_within_its_distance() -> None:
    side = np.arange(-60, 61)
    mask = (side[:, None] ** 2 + side**2 <= 55**2) & (side[:, None] ** 2 + side**2 >= 20**2)
    (exact,), (simple,) = to_rings(mask), to_rings(mask, 1.5)
    assert len(simple) < len(exact) / 4
    painted = _ours([simple], (121, 121))
    to_edge = sum(cv2.distanceTransform(half.astype(np.uint8), cv2.DIST_L2, 5) for half in (mask, ~mask))
    assert np.asarray(to_edge)[painted != mask].max() <= 1.5 + 0.5  # from the middle of a pixel to its neighbour's
    assert not painted[60, 60] and painted[60, 20]


def test_parts_that_would_collapse_stay_exact() -> None:
    mask = _mask("#....", ".....", "....#")
    assert np.array_equal(_ours(to_rings(mask, 20.0), (5, 3)), mask)


@pytest.mark.parametrize("tolerance", [-1.0, float("nan")])
def test_a_tolerance_that_is_none_is_refused(tolerance: float) -> None:
    with pytest.raises(PromptError, match="tolerance"):
        to_rings(np.ones((2, 2), bool), tolerance)
