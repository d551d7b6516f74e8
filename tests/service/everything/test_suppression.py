"""Suppression by boxes beside torchvision's; suppression by masks on squares whose overlap is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchvision.ops import nms
from torchvision.ops.boxes import batched_nms

from clickmask.service.everything.runs import Runs
from clickmask.service.everything.suppression import boxes_meet, suppress_boxes, suppress_masks


def _theirs(boxes: np.ndarray, scores: np.ndarray, iou: float) -> list[int]:
    return nms(torch.from_numpy(boxes), torch.from_numpy(scores), iou).tolist()


def _boxes(draw: np.random.Generator, count: int, side: int) -> np.ndarray:
    corners = draw.integers(0, side, (count, 2, 2))
    return np.concatenate([corners.min(1), corners.max(1)], 1).astype(np.float32)


@pytest.mark.parametrize("iou", [0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0])
def test_boxes_that_stay_are_those_of_torchvision(iou: float) -> None:
    draw = np.random.default_rng(4)
    for side in (4, 8, 40, 1000):  # few places: many IoUs are just the threshold's, many boxes without area, many ties
        boxes = _boxes(draw, 300, side)
        for scores in (draw.random(300).astype(np.float32), draw.integers(0, 3, 300).astype(np.float32)):
            assert suppress_boxes(boxes, scores, iou).tolist() == _theirs(boxes, scores, iou)


@pytest.mark.parametrize("iou", [0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8])
def test_an_iou_of_just_the_threshold(iou: float) -> None:
    """Ten cells in a row against the first so many: an IoU of 0.1, 0.2, ... in float32."""
    boxes = np.array([[0, 0, 10, 1]] + [[0, 0, n, 1] for n in range(1, 10)], np.float32)
    for first in range(1, 10):
        pair = boxes[[0, first]]
        scores = np.array([2, 1], np.float32)
        assert suppress_boxes(pair, scores, iou).tolist() == _theirs(pair, scores, iou)


def test_many_boxes_are_kept_in_the_order_of_batched_nms() -> None:
    draw = np.random.default_rng(1)
    boxes, scores = _boxes(draw, 2000, 600), draw.permutation(2000).astype(np.float32)  # ties: in any order there
    theirs = batched_nms(torch.from_numpy(boxes), torch.from_numpy(scores), torch.zeros(2000), 0.7)
    assert suppress_boxes(boxes, scores, 0.7).tolist() == theirs.tolist()


def test_of_nothing_nothing_stays() -> None:
    assert suppress_boxes(np.zeros((0, 4)), np.zeros(0), 0.7).tolist() == []
    assert suppress_masks([], np.zeros(0), 0.7, 0.9).tolist() == []


def _square(x: int, y: int, side: int) -> Runs:
    mask = np.zeros((60, 80), bool)
    mask[y : y + side, x : x + side] = True
    return Runs.of(mask)


def test_of_two_masks_of_one_thing_the_better_stays() -> None:
    one, shifted = _square(10, 10, 20), _square(11, 10, 20)  # 380 of 420 pixels: IoU 0.905
    assert suppress_masks([one, shifted], np.array([0.8, 0.9]), 0.9, 1.0).tolist() == [1]
    assert suppress_masks([one, shifted], np.array([0.8, 0.9]), 0.91, 1.0).tolist() == [1, 0]


def test_a_mask_that_lies_in_a_better_one_of_like_size_goes_and_a_small_part_stays() -> None:
    whole, most, part = _square(10, 10, 20), _square(11, 11, 15), _square(12, 12, 5)
    best_first = np.array([0.9, 0.8, 0.7])
    assert suppress_masks([whole, most, part], best_first, 0.9, 0.9).tolist() == [0, 2]
    assert suppress_masks([whole, most, part], best_first[::-1].copy(), 0.9, 0.9).tolist() == [2, 1, 0]


def test_containment_counts_what_lies_within() -> None:
    whole, half_out = _square(10, 10, 20), _square(22, 10, 16)  # 8 of 16 columns within
    assert suppress_masks([whole, half_out], np.array([2.0, 1.0]), 0.9, 0.49).tolist() == [0]
    assert suppress_masks([whole, half_out], np.array([2.0, 1.0]), 0.9, 0.5).tolist() == [0, 1]


def test_masks_of_equal_score_keep_their_order() -> None:
    masks = [_square(5 * n, 5, 4) for n in range(6)]
    assert suppress_masks(masks, np.ones(6), 0.5, 0.9).tolist() == list(range(6))


def test_masks_suppressed_are_those_a_plain_reckoning_suppresses() -> None:
    draw = np.random.default_rng(8)
    masks = [_square(int(x), int(y), int(s)) for x, y, s in draw.integers(1, 25, (60, 3))]
    scores = draw.random(60)
    for iou, contained in ((0.5, 0.8), (0.3, 0.3), (0.9, 1.0), (1.0, 0.5)):
        kept: list[int] = []
        for number in np.argsort(-scores):
            own = masks[number].pixels()
            for better in (masks[k].pixels() for k in kept):
                shared = (own & better).sum()
                within = shared > contained * own.sum() and better.sum() <= 2 * own.sum()
                if shared > iou * (own | better).sum() or within:
                    break
            else:
                kept.append(int(number))
        assert suppress_masks(masks, scores, iou, contained).tolist() == kept


def test_boxes_meet_where_they_share_a_pixel() -> None:
    assert boxes_meet(_square(0, 0, 5), _square(4, 4, 5))
    assert not boxes_meet(_square(0, 0, 5), _square(5, 0, 5))
    assert not boxes_meet(_square(0, 0, 5), _square(0, 0, 0))
