"""Prompts: what is taken, how it is packed, and every refusal naming the field at fault."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch

from clickmask import Mask, OpenImage, Prompt, PromptError, Segmenter
from clickmask.models.frame import Frame
from clickmask.service.prompts import to_tensors, window_box

NAN, INF = float("nan"), float("inf")
FRAME = Frame.whole(2048, 1000)  # scaled by a half


def _refused(field: str, **prompt: Any) -> str:
    with pytest.raises(PromptError, match=rf"^{re.escape(field)}: ") as caught:
        Prompt(**prompt)
    return str(caught.value)


def test_labels_default_to_foreground() -> None:
    assert Prompt(points=[(1, 2), (3, 4)]).labels == (1, 1)


def test_arrays_tensors_lists_and_tuples_mean_the_same() -> None:
    for kind in (tuple, list, np.array, torch.tensor):
        prompt = Prompt(points=kind([[1, 2], [3, 4]]), labels=kind([1, 0]), box=kind([0, 0, 9.5, 9]))
        assert prompt.points == ((1.0, 2.0), (3.0, 4.0))
        assert prompt.labels == (1, 0)
        assert prompt.box == (0.0, 0.0, 9.5, 9.0)


def test_only_one_point_alone_is_ambiguous() -> None:
    low_res = np.zeros((256, 256), np.float32)
    assert Prompt(points=[(1, 2)]).is_ambiguous
    assert Prompt(points=[(1, 2)], labels=[0]).is_ambiguous
    assert not Prompt(points=[(1, 2), (3, 4)]).is_ambiguous
    assert not Prompt(points=[(1, 2)], box=(0, 0, 9, 9)).is_ambiguous
    assert not Prompt(points=[(1, 2)], previous=low_res).is_ambiguous
    assert not Prompt(box=(0, 0, 9, 9)).is_ambiguous


def test_description_is_plain_values() -> None:
    prompt = Prompt(np.array([[1, 2]]), np.array([0]), np.array([0, 0, 9, 9]), np.zeros((256, 256), np.float32))
    assert prompt.describe() == {
        "points": [[1.0, 2.0]],
        "labels": [0],
        "box": [0.0, 0.0, 9.0, 9.0],
        "previous": True,
    }


@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_coordinates_that_are_no_numbers_are_refused(value: float) -> None:
    _refused("points", points=[(1, 2), (3, value)])
    _refused("box", box=(0, 0, value, 9))


@pytest.mark.parametrize(
    "points", ["abc", "12", [("a", "b")], [("1", "2")], [(1, 2), (3,)], [(1, 2, 3)], (1, 2), 5, [(1j, 2)], [(None, 1)]]
)
def test_points_that_are_no_pairs_of_numbers_are_refused(points: Any) -> None:
    _refused("points", points=points)


def test_numbers_beyond_floating_point_are_refused() -> None:
    _refused("points", points=[(10**400, 1)])


@pytest.mark.parametrize("label", [7, -1, 2, 3, 0.5, NAN, "x", "1", None])
def test_other_labels_than_0_and_1_are_refused(label: Any) -> None:
    with pytest.raises(PromptError, match=r"^labels"):
        Prompt(points=[(1, 2), (3, 4)], labels=[1, label])


def test_wrong_label_is_named_by_its_number() -> None:
    message = _refused("labels[1]", points=[(1, 2), (3, 4)], labels=[1, 7])
    assert message == "labels[1]: expected 1 (foreground) or 0 (background), got 7"


def test_labels_without_points_and_of_another_number_are_refused() -> None:
    _refused("labels", labels=[1])
    _refused("labels", labels=[1], box=(0, 0, 9, 9))
    _refused("labels", points=[(1, 2)], labels=[1, 0])
    _refused("labels", points=[(1, 2), (3, 4)], labels=[1])
    _refused("labels", points=[(1, 2)], labels=1)
    _refused("labels", points=[(1, 2)], labels=[[1]])


@pytest.mark.parametrize("box", [(9, 0, 0, 9), (0, 9, 9, 0), (5, 0, 5, 9), (0, 5, 9, 5), (5, 5, 5, 5)])
def test_reversed_box_and_box_of_no_area_are_refused(box: Any) -> None:
    assert "x0 < x1 and y0 < y1" in _refused("box", box=box)


@pytest.mark.parametrize("box", [(0, 0, 9), "abcd", "1", [(0, 0, 9, 9)], ("0", "0", "9", "9"), 5, ()])
def test_box_that_is_not_four_numbers_is_refused(box: Any) -> None:
    _refused("box", box=box)


@pytest.mark.parametrize(
    "previous",
    [
        np.zeros((256, 255), np.float32),
        np.zeros((3, 256, 256), np.float32),
        np.zeros((256, 256), bool),
        np.zeros((256, 256), np.uint8),
        np.full((256, 256), np.nan, np.float32),
        np.full((256, 256), 1e300),
        "mask.png",
        [[0.0] * 256] * 256,
    ],
    ids=["shape", "three", "bool", "integers", "nan", "beyond float32", "text", "list"],
)
def test_previous_that_is_neither_mask_nor_logits_is_refused(previous: Any) -> None:
    _refused("previous", points=[(1, 2)], previous=previous)


def test_previous_takes_any_floating_logits_with_or_without_a_leading_axis() -> None:
    draw = np.random.default_rng(0).normal(size=(256, 256))
    for logits in (draw, draw.astype(np.float16), draw.astype(">f4"), draw.T, draw[None]):
        taken = Prompt(previous=logits).previous
        assert isinstance(taken, np.ndarray)
        assert taken.shape == (256, 256) and taken.dtype == np.float32 and taken.flags.c_contiguous
        np.testing.assert_allclose(taken, logits.reshape(256, 256), rtol=1e-3)


def test_prompt_does_not_follow_later_changes_of_the_callers_array() -> None:
    logits = np.zeros((256, 256), np.float32)
    prompt = Prompt(previous=logits)
    logits[:] = 9
    assert isinstance(prompt.previous, np.ndarray)
    assert not prompt.previous.any()


def test_read_only_logits_are_taken() -> None:
    logits = np.frombuffer(bytes(256 * 256 * 4), np.float32).reshape(256, 256)
    packed = to_tensors(Prompt(previous=logits), FRAME)
    assert packed.low_res is not None and packed.low_res.shape == (256, 256)


@pytest.mark.parametrize("nothing", [{}, {"points": []}, {"points": None}, {"points": np.zeros((0, 2))}])
def test_empty_prompt_is_refused(nothing: Any) -> None:
    assert "nothing to segment" in _refused("points", **nothing)


def test_points_and_box_are_packed_in_the_model_frame() -> None:
    packed = to_tensors(Prompt([(100, 200), (2047, 999)], [1, 0], (20, 40, 2048, 1000)), FRAME)
    assert packed.coords.tolist() == [[50, 100], [1023.5, 499.5], [10, 20], [1024, 500]]
    assert packed.labels.tolist() == [1, 0, 2, 3]
    packed = to_tensors(Prompt([(100, 200)], [0]), FRAME)
    assert packed.coords.tolist() == [[50, 100], [0, 0]]
    assert packed.labels.tolist() == [0, -1]


@pytest.mark.parametrize("point", [(-0.5, 5), (5, -1), (2048, 5), (5, 1000), (1e30, 5)])
def test_point_outside_the_image_is_refused_by_its_number(point: tuple[float, float]) -> None:
    with pytest.raises(PromptError, match=r"^points\[1\]: .* outside the 2048 x 1000 image"):
        to_tensors(Prompt([(5, 5), point]), FRAME)


def test_first_and_last_pixel_are_inside() -> None:
    packed = to_tensors(Prompt([(0, 0), (2047.99, 999.99)], box=(0, 0, 2048, 1000)), FRAME)
    assert packed.coords.shape == (4, 2)


@pytest.mark.parametrize("box", [(-1, 0, 9, 9), (0, -1, 9, 9), (0, 0, 2048.5, 9), (0, 0, 9, 1001)])
def test_box_outside_the_image_is_refused(box: Any) -> None:
    with pytest.raises(PromptError, match=r"^box: .* outside the 2048 x 1000 image"):
        to_tensors(Prompt(box=box), FRAME)


def test_what_lies_outside_the_window_is_refused_with_advice() -> None:
    window = Frame(2048, 1000, (100, 100, 300, 200))
    assert to_tensors(Prompt([(100, 100), (299.9, 199.9)], box=(100, 100, 300, 200)), window).coords.shape == (4, 2)
    for point in ((99.9, 150), (300, 150), (150, 200)):
        with pytest.raises(PromptError, match=r"^points\[0\]: .* outside the window .* ask the whole image"):
            to_tensors(Prompt([point]), window)
    with pytest.raises(PromptError, match=r"^box: .* outside the window"):
        to_tensors(Prompt(box=(99, 100, 300, 200)), window)


def test_previous_of_an_image_of_another_size_is_refused(
    dogs: OpenImage, strip_segmenter: Segmenter, strip: np.ndarray
) -> None:
    other: Mask = strip_segmenter.open(strip).click(600, 30)
    with pytest.raises(PromptError, match=r"^previous: a mask of a 1024 x 64 image cannot .* one of 682 x 1024$"):
        dogs.segment(points=[(290, 330)], previous=other)


def test_window_grows_to_whole_pixels() -> None:
    assert window_box((10.2, 20.8, 30.1, 40), 100, 100) == (10, 20, 31, 40)
    assert window_box(np.array([0, 0, 99.5, 100]), 100, 100) == (0, 0, 100, 100)


@pytest.mark.parametrize("box", [None, (0, 0, 101, 50), (-1, 0, 50, 50), (50, 0, 40, 50), (0, 0, NAN, 5), "abcd"])
def test_window_that_is_no_box_in_the_image_is_refused(box: Any) -> None:
    with pytest.raises(PromptError, match=r"^box: "):
        window_box(box, 100, 100)


def test_window_so_thin_that_it_would_vanish_in_the_model_frame_is_refused() -> None:
    assert window_box((0, 0, 1, 2047), 10, 4000) == (0, 0, 1, 2047)
    with pytest.raises(PromptError, match=r"^box: .*too thin"):
        window_box((0, 0, 1, 2049), 10, 4000)
