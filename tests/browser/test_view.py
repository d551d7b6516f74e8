"""view.js: screen to image and back, zoom about a point, and limits within which the image cannot be lost."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page


def _view(page: Page, body: str, canvas: str = "800, 600", image: str = "4000, 3000") -> Any:
    """What `body` returns, given a `view` of that canvas and image."""
    script = f"""async () => {{
        const {{ View }} = await import('./view.js');
        const view = new View();
        view.setCanvas({canvas});
        view.setImage({image});
        {body}
    }}"""
    return page.evaluate(script)


def test_screen_and_image_are_each_others_inverse(functions: Page) -> None:
    body = """
        view.zoomAt(123, 45, 3.7);
        view.panBy(-31, 17);
        return [[0, 0], [12.25, 399.5], [-50, 900]].map((p) => [p, view.toImage(...view.toScreen(...p))]);
    """
    for point, returned in _view(functions, body):
        assert returned == pytest.approx(point, abs=1e-9)


def test_a_fitted_image_is_in_the_middle_with_a_margin(functions: Page) -> None:
    """568 of 600 rows hold the 3000: the 4000 columns then take 757.33 of 800."""
    corners = _view(functions, "return [...view.toScreen(0, 0), ...view.toScreen(4000, 3000)]")
    assert corners == pytest.approx([400 - 757.3333 / 2, 16, 400 + 757.3333 / 2, 584], abs=1e-3)


@pytest.mark.parametrize("factor", [0.5, 1.1, 6])
def test_zooming_keeps_the_point_under_the_pointer(functions: Page, factor: float) -> None:
    body = f"""
        view.zoomAt(400, 300, 4);
        const before = view.toImage(200, 500);
        view.zoomAt(200, 500, {factor});
        return [before, view.toImage(200, 500)];
    """
    before, after = _view(functions, body)
    assert after == pytest.approx(before, abs=1e-9)


def test_zoom_and_its_inverse_return_to_the_same_view(functions: Page) -> None:
    body = """
        view.zoomAt(10, 20, 3);
        const before = [view.scale, view.x, view.y];
        view.zoomAt(333, 222, 2.5);
        view.zoomAt(333, 222, 1 / 2.5);
        return [before, [view.scale, view.x, view.y]];
    """
    before, after = _view(functions, body)
    assert after == pytest.approx(before, abs=1e-9)


def test_scale_stays_between_half_the_fit_and_64(functions: Page) -> None:
    body = """
        const fit = view.scale;
        view.zoomAt(400, 300, 1e-6);
        const least = view.scale;
        view.zoomAt(400, 300, 1e9);
        return [least / fit, view.scale];
    """
    assert _view(functions, body) == pytest.approx([0.5, 64])


def test_one_to_one_is_reached_even_where_the_fit_enlarges(functions: Page) -> None:
    assert _view(functions, "view.oneToOne(); return view.scale", "800, 600, 1", "100, 80") == 1


def test_one_to_one_is_one_image_pixel_per_device_pixel(functions: Page) -> None:
    assert _view(functions, "view.oneToOne(); return view.scale", "800, 600, 2") == 0.5


@pytest.mark.parametrize("delta", ["1e6, 1e6", "-1e6, -1e6", "1e6, -1e6", "0, 1e6"])
@pytest.mark.parametrize("factor", [0.1, 1, 100])
def test_the_image_cannot_be_pushed_out_of_sight(functions: Page, delta: str, factor: float) -> None:
    body = f"view.zoomAt(400, 300, {factor}); view.panBy({delta}); return [view.scale, ...view.visibleBox()]"
    scale, x0, y0, x1, y1 = _view(functions, body)
    assert (x1 - x0) * scale >= 47.99 and (y1 - y0) * scale >= 47.99


def test_the_visible_box_is_what_the_canvas_shows_of_the_image(functions: Page) -> None:
    """At scale 2, with the image's corner at (-100, 60), 800 x 600 show columns 50 to 450 and rows 0 to 270."""
    body = "view.zoomAt(0, 0, 2 / view.scale); view.panBy(-100 - view.x, 60 - view.y); return view.visibleBox()"
    assert _view(functions, body) == pytest.approx([50, 0, 450, 270])


def test_without_an_image_nothing_is_visible(functions: Page) -> None:
    assert _view(functions, "return [view.visibleBox(), view.isInside(0, 0)]", image="0, 0") == [None, False]


def test_a_fitted_image_stays_fitted_when_the_canvas_changes(functions: Page) -> None:
    body = """
        view.setCanvas(390, 700, 2);
        const resized = [view.scale, view.x, view.y];
        view.fit();
        return [resized, [view.scale, view.x, view.y]];
    """
    resized, fitted = _view(functions, body)
    assert resized == fitted


def test_what_is_in_the_middle_stays_there_when_the_canvas_changes(functions: Page) -> None:
    body = """
        view.zoomAt(100, 500, 8);
        const before = [view.scale, ...view.toImage(400, 300)];
        view.setCanvas(500, 900, 1);
        return [before, [view.scale, ...view.toImage(250, 450)]];
    """
    before, after = _view(functions, body)
    assert after == pytest.approx(before)


def test_a_box_that_is_shown_fills_the_canvas(functions: Page) -> None:
    """568 CSS pixels for 284 rows: scale 2; its middle (1100, 1142) is the canvas's."""
    body = "view.showBox([1000, 1000, 1200, 1284]); return [view.scale, ...view.toImage(400, 300)]"
    assert _view(functions, body) == pytest.approx([2, 1100, 1142])


def test_changes_are_told_until_the_listener_is_taken_off(functions: Page) -> None:
    body = """
        const told = [];
        const stop = view.onChange((changed) => told.push(changed.scale));
        view.zoomAt(400, 300, 2);
        view.panBy(5, 5);
        view.setCanvas(800, 600, 1);
        stop();
        view.fit();
        return told.length;
    """
    assert _view(functions, body, "800, 600, 1") == 2
