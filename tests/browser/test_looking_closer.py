"""Zoom, pan and touch; and the visible part of the photo, encoded by itself when it is small."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, CDPSession
from screen import PHOTOS, Screen, iou, screen

from clickmask import Segmenter

DOGS = PHOTOS / "dogs.jpg"
UPPER, LOWER = (290, 300), (370, 560)


@pytest.fixture
def dogs(desk: Screen) -> Screen:
    return desk.take(DOGS)


def test_the_wheel_zooms_where_the_pointer_is(dogs: Screen) -> None:
    dogs.move(*UPPER)
    before = dogs.at(*UPPER)
    scale = dogs.value("clickmask.view.scale")
    dogs.page.mouse.wheel(0, -400)
    dogs.wait(f"clickmask.view.scale > {scale * 1.2}")
    assert dogs.at(*UPPER) == pytest.approx(before, abs=1)


def test_middle_button_space_and_hand_move_the_photo(dogs: Screen) -> None:
    def pan(button: str = "left") -> list[float]:
        start = dogs.value("[clickmask.view.x, clickmask.view.y]")
        dogs.page.mouse.move(500, 300)
        dogs.page.mouse.down(button=button)  # pyright: ignore[reportArgumentType]
        dogs.page.mouse.move(540, 330, steps=4)
        dogs.page.mouse.up(button=button)  # pyright: ignore[reportArgumentType]
        now = dogs.value("[clickmask.view.x, clickmask.view.y]")
        return [now[0] - start[0], now[1] - start[1]]

    dogs.press("Control+0")
    assert pan("middle") == pytest.approx([40, 30])
    dogs.value("document.querySelector('.cm-stage').focus()")
    dogs.page.keyboard.down(" ")
    assert pan() == pytest.approx([40, 30])
    dogs.page.keyboard.up(" ")
    dogs.press("v")
    assert pan() == pytest.approx([40, 30])
    assert dogs.points() == []


def test_zoomed_in_the_visible_part_is_encoded_and_used(dogs: Screen, segmenter: Segmenter) -> None:
    dogs.value("clickmask.view.showBox([230, 180, 400, 440])")
    dogs.wait("clickmask.bench.doc.windows.active")
    dogs.page.wait_for_selector("text=close up")
    window = dogs.value("clickmask.bench.doc.windows.active")
    dogs.click(*UPPER)
    dogs.press("Enter")
    (thing,) = dogs.objects()
    with segmenter.open(DOGS) as image:
        near = image.window(tuple(window)).click(290.5, 300.5)
    assert iou(thing["pixels"], near.pixels) > 0.97
    dogs.press("0")
    dogs.wait("!clickmask.bench.doc.windows.active")
    dogs.value("clickmask.bench.editor.reopen(1)")
    dogs.move(*LOWER)  # outside the window: the whole image answers
    dogs.wait("clickmask.previewMask !== null")
    dogs.click(*LOWER)
    mask = dogs.current()
    assert mask is not None and mask[560, 370]


def test_windows_are_opened_for_small_parts_alone(dogs: Screen) -> None:
    script = "async ([box, size]) => (await import('/page/windows.js')).windowFor(box, size)"
    assert dogs.value(script, [[0, 0, 4000, 3000], [4000, 3000]]) is None
    assert dogs.value(script, [[0, 0, 2100, 1000], [4000, 3000]]) is None
    assert dogs.value(script, [[10.4, 20.6, 1000.2, 800], [4000, 3000]]) == [10, 20, 1001, 800]
    assert dogs.value(script, [[10, 20, 30, 40], [4000, 3000]]) is None


def _touch(session: CDPSession, kind: str, *places: tuple[float, float]) -> None:
    points = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(places)]
    session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})


def test_taps_add_long_presses_take_away_and_two_fingers_zoom(browser: Browser, page_url: str) -> None:
    narrow = {"width": 390, "height": 844}
    with screen(browser, page_url, viewport=narrow, has_touch=True, device_scale_factor=2) as desk:
        desk.take(DOGS)
        session = desk.page.context.new_cdp_session(desk.page)
        _touch(session, "touchStart", desk.at(*UPPER))
        _touch(session, "touchEnd")
        desk.settle()
        assert [label for *_, label in desk.points()] == [1]
        _touch(session, "touchStart", desk.at(300, 420))
        desk.page.wait_for_timeout(700)
        _touch(session, "touchEnd")
        desk.settle()
        assert [label for *_, label in desk.points()] == [1, 0]
        scale = desk.value("clickmask.view.scale")
        x, y = desk.at(341, 512)
        _touch(session, "touchStart", (x - 30, y), (x + 30, y))
        for spread in (40, 60, 90):
            _touch(session, "touchMove", (x - spread, y), (x + spread, y))
        _touch(session, "touchEnd")
        assert desk.value("clickmask.view.scale") > 2 * scale
        assert len(desk.points()) == 2


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_cut_off_at_the_side(browser: Browser, page_url: str, width: int) -> None:
    with screen(browser, page_url, viewport={"width": width, "height": 844}) as desk:
        desk.take(DOGS)
        assert desk.value("document.documentElement.scrollWidth") <= width
        for part in ("tools", "stage", "side", "status"):
            left, right = desk.value(
                "(name) => { const { left, right } = document.querySelector(name).getBoundingClientRect();"
                " return [left, right]; }",
                f".cm-{part}",
            )
            assert 0 <= left < right <= width
