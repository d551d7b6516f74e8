"""Outlines that give the very mask back."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco

from clickmask.models.errors import PromptError
from clickmask.service import rle
from clickmask.service.polygons import from_polygons, to_polygons


def _mask(*rows: str) -> np.ndarray:
    return np.array([[cell == "#" for cell in row] for row in rows])


def _area(ring: np.ndarray) -> float:
    """Positive when the ring runs clockwise on the screen."""
    x, y = ring.astype(float).T
    return float((x * np.roll(y, -1) - y * np.roll(x, -1)).sum() / 2)


def _disc(radius: int) -> np.ndarray:
    side = np.arange(-radius - 3, radius + 4)
    return side[:, None] ** 2 + side**2 <= radius**2


def test_one_pixel_is_its_square() -> None:
    assert [[ring.tolist() for ring in part] for part in to_polygons(_mask("..", ".#"))] == [
        [[[1, 1], [2, 1], [2, 2], [1, 2]]]
    ]


def test_empty_mask_has_no_parts() -> None:
    assert to_polygons(np.zeros((4, 5), bool)) == []
    assert not from_polygons([], (5, 4)).any()


def test_round_trip_is_exact(random_masks: list[np.ndarray]) -> None:
    for mask in random_masks:
        height, width = mask.shape
        assert np.array_equal(from_polygons(to_polygons(mask), (width, height)), mask)


def test_parts_and_holes_are_the_connected_components(random_masks: list[np.ndarray]) -> None:
    for mask in random_masks:
        parts = to_polygons(mask)
        count, _ = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
        outside = np.pad(~mask, 1, constant_values=True).astype(np.uint8)
        gaps, _ = cv2.connectedComponents(outside, connectivity=4)
        assert len(parts) == count - 1
        assert sum(len(part) - 1 for part in parts) == gaps - 2


def test_area_within_the_rings_is_the_count_of_pixels(random_masks: list[np.ndarray]) -> None:
    for mask in random_masks:
        parts = to_polygons(mask)
        assert sum(_area(ring) for part in parts for ring in part) == mask.sum()
        assert all(_area(part[0]) > 0 for part in parts)
        assert all(_area(hole) < 0 for part in parts for hole in part[1:])


def test_neighbouring_corners_differ_in_one_direction_only(random_masks: list[np.ndarray]) -> None:
    for mask in random_masks:
        for ring in (ring for part in to_polygons(mask) for ring in part):
            steps = np.roll(ring, -1, axis=0) - ring
            assert ((steps == 0).sum(axis=1) == 1).all()
            assert ((steps[:, 0] == 0) != (np.roll(steps, -1, axis=0)[:, 0] == 0)).all()


def test_island_in_a_hole_is_a_part_of_its_own() -> None:
    mask = _mask("#####", "#...#", "#.#.#", "#...#", "#####")
    outer, island = to_polygons(mask)
    assert [len(outer), len(island)] == [2, 1]
    assert [_area(ring) for ring in outer] == [25, -9]
    assert island[0].tolist() == [[2, 2], [3, 2], [3, 3], [2, 3]]


def test_pixels_that_touch_by_corners_are_one_part() -> None:
    for mask in (_mask("#.", ".#"), _mask(".#", "#.")):
        ((ring,),) = to_polygons(mask)
        assert len(ring) == 8


def test_holes_that_touch_by_corners_are_two_holes() -> None:
    for mask in (_mask("####", "#.##", "##.#", "####"), _mask("####", "##.#", "#.##", "####")):
        ((_, *holes),) = to_polygons(mask)
        assert sorted(_area(hole) for hole in holes) == [-1, -1]


def test_full_mask_is_the_image_s_own_rectangle() -> None:
    ((ring,),) = to_polygons(np.ones((4, 7), bool))
    assert ring.tolist() == [[0, 0], [7, 0], [7, 4], [0, 4]]


def test_pycocotools_rasterises_rings_to_the_same_pixels() -> None:
    mask = _disc(20)
    mask[40:, 30:] = mask[20, 20:22] = True
    height, width = mask.shape
    rings = [part[0].ravel().astype(float).tolist() for part in to_polygons(mask)]
    painted = rle.decode(coco.merge(coco.frPyObjects(rings, height, width)))
    assert np.array_equal(painted, mask)


def test_tolerance_makes_rings_simpler_and_stays_close() -> None:
    mask = _disc(100)
    height, width = mask.shape
    exact, simple = to_polygons(mask), to_polygons(mask, tolerance=1.0)
    assert len(simple[0][0]) < len(exact[0][0]) / 4
    painted = from_polygons(simple, (width, height))
    assert (painted & mask).sum() / (painted | mask).sum() > 0.98


def test_tolerance_loses_no_part_but_may_lose_holes() -> None:
    mask = _mask("#....", ".....", "..###", "..#.#", "..###")
    first, second = to_polygons(mask, tolerance=3.0)
    assert (len(first), len(second)) == (1, 1)
    assert first[0].tolist() == [[0, 0], [1, 0], [1, 1], [0, 1]]


def test_fractional_rings_take_the_pixels_whose_middle_is_inside() -> None:
    triangle = [(0.0, 0.0), (4.0, 0.0), (0.0, 4.0)]
    expected = _mask("###.", "##..", "#...", "....")
    painted = from_polygons([[triangle]], (4, 4))
    assert np.array_equal(painted, expected)


def test_rings_are_cut_off_at_the_image() -> None:
    around = [(-10, -10), (90, -10), (90, 90), (-10, 90)]
    assert from_polygons([[around]], (5, 3)).all()
    beside = [(50, 0), (60, 0), (60, 9), (50, 9)]
    assert not from_polygons([[beside]], (5, 3)).any()


def test_overlapping_parts_are_joined() -> None:
    square = [(0, 0), (3, 0), (3, 3), (0, 3)]
    assert from_polygons([[square], [square]], (3, 3)).all()


@pytest.mark.parametrize(
    "ring",
    [[(0, 0), (1, 1)], [0, 1, 2, 3], [(0, 0), (1, 1), (2, float("nan"))], [(0, 0), (1e12, 0), (0, 1)], "abc"],
)
def test_what_is_no_ring_is_refused(ring: object) -> None:
    with pytest.raises(PromptError, match="^polygons: "):
        from_polygons([[ring]], (5, 5))  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("tolerance", [-1.0, float("nan")])
def test_negative_tolerance_is_refused(tolerance: float) -> None:
    with pytest.raises(PromptError, match="tolerance"):
        to_polygons(np.ones((3, 3), bool), tolerance)
