"""Clicks, boxes and what becomes of them: the masks are those of the Python API, where the clicks were."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from screen import PHOTOS, Screen, iou

from clickmask import Segmenter

DOGS = PHOTOS / "dogs.jpg"
UPPER, LOWER = (290, 300), (370, 560)  # on the two dogs of 682 x 1024
SAME = 0.98  # mask IoU; the server's kernels may round otherwise than this process's


@pytest.fixture
def dogs(desk: Screen) -> Screen:
    return desk.take(DOGS)


def _mask(segmenter: Segmenter, path: Path = DOGS, **prompt: object) -> np.ndarray:
    with segmenter.open(path) as image:
        return image.segment(**prompt).pixels  # pyright: ignore[reportArgumentType]


def test_pointing_previews_what_a_click_gives(dogs: Screen, segmenter: Segmenter) -> None:
    dogs.move(*UPPER)
    dogs.wait("clickmask.previewMask !== null")
    dogs.page.wait_for_timeout(100)
    shown = dogs.value("clickmask.previewMask.rle")
    assert dogs.decodes() == 0
    dogs.click(*UPPER)
    assert dogs.value("clickmask.bench.shownMask().rle") == shown
    dogs.press("Enter")
    (thing,) = dogs.objects()
    assert iou(thing["pixels"], _mask(segmenter, points=[(290.5, 300.5)])) > SAME
    dogs.page.mouse.move(5, 5)
    dogs.wait("clickmask.previewMask === null")


def test_the_right_button_and_shift_take_away(dogs: Screen, segmenter: Segmenter) -> None:
    dogs.click(*LOWER)
    dogs.press("1")  # the whole: dog and wall
    whole = dogs.current()
    assert whole is not None
    dogs.click(500, 700, button="right")
    dogs.click(100, 800, "Shift")
    assert dogs.points() == [[370.5, 560.5, 1], [500.5, 700.5, 0], [100.5, 800.5, 0]]
    less = dogs.current()
    assert less is not None and not less[700, 500] and not less[800, 100]


def test_a_click_answers_as_python_does_click_after_click(dogs: Screen, segmenter: Segmenter) -> None:
    dogs.click(*UPPER)
    dogs.click(*LOWER)
    dogs.click(300, 420, button="right")
    dogs.press("Enter")
    (thing,) = dogs.objects()
    with segmenter.open(DOGS) as image:
        same = image.start()
        same.add(290.5, 300.5)
        same.add(370.5, 560.5)
        expected = same.add(300.5, 420.5, label=0)
    assert iou(thing["pixels"], expected.pixels) > SAME


def test_a_first_click_that_takes_away_says_what_to_do(dogs: Screen) -> None:
    dogs.click(*UPPER, button="right")
    assert dogs.points() == [] and dogs.decodes() == 0
    assert "Click on the thing first" in dogs.page.inner_text(".cm-toasts")


def test_a_drag_is_a_box_and_points_refine_it(dogs: Screen, segmenter: Segmenter) -> None:
    dogs.drag((300, 460), (460, 640))
    dogs.click(*LOWER)
    dogs.press("f")
    (thing,) = dogs.objects()
    with segmenter.open(DOGS) as image:
        same = image.start()
        same.set_box(300.5, 460.5, 460.5, 640.5)
        expected = same.add(370.5, 560.5)
    assert iou(thing["pixels"], expected.pixels) > SAME


def test_a_point_is_dragged_and_a_click_deletes_it(dogs: Screen, segmenter: Segmenter) -> None:
    dogs.click(*UPPER)
    dogs.click(500, 900)
    dogs.drag((500, 900), *[LOWER])
    assert dogs.points() == [[290.5, 300.5, 1], [370.5, 560.5, 1]]
    dogs.click(*UPPER)
    assert dogs.points() == [[370.5, 560.5, 1]]
    dogs.press("n")
    (thing,) = dogs.objects()
    assert iou(thing["pixels"], _mask(segmenter, points=[(370.5, 560.5)])) > SAME
    assert thing["pixels"][560, 370]


def test_candidates_are_chosen_by_key_chip_and_wheel(dogs: Screen) -> None:
    dogs.click(*LOWER)
    areas = {}
    for key in "123":
        dogs.press(key)
        mask = dogs.current()
        assert mask is not None
        areas[key] = int(mask.sum())
    assert areas["1"] > areas["2"] > areas["3"]
    dogs.page.click(".cm-chip >> nth=1")
    mask = dogs.current()
    assert mask is not None and mask.sum() == areas["2"]
    dogs.page.hover(".cm-chip >> nth=1")
    dogs.page.mouse.wheel(0, 100)
    dogs.settle()
    mask = dogs.current()
    assert mask is not None and mask.sum() == areas["3"]
    assert dogs.decodes() == 1


def test_points_placed_with_ctrl_are_asked_about_together(dogs: Screen) -> None:
    dogs.value("document.querySelector('.cm-stage').focus()")
    dogs.page.keyboard.down("Control")
    dogs.page.mouse.click(*dogs.at(*UPPER))
    dogs.page.mouse.click(*dogs.at(*LOWER))
    dogs.page.wait_for_timeout(100)
    assert dogs.decodes() == 0
    dogs.page.keyboard.up("Control")
    dogs.settle()
    assert dogs.decodes() == 1 and len(dogs.points()) == 2


def test_clicks_outside_the_photo_are_nothing(dogs: Screen) -> None:
    dogs.click(-40, 300)
    assert dogs.points() == []


def test_removing_mode_and_swapped_buttons_change_what_a_click_does(dogs: Screen) -> None:
    dogs.click(*UPPER)
    dogs.press("e")
    dogs.click(300, 420)
    dogs.press("q", "x")
    dogs.click(250, 420)
    dogs.click(*LOWER, button="right")
    assert [label for *_, label in dogs.points()] == [1, 0, 0, 1]


def test_rapid_mode_finishes_with_every_click_and_box(dogs: Screen) -> None:
    dogs.page.fill(".cm-active-label", "dog")
    dogs.page.check(".cm-rapid")
    dogs.click(*UPPER)
    dogs.drag((300, 460), (460, 640))
    dogs.wait("clickmask.bench.editor.state.objects.length === 2")
    dogs.settle()
    assert [thing["label"] for thing in dogs.objects()] == ["dog", "dog"]
    assert all(thing["isReady"] for thing in dogs.objects())


def test_objects_on_other_objects_can_be_started(dogs: Screen) -> None:
    """Nested and overlapping: a click starts an object whatever lies beneath."""
    dogs.click(*UPPER)
    dogs.press("1", "Enter")
    dogs.click(*UPPER)
    dogs.press("3", "Enter")
    outer, inner = dogs.objects()
    assert outer["pixels"].sum() > inner["pixels"].sum() and inner["pixels"][300, 290]


def test_an_object_takes_as_many_points_as_the_service_and_can_be_finished(dogs: Screen) -> None:
    dogs.value(
        "() => { const { editor } = clickmask.bench;"
        " for (let n = 0; n < 63; n += 1) editor.addPoint([280 + (n % 8), 290 + (n >> 3)], 1, { hold: true });"
        " editor.askPlaced(); }"
    )
    dogs.settle()
    dogs.click(*LOWER)
    assert len(dogs.points()) == 64
    dogs.click(340, 500)
    assert len(dogs.points()) == 64 and "An object takes 64 points" in dogs.page.inner_text(".cm-toasts")
    dogs.press("Enter")
    (thing,) = dogs.objects()
    assert thing["isReady"] and thing["pixels"].any()
