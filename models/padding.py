"""What padding looks like inside TinyViT: constants of the model, so that it need not be computed for each photo.

SAM pads a photo to a square. The first layers are convolutions that reach 15 pixels far: farther than that below and
right of the photo their output is that of a picture that is all padding. This is exact. With a margin the window
attention and the neck leave out the padding farther than that from the photo as well, and the embedding there is the
all-padding picture's: quicker, but windows at the edge see other neighbours than in the square, so masks differ
somewhat (benchmarks/quality.md says how good they are).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from .facts import Facts
from .frame import GRID, MODEL_SIDE
from .tiny_vit import TinyViT

PATCH = MODEL_SIDE // GRID
EARLY_STRIDE, EARLY_CHANNELS = 8, 128
REACH = 15  # pixels: 1 + 2 (stem) + 4 + 4 (bottlenecks) + 4 (merge)
STEP = 64  # pixels: few sizes in all, so that what is prepared for a size serves many photos
EDGE = 2  # early tokens at a cut that see the cut instead of padding


@dataclass(frozen=True, eq=False)
class Padding:
    """The picture that is all padding: `early` (128, 128, 128) and `tokens` (64, 64, 256), as TinyViT gives them."""

    early: Tensor
    tokens: Tensor


def recall_padding(encoder: TinyViT, like: Tensor, facts: Facts) -> Padding:
    """The padding of an encoder, remembered from an earlier start or computed (`like` tells device and dtype)."""
    dtype = str(like.dtype).removeprefix("torch.")
    names = (f"padding_early_{dtype}", f"padding_tokens_{dtype}")
    shapes = ((2 * GRID, 2 * GRID, EARLY_CHANNELS), (GRID, GRID, 256))
    kept = [facts.recall(name, shape) for name, shape in zip(names, shapes, strict=True)]
    if kept[0] is not None and kept[1] is not None:
        return Padding(kept[0].to(like), kept[1].to(like))
    with torch.inference_mode():
        early = encoder.early(like.new_zeros(1, MODEL_SIDE, MODEL_SIDE, 3, dtype=torch.float32))
        padding = Padding(early[0], encoder.late(early)[0])
    for name, value in zip(names, (padding.early, padding.tokens), strict=True):
        facts.remember(name, value)
    return padding


class Halves(Protocol):
    """The two halves of a TinyViT, as it names them."""

    def early(self, x: Tensor) -> Tensor: ...

    def late(self, x: Tensor) -> Tensor: ...


def encode_picture(encoder: Halves, scaled: Tensor, padding: Padding, *, margin: int | None) -> Tensor:
    """Image tokens of one picture.

    Args:
        scaled: (h, w, 3) normalised pixels, longer side 1024.
        margin: how many pixels of padding to keep beside the picture, at least; None: the whole square.

    Returns:
        (4096, 256), row by row.
    """
    height, width = (_extent(side, margin) for side in scaled.shape[:2])
    early = padding.early[: height // EARLY_STRIDE, : width // EARLY_STRIDE].clone()
    # A margin is as if the square went on; the bare rectangle ends at its edge.
    ends = (height, width) if margin == 0 else (MODEL_SIDE, MODEL_SIDE)
    reach = REACH + (EDGE + 1) * EARLY_STRIDE
    sides = zip(scaled.shape[:2], ends, strict=True)
    computed = [min(_up(side + reach, STEP), end) for side, end in sides]
    kept = [_kept(size, end) for size, end in zip(computed, ends, strict=True)]
    rows, columns = min(kept[0], early.shape[0]), min(kept[1], early.shape[1])
    known = encoder.early(pad(scaled[None], computed[0], computed[1]))[0]
    early[:rows, :columns] = known[:rows, :columns]
    tokens = encoder.late(early[None])[0]
    if (height, width) == (MODEL_SIDE, MODEL_SIDE):
        return tokens.flatten(0, 1)
    embedding = padding.tokens.clone()
    embedding[: height // PATCH, : width // PATCH] = tokens
    return embedding.flatten(0, 1)


def pad(scaled: Tensor, height: int, width: int) -> Tensor:
    """(B, h, w, 3) -> (B, height, width, 3), zeros at the right and the bottom."""
    return F.pad(scaled, (0, 0, 0, width - scaled.shape[2], 0, height - scaled.shape[1]))


def _extent(side: int, margin: int | None) -> int:
    """How much of the square is computed along a side, pixels."""
    if margin is None:
        return MODEL_SIDE
    return min(_up(side + margin, STEP) if margin else _up(side, PATCH), MODEL_SIDE)


def _up(side: int, step: int) -> int:
    return -(-side // step) * step


def _kept(computed: int, end: int) -> int:
    """Early tokens along a side that hold: all up to a true edge, not those that see a cut."""
    return computed // EARLY_STRIDE - (0 if computed == end else EDGE)
