"""The measuring of `measure.py` on a GPU: many masks at once, and only run lengths leave the device."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from ...models.frame import Frame, upsample
from .runs import Runs

AT_ONCE = 1 << 28  # bytes of full-resolution logits


def measure_together(logits: Tensor, frame: Frame, offset: float, threshold: float) -> tuple[list[Runs], list[float]]:
    """(K, 256, 256) float32 low-res logits on a GPU -> the masks' runs in the image and their stability scores.

    NaN where not even -offset is reached anywhere.
    """
    width, height = frame.window_size
    step = max(1, AT_ONCE // (4 * width * height))
    runs, stabilities = list[Runs](), list[float]()
    for part in logits.split(step):
        full = upsample(part, frame)
        inner, outer = ((full > threshold + sign * offset).flatten(1).sum(1) for sign in (1, -1))
        stabilities += (inner / outer).tolist()
        runs += _runs(full > threshold, frame)
    return runs, stabilities


def _runs(masks: Tensor, frame: Frame) -> list[Runs]:
    """(K, h, w) bool, of the frame's window -> their runs in the image."""
    count, height, width = masks.shape
    framed = masks.new_zeros(count, width, height + 1)  # a pixel that is none below each column: runs end there
    framed[:, :, :height] = masks.transpose(1, 2)
    flat = torch.cat([masks.new_zeros(1), framed.flatten()])
    changes = (flat[1:] != flat[:-1]).nonzero()[:, 0]
    mask, place = changes // (width * (height + 1)), changes % (width * (height + 1))
    column, row = place // (height + 1), place % (height + 1)
    x0, y0, _, _ = frame.window
    places = ((column + x0) * frame.height + row + y0).cpu().numpy()
    bounds = np.cumsum([0, *torch.bincount(mask, minlength=count).tolist()])
    size = frame.width, frame.height
    return [Runs.of_ends(*size, places[low:high:2], places[low + 1 : high : 2]) for low, high in pairwise(bounds)]
