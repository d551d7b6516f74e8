"""From an encoded image to its subject: propose, choose, ask again more precisely, and doubt."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
import torch
from torch import Tensor

from ...models.frame import LOW_RES, MODEL_SIDE, Frame
from ...models.sam import Sam, plain_arithmetic
from ..masks import Mask
from ..prompts import Box, Point, Prompt
from .answer import NoSubject, SubjectMask
from .choosing import Chosen, choose
from .proposing import look
from .salience import excess

POINTS = 3  # inside the mask, for the second way of asking
SCALE = MODEL_SIDE // LOW_RES
ALIKE = 0.5  # of the subject's value: another thing worth more is a second subject

Ask = Callable[[Sequence[Prompt]], list[Mask]]


@plain_arithmetic
def find(sam: Sam, tokens: Tensor, frame: Frame, ask: Ask, min_confidence: float) -> SubjectMask | NoSubject:
    """The subject of what was encoded.

    Args:
        tokens: (4096, 256), the image as `Sam.encode` gives it. frame: of it. ask: masks for prompts on it.
        min_confidence: below it the answer is none.
    """
    chosen = choose(look(sam, tokens, frame), excess(tokens, frame))
    if chosen is None:
        return NoSubject("nothing stands out from the border")
    mask = chosen.mask.numpy()
    boxed, pointed = ask([Prompt(box=box_of(mask, frame)), Prompt(points=points_in(mask, frame))])
    low_res = [(one.logits > 0)[: mask.shape[0], : mask.shape[1]] for one in (boxed, pointed)]
    agreement = iou(mask, low_res[0]) * iou(low_res[0], low_res[1])
    confidence = confidence_of(boxed.score, agreement, chosen)
    found = SubjectMask.of(boxed, confidence)
    return found if confidence >= min_confidence else NoSubject(_reason(agreement, chosen), confidence, found)


def confidence_of(score: float, agreement: float, chosen: Chosen) -> float:
    """0 to 1: see `SubjectMask`."""
    return min(max(score, 0.0), 1.0) * agreement * (1 - chosen.rival)


def _reason(agreement: float, chosen: Chosen) -> str:
    if chosen.rival > ALIKE:
        return "several things stand out alike"
    if agreement < 1 - chosen.rival:
        return "box and points do not agree on where the subject ends"
    return "nothing stands out clearly"


def box_of(mask: np.ndarray, frame: Frame) -> Box:
    """(x0, y0, x1, y1) of a (height, width) bool mask of low-res places, image frame."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    corners = np.array([[columns[0], rows[0]], [columns[-1] + 1, rows[-1] + 1]])
    (x0, y0), (x1, y1) = _to_image(corners * SCALE, frame)
    return x0, y0, x1, y1


def points_in(mask: np.ndarray, frame: Frame) -> list[Point]:
    """Up to `POINTS` points well inside a mask of low-res places, image frame: each farthest from all edges and from
    those before it.
    """
    left, points = np.pad(mask.astype(np.uint8), 1), list[tuple[int, int]]()
    while len(points) < POINTS and left.any():
        distance = cv2.distanceTransform(left, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        y, x = np.unravel_index(int(distance.argmax()), distance.shape)
        points.append((int(x) - 1, int(y) - 1))
        cv2.circle(left, (int(x), int(y)), max(2, int(distance.max())), 0, -1)
    places = _to_image((np.array(points) + 0.5) * SCALE, frame)
    x0, y0, x1, y1 = frame.window
    inside = np.nextafter((x1, y1), (x0, y0))
    return [(float(x), float(y)) for x, y in np.minimum(places, inside)]


def iou(one: np.ndarray, other: np.ndarray) -> float:
    """IoU of two bool masks; 0 where both are empty."""
    union = int((one | other).sum())
    return int((one & other).sum()) / union if union else 0.0


def _to_image(places: np.ndarray, frame: Frame) -> np.ndarray:
    """(N, 2) model frame -> image frame, within what was encoded."""
    image = frame.to_image(torch.from_numpy(places.astype(np.float64))).numpy()
    return np.clip(image, frame.window[:2], frame.window[2:])
