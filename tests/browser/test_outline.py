"""outline.js: rings that hold exactly the mask's pixels, and lines drawn from them that stay close to these."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from playwright.sync_api import Page

from clickmask.service import rle as ours


def _ask(page: Page, expression: str, *arguments: object) -> Any:
    """The value of an expression over the module `outline` and the arguments `a`."""
    script = f"async (a) => {{ const outline = await import('./outline.js'); return {expression}; }}"
    return page.evaluate(script, arguments)


def _trace(page: Page, *masks: np.ndarray) -> list[list[np.ndarray]]:
    """Rings, (N, 2) x y each, of each mask."""
    given = [ours.encode(mask) for mask in masks]
    traced = _ask(page, "a[0].map((m) => outline.trace(m).map((ring) => Array.from(ring)))", given)
    return [[np.array(ring).reshape(-1, 2) for ring in rings] for rings in traced]


def _area(ring: np.ndarray) -> float:
    """By shoelace; positive when it runs clockwise on the screen."""
    x, y = ring.T
    return float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y)) / 2


def _noise(seed: int, height: int, width: int, share: float) -> np.ndarray:
    return np.random.default_rng(seed).random((height, width)) < share


def _blob(height: int = 120, width: int = 160) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    ring = np.hypot(y - 60, x - 80)
    return (ring < 50) & (ring > 20) | (np.hypot(y - 20, x - 20) < 15)


def _filled(rings: list[np.ndarray], height: int, width: int) -> np.ndarray:
    """(H, W) bool: the pixels whose centre is inside by the even-odd rule, one scan line after the other."""
    filled = np.zeros((height, width), bool)
    for ring in rings:
        for (x, y0), (_, y1) in zip(ring, np.roll(ring, -1, 0), strict=True):
            filled[min(y0, y1) : max(y0, y1), x:] ^= True
    return filled


def test_one_pixel_has_four_corners(functions: Page) -> None:
    mask = np.zeros((3, 4), bool)
    mask[1, 2] = True
    (rings,) = _trace(functions, mask)
    assert [sorted(map(tuple, ring.tolist())) for ring in rings] == [[(2, 1), (2, 2), (3, 1), (3, 2)]]


def test_an_l_has_six_corners_in_order(functions: Page) -> None:
    """# .
    # #   clockwise from any corner."""
    (rings,) = _trace(functions, np.array([[1, 0], [1, 1]], bool))
    corners = [(0, 0), (1, 0), (1, 1), (2, 1), (2, 2), (0, 2)]
    found = [tuple(point) for point in rings[0].tolist()]
    start = found.index((0, 0))
    assert len(rings) == 1 and found[start:] + found[:start] == corners


def test_a_hole_runs_the_other_way(functions: Page) -> None:
    mask = np.ones((5, 5), bool)
    mask[2, 2] = False
    (rings,) = _trace(functions, mask)
    assert sorted(_area(ring) for ring in rings) == [-1, 25]


def test_pixels_that_meet_at_a_corner_are_separate(functions: Page) -> None:
    falling = np.eye(2, dtype=bool)
    assert [[_area(ring) for ring in rings] for rings in _trace(functions, falling, falling[::-1])] == [[1, 1], [1, 1]]


def test_rings_enclose_exactly_the_masks_pixels(functions: Page) -> None:
    sizes = ((1, 1), (1, 20), (20, 1), (17, 23))
    masks = [_noise(seed, h, w, p) for seed, (h, w) in enumerate(sizes) for p in (0.0, 0.2, 0.5, 0.8, 1.0)]
    masks.append(_blob())
    for mask, rings in zip(masks, _trace(functions, *masks), strict=True):
        assert sum(_area(ring) for ring in rings) == mask.sum()
        assert (_filled(rings, *mask.shape) == mask).all()


def test_every_ring_is_one_part_or_one_hole(functions: Page) -> None:
    mask = _noise(3, 60, 70, 0.6)
    (rings,) = _trace(functions, mask)
    parts = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)[0] - 1
    holes = cv2.connectedComponents(np.pad(~mask, 1, constant_values=True).astype(np.uint8), connectivity=8)[0] - 2
    assert sum(_area(ring) > 0 for ring in rings) == parts
    assert sum(_area(ring) < 0 for ring in rings) == holes


def test_no_point_of_a_ring_lies_on_a_straight_line(functions: Page) -> None:
    for ring in (ring for rings in _trace(functions, _blob(), _noise(4, 30, 30, 0.5)) for ring in rings):
        along = np.roll(ring, -1, 0) - ring
        turns = along[:, 0] * np.roll(along, -1, 0)[:, 1] - along[:, 1] * np.roll(along, -1, 0)[:, 0]
        assert (turns != 0).all()


def _distances(points: np.ndarray, ring: np.ndarray) -> np.ndarray:
    """From each point to the nearest of the ring's lines."""
    start, along = ring[None], (np.roll(ring, -1, 0) - ring)[None]
    share = ((points[:, None] - start) * along).sum(-1) / np.maximum((along**2).sum(-1), 1e-12)
    return np.linalg.norm(points[:, None] - start - np.clip(share, 0, 1)[..., None] * along, axis=-1).min(1)


def test_smooth_lines_stay_within_a_pixel_of_the_edge(functions: Page) -> None:
    masks = [_blob(), _noise(5, 40, 40, 0.55)]
    for mask, rings in zip(masks, _trace(functions, *masks), strict=True):
        smooth = _ask(
            functions, "outline.trace(a[0]).map((ring) => Array.from(outline.smooth(ring)))", ours.encode(mask)
        )
        for ring, line in zip(rings, smooth, strict=True):
            assert _distances(np.array(line).reshape(-1, 2), ring).max() < 1


def test_a_disc_is_smooth_and_keeps_its_area(functions: Page) -> None:
    """A circle's outline is 2 pi r long; pixel stairs are 8 r."""
    y, x = np.mgrid[:101, :101]
    disc = np.hypot(y - 50, x - 50) < 40
    given = {"rle": ours.encode(disc), "box": [0, 0, 101, 101], "full": False}
    (line,) = _ask(functions, "outline.outline(a[0], 1).map((ring) => Array.from(ring))", given)
    ring = np.array(line).reshape(-1, 2)
    length = np.linalg.norm(np.roll(ring, -1, 0) - ring, axis=1).sum()
    assert length == pytest.approx(2 * np.pi * 40, rel=0.02)
    assert _area(ring) == pytest.approx(disc.sum(), rel=0.01)


@pytest.mark.parametrize("tolerance", [0.0, 0.3, 2.0])
def test_what_is_left_out_lies_near_the_lines(functions: Page, tolerance: float) -> None:
    given = ours.encode(_blob())
    script = "outline.trace(a[0]).map(outline.smooth).map((r) => [r, outline.simplify(r, a[1])].map((l) => [...l]))"
    for before, after in _ask(functions, script, given, tolerance):
        points, kept = np.array(before).reshape(-1, 2), np.array(after).reshape(-1, 2)
        assert _distances(points, kept).max() <= 1.5 * tolerance + 1e-9
        assert len(kept) < len(points)


def test_lines_of_any_order_of_points_stay_near_them(functions: Page) -> None:
    points = np.random.default_rng(9).normal(size=(400, 2)).cumsum(0)
    points = np.concatenate((points, points[::-1] + 0.01))
    kept = np.array(_ask(functions, "[...outline.simplify(a[0], 0.7)]", points.ravel().tolist())).reshape(-1, 2)
    assert _distances(points, kept).max() <= 1.5 * 0.7
    assert len(kept) < len(points)


def test_a_speck_smaller_than_the_tolerance_keeps_three_points(functions: Page) -> None:
    given = ours.encode(np.pad(np.ones((1, 1), bool), 3))
    assert _ask(functions, "outline.simplify(outline.smooth(outline.trace(a[0])[0]), 50).length", given) == 6


def test_lines_lie_in_the_box_of_the_image_that_the_mask_is_spread_over(functions: Page) -> None:
    """Two columns over 100..300 and two rows over 50..90: the right column is 200..300, 50..90."""
    given = {"rle": ours.encode(np.array([[0, 1], [0, 1]], bool)), "box": [100, 50, 300, 90], "full": True}
    (line,) = _ask(functions, "outline.outline(a[0], 64).map((ring) => Array.from(ring))", given)
    assert sorted(map(tuple, np.array(line).reshape(-1, 2).tolist())) == [(200, 50), (200, 90), (300, 50), (300, 90)]


def test_an_empty_mask_has_no_lines(functions: Page) -> None:
    assert _trace(functions, np.zeros((5, 4), bool)) == [[]]
