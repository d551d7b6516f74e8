"""strokes.js: strokes cover the pixels they should, in their order, on any raster, and nothing else changes."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from playwright.sync_api import Page

from clickmask.service import rle as ours

EDGE = 0.75  # pixels beside a stroke's edge where rounding may decide


def _paint(page: Page, mask: np.ndarray, strokes: list[dict[str, Any]], box: list[float] | None = None) -> np.ndarray:
    height, width = mask.shape
    raster = {"width": width, "height": height, "box": box or [0, 0, width, height]}
    script = "async (a) => (await import('./strokes.js')).paint(...a)"
    return ours.decode(page.evaluate(script, [ours.encode(mask), raster, strokes]), size=(width, height))


def _stroke(op: str, kind: str, points: list[list[float]], radius: float = 5) -> dict[str, Any]:
    return {"op": op, "kind": kind, "radius": radius, "points": points}


def _distance(points: list[list[float]], height: int, width: int) -> np.ndarray:
    """(H, W) from each pixel's centre to the line through the points."""
    y, x = np.mgrid[:height, :width] + 0.5
    best = np.full((height, width), np.inf)
    for (x0, y0), (x1, y1) in zip(points, points[1:] or points, strict=False):
        square = (x1 - x0) ** 2 + (y1 - y0) ** 2 or 1
        share = np.clip(((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / square, 0, 1)
        best = np.minimum(best, np.hypot(x - x0 - share * (x1 - x0), y - y0 - share * (y1 - y0)))
    return best


@pytest.mark.parametrize("points", [[[30, 25]], [[10, 10], [50, 30], [20, 45]], [[30, 25], [30, 25]]])
@pytest.mark.parametrize("radius", [2.5, 7])
def test_a_brush_covers_what_is_within_its_radius(functions: Page, points: list[list[float]], radius: float) -> None:
    found = _paint(functions, np.zeros((50, 60), bool), [_stroke("add", "brush", points, radius)])
    distance = _distance(points, 50, 60)
    assert found[distance < radius - EDGE].all()
    assert not found[distance > radius + EDGE].any()


def test_a_lasso_covers_what_it_encloses(functions: Page) -> None:
    points = [[10, 5], [50, 12], [35, 25], [48, 44], [8, 38]]
    found = _paint(functions, np.zeros((50, 60), bool), [_stroke("add", "lasso", points)])
    contour = np.array(points, np.float32)
    signed = np.array([[cv2.pointPolygonTest(contour, (x + 0.5, y + 0.5), True) for x in range(60)] for y in range(50)])
    assert found[signed > EDGE].all()
    assert not found[signed < -EDGE].any()


def test_a_lasso_along_pixel_edges_is_exact(functions: Page) -> None:
    found = _paint(functions, np.zeros((9, 9), bool), [_stroke("add", "lasso", [[2, 3], [7, 3], [7, 8], [2, 8]])])
    expected = np.zeros((9, 9), bool)
    expected[3:8, 2:7] = True
    assert (found == expected).all()


def test_a_lasso_that_crosses_itself_leaves_no_hole(functions: Page) -> None:
    """Twice round the same square."""
    square = [[2, 2], [8, 2], [8, 8], [2, 8]]
    assert _paint(functions, np.zeros((10, 10), bool), [_stroke("add", "lasso", square * 2)]).sum() == 36


def test_the_last_stroke_wins(functions: Page) -> None:
    add = _stroke("add", "lasso", [[0, 0], [6, 0], [6, 6], [0, 6]])
    erase = _stroke("erase", "lasso", [[3, 0], [9, 0], [9, 6], [3, 6]])
    empty = np.zeros((6, 9), bool)
    left, both = np.zeros((6, 9), bool), np.zeros((6, 9), bool)
    left[:, :3] = True
    both[:, :6] = True
    assert (_paint(functions, empty, [add, erase]) == left).all()
    assert (_paint(functions, empty, [erase, add]) == both).all()
    assert (_paint(functions, empty, [add, erase, add]) == both).all()


def test_pixels_away_from_the_strokes_are_untouched(functions: Page) -> None:
    mask = np.random.default_rng(1).random((80, 90)) < 0.5
    strokes = [_stroke("add", "brush", [[20, 20], [40, 30]], 6), _stroke("erase", "brush", [[60, 50]], 9)]
    found = _paint(functions, mask, strokes)
    added, erased = _distance(strokes[0]["points"], 80, 90), _distance(strokes[1]["points"], 80, 90)
    away = (added > 6 + EDGE) & (erased > 9 + EDGE)
    assert (found[away] == mask[away]).all()
    assert found[added < 6 - EDGE].all() and not found[erased < 9 - EDGE].any()


def test_strokes_lie_in_the_image_whatever_the_raster(functions: Page) -> None:
    """A raster of 40 x 30 over 100..260 x 40..160 of the image: four image pixels each."""
    square = [[120, 60], [200, 60], [200, 140], [120, 140]]
    found = _paint(functions, np.zeros((30, 40), bool), [_stroke("add", "lasso", square)], [100, 40, 260, 160])
    expected = np.zeros((30, 40), bool)
    expected[5:25, 5:25] = True
    assert (found == expected).all()


def test_strokes_beside_the_raster_change_nothing(functions: Page) -> None:
    mask = np.eye(20, dtype=bool)
    left = _stroke("add", "brush", [[-50, 10], [-20, 10]], 8)
    right = _stroke("erase", "lasso", [[30, 0], [40, 0], [40, 9]])
    assert (_paint(functions, mask, [left, right]) == mask).all()


def test_a_stroke_thinner_than_a_pixel_leaves_no_gaps(functions: Page) -> None:
    found = _paint(functions, np.zeros((40, 60), bool), [_stroke("add", "brush", [[2, 3], [57, 36]], 0.05)])
    assert found.any(0)[2:57].all()
    assert cv2.connectedComponents(found.astype(np.uint8), connectivity=8)[0] == 2


def test_a_stroke_over_a_large_image_is_drawn_whole(functions: Page) -> None:
    """More pixels than are drawn at a time, and spans that go on from column to column."""
    frame = [[0, 0], [2000, 0], [2000, 1500], [0, 1500]]
    hole = [[700, 300], [1300, 300], [1300, 1200], [700, 1200]]
    strokes = [_stroke("add", "lasso", frame), _stroke("erase", "lasso", hole)]
    expected = np.ones((1500, 2000), bool)
    expected[300:1200, 700:1300] = False
    assert (_paint(functions, np.zeros((1500, 2000), bool), strokes) == expected).all()


def test_a_stroke_that_went_on_is_drawn_anew(functions: Page) -> None:
    script = """async () => {
        const { paint } = await import('./strokes.js');
        const { area, empty } = await import('./rle.js');
        const raster = { width: 20, height: 10, box: [0, 0, 20, 10] };
        const stroke = { op: "add", kind: "lasso", radius: 1, points: [[0, 0], [4, 0], [4, 10]] };
        const first = area(paint(empty([10, 20]), raster, [stroke]));
        stroke.points.push([0, 10]);
        return [first, area(paint(empty([10, 20]), raster, [stroke]))];
    }"""
    first, second = functions.evaluate(script)
    assert first < second == 40


def test_strokes_cost_their_own_box_and_nothing_once_painted_there(functions: Page) -> None:
    """A square of 40 x 20 pixels, and one more on every side."""
    script = """async () => {
        const { cost, strokeSpans } = await import('./strokes.js');
        const [small, large] = [1, 4].map((k) => ({ width: 100 * k, height: 80 * k, box: [0, 0, 100, 80] }));
        const square = [[10, 10], [50, 10], [50, 30], [10, 30]];
        const strokes = [{ op: "add", kind: "lasso", radius: 1, points: square }];
        const before = cost(strokes, small);
        strokeSpans(strokes[0], small);
        return [before, cost(strokes, small), cost(strokes, large)];
    }"""
    assert functions.evaluate(script) == [42 * 22, 0, 162 * 82]
