"""Which of several masks of one thing stays: greedy suppression, the best first."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .runs import Runs


def suppress_boxes(boxes: np.ndarray, scores: np.ndarray, iou: float) -> np.ndarray:
    """Numbers of the boxes that stay, best score first; the next best goes where its box IoU is above `iou`.

    The rule of `torchvision.ops.nms`, in its arithmetic: IoU in float32 against `iou` in float64, and a box's sides
    are x1 - x0 and y1 - y0.

    Args:
        boxes: (N, 4) x0 y0 x1 y1. scores: (N,); of equal ones the first is the better.
    """
    boxes = boxes.astype(np.float32)
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    left, kept = np.argsort(-scores, kind="stable"), []
    with np.errstate(invalid="ignore"):  # two boxes without area: no IoU, both stay
        while len(left):
            best, left = left[0], left[1:]
            kept.append(best)
            low = np.maximum(boxes[best, :2], boxes[left, :2])
            high = np.minimum(boxes[best, 2:], boxes[left, 2:])
            shared = np.clip(high - low, 0, None).prod(1)
            left = left[~(shared / (areas[best] + areas[left] - shared) > np.float64(iou))]
    return np.array(kept, np.int64)


def suppress_masks(masks: Sequence[Runs], scores: np.ndarray, iou: float, contained: float) -> np.ndarray:
    """The same by the masks' own pixels, and by containment.

    A mask goes where its IoU with a better one is above `iou`; and where more than the share `contained` of it lies in
    better ones that stay and are not much larger (at most twice), so that parts of things remain.
    """
    kept: list[int] = []
    for number in np.argsort(-scores, kind="stable").tolist():
        if not any(_is_same(masks[number], masks[other], iou, contained) for other in kept):
            kept.append(number)
    return np.array(kept, np.int64)


def _is_same(one: Runs, better: Runs, iou: float, contained: float) -> bool:
    if not boxes_meet(one, better):
        return False
    least = min(one.area, better.area)
    if least < min(iou, contained / 2) * max(one.area, better.area):
        return False  # whatever they share
    shared = one.overlap(better)
    if shared > iou * (one.area + better.area - shared):
        return True
    return shared > contained * one.area and better.area <= 2 * one.area


def boxes_meet(one: Runs, other: Runs) -> bool:
    """Whether the boxes of two masks share a pixel."""
    a, b = one.box, other.box
    return a is not None and b is not None and a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
