"""A second look: where the decoder is not sure, it is asked about the mirrored photo too, and the two are averaged."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...models.frame import LOW_RES, MODEL_SIDE, Frame
from ..prompts import Prompt

LOW_SCORE = 0.9  # predicted IoU below which it is worth it, see benchmarks/quality.md


def mirrored(prompt: Prompt, frame: Frame) -> Prompt:
    """What to ask of the frame's window with left and right exchanged. `previous`: low-res logits, or nothing."""
    x0, _, x1, _ = frame.window
    points = [(max(x0, x0 + x1 - 1 - x), y) for x, y in prompt.points]  # the model asks at the pixel's middle
    box = None
    if prompt.box is not None:
        left, top, right, bottom = prompt.box
        box = x0 + x1 - right, top, x0 + x1 - left, bottom
    assert prompt.previous is None or isinstance(prompt.previous, np.ndarray)
    previous = None if prompt.previous is None else flip(prompt.previous, frame)
    return replace(prompt, points=points, box=box, previous=previous)


def flip(logits: np.ndarray, frame: Frame) -> np.ndarray:
    """(256, 256) float32 low-res logits with left and right of the picture in them exchanged; a picture may end within
    a cell, so each is read between two. What lies beyond the picture stays.
    """
    width = frame.scaled_size[0] * LOW_RES / MODEL_SIDE
    valid = frame.valid_low_res()[0]
    places = np.clip(width - 1 - np.arange(valid), 0, valid - 1)
    low = np.floor(places).astype(np.intp)
    share = (places - low).astype(np.float32)
    flipped = logits.copy()
    flipped[:, :valid] = logits[:, low] * (1 - share) + logits[:, np.minimum(low + 1, valid - 1)] * share
    return flipped
