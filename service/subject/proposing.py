"""Masks that may be the subject: what a coarse grid of points finds, at the decoder's own resolution."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...models.crew import crew
from ...models.errors import WeightsError
from ...models.frame import Frame
from ...models.point_decoder import Answers, PointDecoder
from ...models.sam import Sam
from ..everything.grids import point_grid
from ..masks import STABILITY_OFFSET

PER_SIDE = 8  # of the grid, of which every second point is asked, as on one colour of a chessboard: 32 in all
FLOOR = 0.6  # predicted IoU
AT_ONCE = 2  # points, on a CPU, where the last bits depend on it


@dataclass(frozen=True, eq=False)
class Seen:
    """Masks of one image.

    masks: (K, height, width) bool, the low-res places that lie on the picture. quality: (K,) float32, predicted IoU
    times stability score (of low-res logits).
    """

    masks: Tensor
    quality: Tensor


def look(sam: Sam, tokens: Tensor, frame: Frame) -> Seen:
    """All that the grid's points find on an image of (4096, 256) tokens.

    Raises:
        WeightsError: the model answers with no numbers.
    """
    grid = chessboard(PER_SIDE) * np.array(frame.window_size) + np.array(frame.window[:2])
    points = frame.to_model(torch.from_numpy(grid))
    decoder = PointDecoder(sam, tokens)

    def ask(some: Tensor) -> Seen:
        return _seen(decoder.decode(some, lambda scores: scores > FLOOR), frame)

    parts = crew().map(ask, points.split(AT_ONCE)) if sam.device.type == "cpu" else [ask(points)]
    return Seen(torch.cat([part.masks for part in parts]), torch.cat([part.quality for part in parts]))


def chessboard(per_side: int) -> np.ndarray:
    """(N, 2) x y in 0..1: every second point of a square grid, shifted by one in every second row."""
    places = np.arange(per_side * per_side)
    return point_grid(per_side)[(places // per_side + places % per_side) % 2 == 0]


def _seen(answers: Answers, frame: Frame) -> Seen:
    if not answers.scores.isfinite().all():
        raise WeightsError("the model answers with no numbers (NaN): its weights are unusable")
    columns, rows = frame.valid_low_res()
    scores = answers.scores[answers.point, answers.candidate]
    kept = scores > FLOOR  # on a GPU all are given
    logits = answers.logits[kept][:, :rows, :columns]
    inner, outer = ((logits > sign * STABILITY_OFFSET).flatten(1).sum(1) for sign in (1, -1))
    quality = scores[kept] * inner / outer.clamp(min=1)
    return Seen((logits > 0).cpu(), quality.float().cpu())
