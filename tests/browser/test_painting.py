"""Brush, eraser and lasso: painted pixels are law, for later clicks too."""

from __future__ import annotations

import numpy as np
import pytest
from screen import PHOTOS, Screen

UPPER = (290, 300)


@pytest.fixture
def dogs(desk: Screen) -> Screen:
    return desk.take(PHOTOS / "dogs.jpg")


def _disc(shape: tuple[int, ...], x: float, y: float, radius: float) -> np.ndarray:
    rows, columns = np.mgrid[: shape[0], : shape[1]] + 0.5
    return (columns - x) ** 2 + (rows - y) ** 2 < radius**2


def test_a_brush_adds_and_later_clicks_keep_what_it_painted(dogs: Screen) -> None:
    dogs.click(*UPPER)
    dogs.press("b")
    dogs.drag((100, 900), (200, 900))
    dogs.press("q")
    dogs.click(300, 420, button="right")
    dogs.press("Enter")
    (thing,) = dogs.objects()
    radius = 14 / dogs.value("clickmask.view.scale")
    for x in (100, 150, 200):
        assert thing["pixels"][_disc(thing["pixels"].shape, x, 900, radius - 2)].all()
    assert not thing["pixels"][900 - int(radius) - 3, 150] and thing["pixels"][300, 290]


def test_an_eraser_takes_away_for_good(dogs: Screen) -> None:
    dogs.click(*UPPER)
    dogs.press("Shift+B")
    dogs.click(290, 300)  # a dab
    dogs.press("q")
    dogs.click(280, 330)
    dogs.press("Enter")
    (thing,) = dogs.objects()
    assert not thing["pixels"][300, 290] and thing["pixels"].any()


def test_a_lasso_is_an_object_by_itself(dogs: Screen) -> None:
    dogs.press("l")
    dogs.drag((100, 700), (300, 700), (300, 800), (100, 800))
    dogs.press("Enter")
    (thing,) = dogs.objects()
    assert thing["pixels"][705:795, 105:295].all()
    assert abs(int(thing["pixels"].sum()) - 200 * 100) < 800
    assert dogs.decodes() == 0


def test_brushes_grow_and_shrink_by_key(dogs: Screen) -> None:
    dogs.press("b", "]", "]", "[")
    assert dogs.value("clickmask.tools.brush") == pytest.approx(14 * 1.25)


def test_there_must_be_something_to_erase(dogs: Screen) -> None:
    dogs.press("Shift+B")
    dogs.click(290, 300)
    assert "nothing to erase" in dogs.page.inner_text(".cm-toasts")
    assert dogs.objects() == []
