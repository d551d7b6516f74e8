"""By touch: a finger paints, two fingers move and zoom, and neither does the other's work."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from playwright.sync_api import Browser
from screen import PHOTOS, Screen, screen

UPPER = (290, 300)
Place = tuple[float, float]


class Fingers:
    """Real touches, in image points."""

    def __init__(self, desk: Screen) -> None:
        self.desk, self._session = desk, desk.page.context.new_cdp_session(desk.page)

    def down(self, *places: Place) -> None:
        self._send("touchStart", places)

    def move(self, *places: Place) -> None:
        self._send("touchMove", places)

    def up(self, *left: Place) -> None:
        """All of them; `left`: but these."""
        self._send("touchEnd", left)
        self.desk.settle()

    def taken(self) -> None:
        """By the system, as for a gesture of its own."""
        self._send("touchCancel", ())
        self.desk.settle()

    def drag(self, start: Place, *places: Place) -> None:
        self.down(start)
        for place in places:
            self.move(place)
        self.up()

    def _send(self, kind: str, places: tuple[Place, ...]) -> None:
        points = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(self.desk.at(*p) for p in places)]
        self._session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})


@pytest.fixture(scope="module")
def telephone(browser: Browser, page_url: str) -> Generator[Screen]:
    size = {"width": 390, "height": 844}
    with screen(browser, page_url, viewport=size, has_touch=True, device_scale_factor=2) as desk:
        yield desk


@pytest.fixture
def hand(telephone: Screen) -> Fingers:
    """A finger, over a photo with nothing on it; the brush is in hand."""
    telephone.reset()
    telephone.page.set_viewport_size({"width": 390, "height": 844})
    telephone.take(PHOTOS / "dogs.jpg")
    telephone.press("b")
    return Fingers(telephone)


def _strokes(desk: Screen) -> list[str]:
    return desk.value("(clickmask.bench.editor.making?.strokes ?? []).map(({ op }) => op)")


def _view(desk: Screen) -> list[float]:
    return desk.value("[clickmask.view.scale, ...clickmask.view.toScreen(0, 0)]")


def test_a_drag_paints_one_stroke_that_can_be_undone(hand: Fingers) -> None:
    desk, before = hand.desk, _view(hand.desk)
    hand.drag((100, 700), (150, 700), (250, 720), (400, 700))
    assert _strokes(desk) == ["add"] and _view(desk) == before and desk.decodes() == 0
    pixels = desk.current()
    assert pixels is not None
    down = pixels.shape[0] / 1024
    assert all(pixels[int(y * down), int(x * down)] for x, y in [(100, 700), (250, 720), (399, 700)])
    hand.drag((100, 850), (300, 850))
    assert _strokes(desk) == ["add", "add"]
    desk.press("Control+z", "Control+z")
    assert _strokes(desk) == [] and desk.current() is None
    desk.press("Control+y", "Enter")
    (thing,) = desk.objects()
    assert thing["pixels"][700, 120] and not thing["pixels"][850, 200]


def test_a_tap_dabs_and_the_eraser_takes_away(hand: Fingers) -> None:
    desk = hand.desk
    hand.drag((200, 700))
    assert _strokes(desk) == ["add"]
    desk.press("Shift+B")
    hand.drag((150, 700), (200, 700), (260, 700))
    assert _strokes(desk) == ["add", "erase"]


def test_no_circle_stays_where_a_finger_was(hand: Fingers) -> None:
    desk = hand.desk
    inked = """() => {
      const canvases = [...document.querySelectorAll('.cm-stage canvas')];
      return canvases.map((canvas) => canvas.getContext('2d')?.getImageData(0, 0, canvas.width, canvas.height).data
        .some((value) => value > 0)).at(-1);
    }"""
    desk.value("clickmask.stage.whenPainted()")
    assert not desk.value(inked)
    hand.down((100, 700))
    hand.move((300, 700))
    desk.value("clickmask.stage.whenPainted()")
    assert desk.value(inked)
    hand.up()
    desk.value("clickmask.stage.whenPainted()")
    assert not desk.value(inked)
    hand.drag((200, 800))  # a tap
    desk.value("clickmask.stage.whenPainted()")
    assert not desk.value(inked)


@pytest.mark.parametrize("moves", [0, 3])
def test_a_second_finger_zooms_and_leaves_no_stroke(hand: Fingers, moves: int) -> None:
    """Whether or not the first one had begun to paint."""
    desk = hand.desk
    scale = _view(desk)[0]
    hand.down((300, 500))
    for step in range(moves):
        hand.move((300 + 40 * step, 500))
    first = (300 + 40 * max(moves - 1, 0), 500)
    x, y = desk.at(*first)
    send = hand._session.send
    for kind, gap in (("touchStart", 60), ("touchMove", 80), ("touchMove", 120)):
        points = [{"x": x, "y": y, "id": 0}, {"x": x, "y": y + gap, "id": 1}]
        send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    hand.up()
    assert _view(desk)[0] == pytest.approx(2 * scale, rel=0.05)
    assert _strokes(desk) == [] and desk.current() is None
    assert not desk.value("clickmask.bench.editor.doc.session.canUndo")
    hand.drag((300, 500), (320, 500), (350, 500))
    assert _strokes(desk) == ["add"]


def test_two_fingers_move_the_photo_and_the_one_left_paints_nothing(hand: Fingers) -> None:
    desk = hand.desk
    scale, left, top = _view(desk)
    x, y = desk.at(300, 500)
    send = hand._session.send

    def touch(kind: str, dx: float, dy: float, count: int = 2) -> None:
        points = [{"x": x + dx + 60 * n, "y": y + dy, "id": n} for n in range(count)]
        send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", 0, 0)
    touch("touchMove", 20, 30)
    touch("touchMove", 40, 60)
    touch("touchEnd", 40, 60, count=1)
    touch("touchMove", -30, -30, count=1)
    hand.up()
    assert _view(desk) == pytest.approx([scale, left + 40, top + 60], abs=2)
    assert _strokes(desk) == [] and desk.points() == []


def test_a_stroke_that_the_system_takes_away_is_none(hand: Fingers) -> None:
    hand.down((100, 700))
    hand.move((200, 700))
    hand.move((300, 700))
    hand.taken()
    assert _strokes(hand.desk) == [] and hand.desk.current() is None


def test_an_object_is_finished_without_scrolling_to_the_button(hand: Fingers) -> None:
    desk = hand.desk
    desk.press("q")
    hand.drag(UPPER)
    desk.value("scrollTo(0, 0)")
    button = desk.page.locator("[data-command=finish]").bounding_box()
    assert button is not None and button["y"] + button["height"] <= 844 and button["height"] >= 44
    desk.page.touchscreen.tap(button["x"] + 20, button["y"] + 20)
    desk.settle()
    assert len(desk.objects()) == 1 and not desk.page.is_visible("[data-command=finish]")
