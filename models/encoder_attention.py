"""What patches look at inside the image encoder: rows of the self-attention of every block, for any patch.

Each block's input is what the encoder really computes, in its own precision; rows are then made in float32 as they are
written down (Vaswani et al. 2017, equation 1). TinyViT (Wu et al. 2022) attends inside windows, with a learned bias for
each pair of places; the plain ViT (Dosovitskiy et al. 2020) inside windows and, in four blocks, over the whole picture,
with a bias by relative position (Li et al., "Exploring Plain Vision Transformer Backbones", 2022).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, product
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from .frame import GRID, MODEL_SIDE, Frame
from .padding import encode_picture, pad
from .plain_vit import PlainViT, between, relative
from .sam import Sam, resize
from .tiny_vit import HEAD_CHANNELS, TinyViT, WindowAttention
from .windows import window_index

PATCH = MODEL_SIDE // GRID


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


@dataclass(frozen=True, eq=False)
class FirstLayer:
    """The first thing the encoder does with the pixels around a point; all float32.

    side: of the square of pixels; corner: (row, column) of its first pixel, model frame, which may lie beyond the edge.
    pixels (3 side^2,), normalised, row by row, red, green and blue; weights (3 side^2, C); bias (C,);
    output (C,) = pixels times weights, plus bias.
    """

    side: int
    corner: tuple[int, int]
    pixels: Tensor
    weights: Tensor
    bias: Tensor
    output: Tensor


class Block(Protocol):
    """A block of an encoder, with what it was given."""

    @property
    def x(self) -> Tensor:
        """What its attention was given, a picture's rows and columns of channels."""
        ...

    def look(self, x: float, y: float) -> PatchLook:
        """Its row for the patch at a point of the model frame."""
        ...


@dataclass(frozen=True, eq=False)
class Watched:
    """A picture on its way through the encoder: what each block was given is kept, so any patch may be asked for.

    scaled: (h, w, 3) uint8, the picture at the model's size. tokens: (4096, 256), as `Sam.encode` gives them.
    """

    sam: Sam
    scaled: Tensor
    tokens: Tensor
    blocks: tuple[Block, ...]

    @property
    def size(self) -> int:
        """Bytes that it holds."""
        held = [self.scaled, self.tokens, *(block.x for block in self.blocks)]
        return sum(tensor.numel() * tensor.element_size() for tensor in held)

    def first_layer(self, x: float, y: float) -> FirstLayer:
        """See `FirstLayer`: of a plain ViT its patch embedding, of TinyViT the first of its convolutions."""
        encoder: Any = self.sam.encoder
        plain = isinstance(self.sam.encoder, PlainViT)
        layer: Any = encoder.network.patch_embed.proj if plain else encoder.stem1
        side, step = (PATCH, PATCH) if plain else (3, 2)
        before = 0 if plain else 1
        top, left = (int(way // step) * step - before for way in (y, x))
        square = F.pad(pad(self.sam.normalise(self.scaled)[None], MODEL_SIDE, MODEL_SIDE), (0, 0, 1, 1, 1, 1))[0]
        pixels = square[top + 1 : top + 1 + side, left + 1 : left + 1 + side].float().flatten()
        weights = layer.weight.float().permute(2, 3, 1, 0).flatten(0, 2)  # (out, 3, side, side) -> rows of pixels
        bias = layer.bias.float()
        return FirstLayer(side, (top, left), pixels, weights, bias, pixels @ weights + bias)

    def rollout(self, x: float, y: float) -> Iterator[Tensor] | None:
        """(64, 64) float32 after each block, from the last one to the first: how much the patch at a point has of each
        place of that block's input; sums to 1. What comes last is the rollout.

        Attention rollout: half of what a patch has stays its own in each block, and half comes by the mean of the heads
        (Abnar and Zuidema, "Quantifying Attention Flow in Transformers", 2020, equation 1), over the picture's places
        alone. None for TinyViT, whose convolutions mix neighbours and whose grid changes on the way.
        """
        blocks = [block for block in self.blocks if isinstance(block, _Plain)]
        if len(blocks) < len(self.blocks):
            return None
        share = torch.zeros(GRID, GRID, device=self.sam.device)
        share[int(y // PATCH), int(x // PATCH)] = 1
        return accumulate(reversed(blocks), lambda held, block: (held + block.passed_on(held)) / 2, initial=share)


def watch(sam: Sam, pixels: Tensor, frame: Frame, margin: int | None) -> Watched:
    """Encode a picture, and keep what each block is given.

    Args:
        pixels: (H, W, 3) uint8 RGB of the frame's window. margin: as of `Sam.encode`.
    """
    scaled = resize(pixels.to(sam.device), frame.scaled_size)
    normalised = sam.normalise(scaled)
    if isinstance(sam.encoder, PlainViT):
        tokens, blocks = _through_plain(sam.encoder, pad(normalised[None], MODEL_SIDE, MODEL_SIDE))
        return Watched(sam, scaled, tokens, tuple(blocks))
    halves = _WatchedTinyViT(sam.encoder)
    if sam.padding is None:
        tokens = halves.late(halves.early(pad(normalised[None], MODEL_SIDE, MODEL_SIDE)))[0].flatten(0, 1)
    else:
        tokens = encode_picture(halves, normalised, sam.padding, margin=margin)
    return Watched(sam, scaled, tokens, tuple(halves.blocks))


class _WatchedTinyViT:
    """A TinyViT's two halves, the second of which notes what its blocks are given."""

    def __init__(self, encoder: TinyViT) -> None:
        self._encoder = encoder
        self.early = encoder.early
        self.blocks: list[_TinyBlock] = []

    def late(self, x: Tensor) -> Tensor:
        """As `TinyViT.late`."""
        encoder: Any = self._encoder
        for number, stage in enumerate(encoder.stages, 1):
            batch, height, width, _ = x.shape
            index = window_index(batch, height, width, stage.window, stage.heads, x.device)
            stride = PATCH // (2 if number == 1 else 1)
            for count, block in enumerate(stage.blocks, 1):
                self.blocks.append(_TinyBlock(f"stage {number}, block {count}", stride, block.attention, x[0]))
                x = block(x, index)
            x = x if stage.merge is None else stage.merge(x)
        return encoder.neck(x)


@dataclass(frozen=True, eq=False)
class _TinyBlock:
    """A block of TinyViT; x: (H, W, C), which its attention was given."""

    name: str
    stride: int
    attention: WindowAttention
    x: Tensor

    def look(self, x: float, y: float) -> PatchLook:
        attention, side, norm, qkv = self.attention, self.attention.window, self.attention.norm, self.attention.qkv
        row, column = (min(int(way // self.stride), end - 1) for way, end in zip((y, x), self.x.shape[:2], strict=True))
        top, left = row // side * side, column // side * side
        part = self.x[top : top + side, left : left + side].float()
        tokens = norm.bias.float().expand(side, side, -1).clone()  # padding is zero before the norm
        weight, bias = norm.weight.float(), norm.bias.float()
        tokens[: part.shape[0], : part.shape[1]] = F.layer_norm(part, norm.normalized_shape, weight, bias, norm.eps)
        rows = F.linear(tokens.flatten(0, 1), qkv.weight.float(), qkv.bias.float())
        q, k, _ = rows.view(side**2, 3, attention.heads, HEAD_CHANNELS).permute(1, 2, 0, 3)
        own = (row - top) * side + column - left
        added = attention.bias[:, own].float().unflatten(-1, (side, side))
        return _look(self.name, self.stride, (top, left), (row, column), q[:, own], k, added)


def _look(
    name: str, stride: int, corner: tuple[int, int], place: tuple[int, int], query: Tensor, keys: Tensor, bias: Tensor
) -> PatchLook:
    scores = (keys @ query[..., None]).view(bias.shape) + bias
    weights = torch.softmax(scores.flatten(1), -1).view(bias.shape)
    return PatchLook(name, stride, corner, place, query, keys, bias, weights)


def _through_plain(encoder: PlainViT, scaled: Tensor) -> tuple[Tensor, list[_Plain]]:
    blocks = list[_Plain]()
    tokens = encoder.forward_tokens(
        scaled, lambda block, x: blocks.append(_Plain(f"block {len(blocks) + 1}", block, x))
    )
    return tokens[0].flatten(0, 1), blocks


@dataclass(frozen=True, eq=False)
class _Plain:
    """A block of a plain ViT; x: (1, 64, 64, C), which it was given."""

    name: str
    block: Any
    x: Tensor

    @property
    def side(self) -> int:
        """Places along a window's side; without windows it is the picture's."""
        return self.block.window_size or GRID

    def look(self, x: float, y: float) -> PatchLook:
        side, attn = self.side, self.block.attn
        row, column = place = int(y // PATCH), int(x // PATCH)
        top, left = row // side * side, column // side * side
        q, k = self._queries_and_keys(top, left)
        query = q[:, (row - top) * side + column - left]
        by_row = query @ between(attn.rel_pos_h, side)[row - top].float().T
        by_column = query @ between(attn.rel_pos_w, side)[column - left].float().T
        bias = by_row[:, :, None] + by_column[:, None, :]
        return _look(self.name, PATCH, (top, left), place, query * query.shape[-1] ** -0.5, k, bias)

    def passed_on(self, share: Tensor) -> Tensor:
        """(64, 64) shares of places -> where they come from, by the mean of the heads; what sums to 1 does so again.

        What a place would have of a window's padding it has of the window's own places, in proportion.
        """
        result, side = torch.zeros_like(share), self.side
        for top, left in product(range(0, GRID, side), repeat=2):
            held = share[top : top + side, left : left + side]
            if held.any():
                own = result[top : top + side, left : left + side]
                own.copy_(self._passed_on_within(top, left, held))
        return result

    def _passed_on_within(self, top: int, left: int, held: Tensor) -> Tensor:
        """The same of a window: (h, w) shares of its places inside the picture -> (h, w)."""
        attn, side = self.block.attn, self.side
        q, k = self._queries_and_keys(top, left)
        by_row, by_column = relative(q[None], attn.rel_pos_h.float(), attn.rel_pos_w.float(), side, side)
        own = F.pad(torch.ones_like(held), (0, side - held.shape[1], 0, side - held.shape[0])).bool().flatten()
        shares, result = held.flatten(), torch.zeros_like(held.flatten())
        for head in range(attn.num_heads):  # a matrix of all places and all places is large: one at a time
            scores = (q[head, own] @ k[head].T * q.shape[-1] ** -0.5).view(len(shares), side, side)
            scores = scores + by_row[0, head, own, :, None] + by_column[0, head, own, None, :]
            result += shares @ torch.softmax(scores.flatten(1)[:, own], -1)
        return (result / attn.num_heads).view(held.shape)

    def _queries_and_keys(self, top: int, left: int) -> tuple[Tensor, Tensor]:
        """Of a window, (heads, side^2, d) float32 each, made in the block's own precision; beyond the picture they are
        the biases, since padding is zero."""
        side, attn = self.side, self.block.attn
        part = self.x[0, top : top + side, left : left + side]
        rows = attn.qkv.bias.expand(side, side, -1).clone()
        rows[: part.shape[0], : part.shape[1]] = attn.qkv(self.block.norm1(part))
        q, k, _ = rows.float().view(side**2, 3, attn.num_heads, -1).permute(1, 2, 0, 3)
        return q, k
