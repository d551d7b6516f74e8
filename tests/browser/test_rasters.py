"""masks.js and rasters.js: masks measured, painted and enlarged, the same on the page as in its worker."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page

from clickmask.service import rle as ours


def _mask(pixels: np.ndarray, box: tuple[float, ...]) -> dict[str, Any]:
    return {"rle": ours.encode(pixels), "box": list(box), "score": 0.9, "full": False}


def _blob(height: int = 48, width: int = 64) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.hypot(y - height / 2, (x - width / 2) * 0.8) < height / 3


def _stroke(op: str, *points: list[float], radius: float = 10) -> dict[str, Any]:
    return {"op": op, "kind": "brush", "radius": radius, "points": list(points)}


def _masks(page: Page, expression: str, *arguments: object) -> Any:
    script = f"async (a) => {{ const masks = await import('./masks.js'); return {expression}; }}"
    return page.evaluate(script, arguments)


def _rasters(page: Page, body: str, *arguments: object) -> Any:
    """What `body` returns, given `rasters` and the arguments `a`."""
    script = f"""async (a) => {{
        const {{ Rasters }} = await import('./rasters.js');
        const rasters = new Rasters();
        const answer = async () => {{ {body} }};
        return answer().finally(() => rasters.close());
    }}"""
    return page.evaluate(script, arguments)


def test_a_mask_is_measured_in_pixels_of_the_image(functions: Page) -> None:
    """Columns 1 and 2 and row 1 of 4 x 2, each 10 x 20 image pixels, from (100, 50) on."""
    pixels = np.zeros((2, 4), bool)
    pixels[1, 1:3] = True
    measured = _masks(functions, "masks.measure(a[0].rle, a[0].box)", _mask(pixels, (100, 50, 140, 90)))
    assert measured == {"area": 400, "bounds": [110, 70, 130, 90]}


def test_bounds_hold_the_pixels_that_are_covered_in_part(functions: Page) -> None:
    """Three columns over ten: the middle one is 3.33 to 6.67."""
    pixels = np.array([[0, 1, 0]], bool)
    assert _masks(functions, "masks.measure(a[0].rle, a[0].box).bounds", _mask(pixels, (0, 0, 10, 1))) == [3, 0, 7, 1]


def test_an_empty_mask_measures_nothing(functions: Page) -> None:
    raster = {"width": 4, "height": 3, "box": [0, 0, 40, 30]}
    found = _masks(functions, "masks.emptyMask(a[0])", raster)
    assert found == {"rle": ours.encode(np.zeros((3, 4), bool)), "box": raster["box"], "area": 0, "bounds": None}


def test_a_point_is_on_a_mask_where_its_pixel_is(functions: Page) -> None:
    mask = _mask(np.array([[0, 1]], bool), (100, 50, 120, 60))
    points = [(109.9, 55), (110, 50), (119.9, 59.9), (120, 55), (115, 60), (99, 55)]
    found = _masks(functions, "a[1].map(([x, y]) => masks.isOn(a[0], x, y))", mask, points)
    assert found == [False, True, True, False, False, False]


def test_painting_keeps_what_is_known_of_the_mask_and_measures_it(functions: Page) -> None:
    mask = _mask(_blob(), (0, 0, 640, 480))
    painted = _rasters(functions, "return rasters.paint(...a)", mask, [_stroke("add", [600, 40], radius=30)])
    pixels = ours.decode(painted["rle"])
    assert painted["score"] == 0.9 and painted["box"] == mask["box"] and pixels[4, 60] and not pixels[4, 30]
    assert painted["area"] == pixels.sum() * 100
    assert painted["bounds"][2] == 10 * int(np.flatnonzero(pixels.any(0))[-1] + 1)


def test_the_worker_paints_as_the_page_does(modules: Page) -> None:
    """A stroke over the whole of a large raster is the worker's; piece by piece it is the page's."""
    big = {"width": 1600, "height": 1200, "box": [0, 0, 640, 480]}
    line = [[20.0, 30.0], [600.0, 250.0], [300.0, 450.0]]
    body = """
        const atOnce = await rasters.paint(a[0], [a[1]], a[2]);
        Object.defineProperty(globalThis, "Worker", { value: class { constructor() { throw new Error("none"); } } });
        const inline = new (await import("./rasters.js")).Rasters();
        const stroke = structuredClone(a[1]);
        return [atOnce, await inline.paint(a[0], [stroke], a[2])];
    """
    first, second = _rasters(modules, body, _mask(_blob(), (0, 0, 640, 480)), _stroke("add", *line, radius=40), big)
    assert first == second and first["rle"]["size"] == [1200, 1600]


def test_a_full_mask_takes_the_nearest_pixels_and_fine_strokes(functions: Page) -> None:
    pixels = _blob()
    square = {"op": "erase", "kind": "lasso", "radius": 1, "points": [[300, 200], [333, 200], [333, 251], [300, 251]]}
    full = _rasters(functions, "return rasters.toFull(a[0], 640, 480, a[1])", _mask(pixels, (0, 0, 640, 480)), [square])
    expected = np.kron(pixels, np.ones((10, 10), bool))
    expected[200:251, 300:333] = False
    assert full["full"] is True and full["rle"] == ours.encode(expected) and full["area"] == expected.sum()


def test_a_window_becomes_a_part_of_the_image(functions: Page) -> None:
    full = _rasters(functions, "return rasters.toFull(a[0], 100, 80)", _mask(np.ones((4, 4), bool), (10, 20, 50, 60)))
    assert (full["bounds"], full["area"]) == ([10, 20, 50, 60], 1600)


def test_outlines_are_the_same_from_the_worker(functions: Page) -> None:
    body = """
        const { outline } = await import("./outline.js");
        return [await rasters.outline(a[0], 2), outline(a[0], 2)].map((rings) => rings.map((ring) => [...ring]));
    """
    there, here = _rasters(functions, body, _mask(_blob(), (0, 0, 640, 480)))
    assert there == here and len(there[0]) > 20


def test_what_goes_wrong_in_the_worker_is_told_to_who_asked(functions: Page) -> None:
    broken = {"rle": {"size": [4, 4], "counts": "~"}, "box": [0, 0, 4, 4]}
    with pytest.raises(Exception, match="rle: counts is not a compressed COCO string"):
        _rasters(functions, "return rasters.outline(a[0], 1)", broken)


def test_a_picture_of_masks_sent_before_is_still_right_after_others_went(functions: Page) -> None:
    """Three masks side by side, each with 10 columns of its own; shown in turns."""
    masks = [np.zeros((10, 30), bool) for _ in range(3)]
    for i, pixels in enumerate(masks):
        pixels[:, 10 * i : 10 * i + 10] = True
    body = """
        const view = { scale: 1, x: 0, y: 0, ratio: 1, width: 30, height: 10 };
        const context = new OffscreenCanvas(30, 10).getContext("2d");
        const shown = [];
        for (const chosen of [[0, 1, 2], [1], [0, 2], [], [2]]) {
            const objects = chosen.map((i) => ({ mask: a[0][i], colour: [255, 0, 0] }));
            context.clearRect(0, 0, 30, 10);
            context.drawImage(await rasters.draw(objects, view, 0.5), 0, 0);
            shown.push([5, 15, 25].map((x) => context.getImageData(x, 5, 1, 1).data[3] > 100));
        }
        return shown;
    """
    shown = _rasters(functions, body, [_mask(pixels, (0, 0, 30, 10)) for pixels in masks])
    assert shown == [[i in chosen for i in range(3)] for chosen in ((0, 1, 2), (1,), (0, 2), (), (2,))]
