"""From a mask of low-res places to the prompts and the confidence."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from clickmask.models.errors import SettingsError
from clickmask.models.frame import Frame
from clickmask.service.subject.answer import NoSubject
from clickmask.service.subject.choosing import Chosen
from clickmask.service.subject.find import box_of, confidence_of, iou, points_in
from clickmask.service.subject.proposing import chessboard
from clickmask.service.subject.threshold import check_confidence

WIDE = Frame.whole(2048, 1024)  # a low-res place is 8 pixels


def _mask(height: int = 128, width: int = 256) -> np.ndarray:
    mask = np.zeros((height, width), bool)
    mask[10:31, 40:81] = True
    return mask


def test_the_box_of_places_is_that_of_their_pixels() -> None:
    assert box_of(_mask(), WIDE) == (320, 80, 648, 248)
    assert box_of(_mask(), Frame(4096, 2048, (1000, 500, 3048, 1524))) == (1320, 580, 1648, 748)
    assert box_of(np.ones((128, 256), bool), Frame.whole(2048, 1021)) == (0, 0, 2048, 1021)


def test_points_lie_deep_inside_and_apart() -> None:
    points = points_in(_mask(), WIDE)
    assert len(points) == 3
    assert all(_mask()[int(y) // 8, int(x) // 8] for x, y in points)
    first, second, _ = points
    assert first[1] == pytest.approx(20.5 * 8)  # the middle row
    assert np.hypot(first[0] - second[0], first[1] - second[1]) >= 10 * 8


@pytest.mark.parametrize("size", [(1, 1), (50, 1), (1, 50)])
def test_prompts_on_the_thinnest_pictures_lie_on_them(size: tuple[int, int]) -> None:
    frame = Frame.whole(*size)
    columns, rows = frame.valid_low_res()
    mask = np.ones((rows, columns), bool)
    assert box_of(mask, frame) == (0, 0, *size)
    assert all(0 <= x < size[0] and 0 <= y < size[1] for x, y in points_in(mask, frame))


def test_confidence_is_score_times_agreement_times_the_lead() -> None:
    chosen = Chosen(torch.zeros(1, 1, dtype=torch.bool), 0.2, 0.25)
    assert confidence_of(0.9, 0.8, chosen) == pytest.approx(0.54)
    assert confidence_of(1.02, 1.0, Chosen(chosen.mask, 0.2, 0.0)) == 1  # predicted IoU may pass 1
    assert confidence_of(-0.1, 1.0, chosen) == 0


def test_iou_of_nothing_with_nothing_is_no_agreement() -> None:
    one, other = np.array([True, True, False]), np.array([False, True, True])
    assert iou(one, other) == pytest.approx(1 / 3) and iou(one & ~one, other & ~other) == 0


def test_the_grid_is_a_chessboards_squares_of_one_colour() -> None:
    assert chessboard(2).tolist() == [[0.25, 0.25], [0.75, 0.75]]
    assert len(chessboard(8)) == 32


def test_no_subject_is_false() -> None:
    assert not NoSubject("nothing stands out from the border")


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan"), True, "0.5"])
def test_a_threshold_that_is_none_is_refused(value: float) -> None:
    with pytest.raises(SettingsError, match="min_confidence: expected a number from 0 to 1"):
        check_confidence(value)
