"""What one patch looks at inside the image encoder: its row of the self-attention of every block.

Each block's input is what the encoder really computes, in its own precision; the row is then made in float32 as it is
written down (Vaswani et al. 2017, equation 1). TinyViT (Wu et al. 2022) attends inside windows, with a learned bias for
each pair of places; the plain ViT (Dosovitskiy et al. 2020) inside windows and, in four blocks, over the whole picture,
with a bias by relative position (Li et al., "Exploring Plain Vision Transformer Backbones", 2022).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from .frame import GRID, MODEL_SIDE, Frame
from .padding import encode_picture, pad
from .plain_vit import PlainViT, between, encode_block, to_windows
from .sam import Sam, resize
from .tiny_vit import HEAD_CHANNELS, TinyViT, WindowAttention
from .windows import window_index


@dataclass(frozen=True, eq=False)
class PatchLook:
    """One block. heads: H of d channels; the places it attends over are h x w, from `corner` on.

    block: its name. stride: pixels of the model frame to a place. corner, place: (row, column) of the window's first
    place, and of the patch, in the block's grid. query (H, d), scaled by 1 / sqrt(d); keys (H, h w, d); bias (H, h, w),
    added to the scores; weights (H, h, w), which sum to 1 over the places. All float32.
    """

    block: str
    stride: int
    corner: tuple[int, int]
    place: tuple[int, int]
    query: Tensor
    keys: Tensor
    bias: Tensor
    weights: Tensor


def patch_attention(
    sam: Sam, pixels: Tensor, frame: Frame, margin: int | None, x: float, y: float
) -> tuple[Tensor, list[PatchLook]]:
    """The image tokens, as `Sam.encode` gives them, and every block's row for the patch at (x, y) of the model frame.

    Args:
        pixels: (H, W, 3) uint8 RGB of the frame's window. margin: as of `Sam.encode`.
    """
    scaled = sam.normalise(resize(pixels.to(sam.device), frame.scaled_size))
    if isinstance(sam.encoder, PlainViT):
        return _through_plain(sam.encoder, pad(scaled[None], MODEL_SIDE, MODEL_SIDE), x, y)
    watched = _WatchedTinyViT(sam.encoder, x, y)
    if sam.padding is None:
        tokens = watched.late(watched.early(pad(scaled[None], MODEL_SIDE, MODEL_SIDE)))[0].flatten(0, 1)
    else:
        tokens = encode_picture(watched, scaled, sam.padding, margin=margin)
    return tokens, watched.looks


class _WatchedTinyViT:
    """A TinyViT's two halves, the second of which notes what the patch looks at."""

    def __init__(self, encoder: TinyViT, x: float, y: float) -> None:
        self._encoder, self._x, self._y = encoder, x, y
        self.early = encoder.early
        self.looks: list[PatchLook] = []

    def late(self, x: Tensor) -> Tensor:
        """As `TinyViT.late`."""
        encoder: Any = self._encoder
        for number, stage in enumerate(encoder.stages, 1):
            index = window_index(*x.shape[:3], stage.window, stage.heads, x.device)
            stride = MODEL_SIDE // GRID // (2 if number == 1 else 1)
            for count, block in enumerate(stage.blocks, 1):
                name = f"stage {number}, block {count}"
                self.looks.append(_in_window(block.attention, x[0], name, stride, (self._y, self._x)))
                x = block(x, index)
            x = x if stage.merge is None else stage.merge(x)
        return encoder.neck(x)


def _in_window(attention: WindowAttention, x: Tensor, name: str, stride: int, at: tuple[float, float]) -> PatchLook:
    """A row of TinyViT's window attention; x: (H, W, C)."""
    side, norm, qkv = attention.window, attention.norm, attention.qkv
    row, column = (int(way // stride) for way in at)
    top, left = row // side * side, column // side * side
    part = x[top : top + side, left : left + side].float()
    tokens = norm.bias.float().expand(side, side, -1).clone()  # padding is zero before the norm
    weight, bias = norm.weight.float(), norm.bias.float()
    tokens[: part.shape[0], : part.shape[1]] = F.layer_norm(part, norm.normalized_shape, weight, bias, norm.eps)
    rows = F.linear(tokens.flatten(0, 1), qkv.weight.float(), qkv.bias.float())
    q, k, _ = rows.view(side**2, 3, attention.heads, HEAD_CHANNELS).permute(1, 2, 0, 3)
    own = (row - top) * side + column - left
    added = attention.bias[:, own].float().unflatten(-1, (side, side))
    return _look(name, stride, (top, left), (row, column), q[:, own], k, added)


def _look(
    name: str, stride: int, corner: tuple[int, int], place: tuple[int, int], query: Tensor, keys: Tensor, bias: Tensor
) -> PatchLook:
    scores = (keys @ query[..., None]).view(bias.shape) + bias
    weights = torch.softmax(scores.flatten(1), -1).view(bias.shape)
    return PatchLook(name, stride, corner, place, query, keys, bias, weights)


def _through_plain(encoder: PlainViT, scaled: Tensor, x: float, y: float) -> tuple[Tensor, list[PatchLook]]:
    network: Any = encoder.network
    place, looks = (int(y * GRID // MODEL_SIDE), int(x * GRID // MODEL_SIDE)), list[PatchLook]()
    tokens = encoder.embed(scaled)
    for number, block in enumerate(network.blocks, 1):
        looks.append(_in_plain(block, tokens, f"block {number}", place))
        tokens = encode_block(block, tokens)
    return encoder.finish(tokens)[0].flatten(0, 1), looks


def _in_plain(block: Any, x: Tensor, name: str, place: tuple[int, int]) -> PatchLook:
    """A row of a plain ViT's attention; x: (1, 64, 64, C)."""
    side, attn = block.window_size or GRID, block.attn
    row, column = place
    top, left = row // side * side, column // side * side
    rows = attn.qkv(block.norm1(x))
    if block.window_size:
        rows = to_windows(rows, attn.qkv.bias, side)[(row // side) * -(-GRID // side) + column // side][None]
    q, k, _ = rows[0].float().view(side**2, 3, attn.num_heads, -1).permute(1, 2, 0, 3)
    query = q[:, (row - top) * side + column - left]
    by_row = query @ between(attn.rel_pos_h, side)[row - top].float().T
    by_column = query @ between(attn.rel_pos_w, side)[column - left].float().T
    bias = by_row[:, :, None] + by_column[:, None, :]
    stride = MODEL_SIDE // GRID
    return _look(name, stride, (top, left), place, query * query.shape[-1] ** -0.5, k, bias)
