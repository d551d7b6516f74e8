"""ViT-B, L and H on segment_anything's weights, tokens last, with the relative positions inside the attention.

segment_anything (modeling/image_encoder.py) adds to the scores of a query q at (y, x) and a key at (v, u) the products
q . Rh[y - v] and q . Rw[x - u], as a matrix of all queries and keys. Here a query carries its products with all rows
and columns as further channels, and a key carries ones at its own row and column:

    [q s, q Rh[y], q Rw[x]] . [k, e(v), e(u)]  =  s q . k + q . Rh[y - v] + q . Rw[x - u]

so that any fused attention computes it, and no matrix of scores is ever written. (The idea is known from
"segment-anything-fast" and TensorRT exports; performance.md names them.)

The tokens that pad the last windows are not projected: a projection of zeros is its bias.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .frame import GRID
from .hq import HqFeatures
from .layers import Dense

# Queries, keys, values, and the queries' products with rows and with columns -> what is heard; see `augmented`.
Form = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]

WIDTH_STEP = 8  # channels of a head, for the fused kernels
SCORES = 2**20  # at a time on a CPU: 4 MB, which stay in the cache


class PlainViT(nn.Module):
    """The image encoder of ViT-B, L or H (global attention, so always the whole square).

    Args:
        network: a module with the parts of segment_anything's `ImageEncoderViT`, whose tensors are used where they are.
        fine: of HQ-SAM, what it adds to the embedding; it is given what comes out of the first global block.
    """

    def __init__(self, network: nn.Module, fine: HqFeatures | None = None) -> None:
        super().__init__()
        self.network, self.fine = network, fine

    def fuse(self) -> None:
        """Have bias, activation and residual computed with the products where the library can: see `layers.py`."""
        network: Any = self.network
        for block in network.blocks:
            block.attn.qkv, block.attn.proj = Dense.of(block.attn.qkv), Dense.of(block.attn.proj)
            block.mlp.lin1, block.mlp.lin2 = Dense.of(block.mlp.lin1, "gelu"), Dense.of(block.mlp.lin2)
            block.mlp.act = nn.Identity()

    def forward_tokens(self, x: Tensor, note: Callable[[Any, Tensor], None] = lambda block, given: None) -> Tensor:
        """(B, 1024, 1024, 3) float32 normalised pixels -> (B, 64, 64, 256) in the network's dtype; of HQ-SAM 768.

        note: called with each block and what it is given, (B, 64, 64, C).
        """
        network: Any = self.network
        x, early = self._embed(x), None
        for block in network.blocks:
            note(block, x)
            x = encode_block(block, x)
            early = x if early is None and not block.window_size else early
        return self._finish(x, early)

    def _embed(self, x: Tensor) -> Tensor:
        """(B, 1024, 1024, 3) float32 normalised pixels -> (B, 64, 64, C): patches and where they are."""
        network: Any = self.network
        return network.patch_embed(x.permute(0, 3, 1, 2).to(network.pos_embed.dtype)) + network.pos_embed

    def _finish(self, x: Tensor, early: Tensor | None) -> Tensor:
        """(B, 64, 64, C) after the last block, and after the first global one -> the embedding."""
        network: Any = self.network
        tokens = network.neck(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        if self.fine is None or early is None:
            return tokens
        return torch.cat([tokens, self.fine(tokens, early)], -1)


def encode_block(block: Any, x: Tensor) -> Tensor:
    """(B, 64, 64, C) -> the same after one Transformer block."""
    qkv = block.attn.qkv(block.norm1(x))
    if block.window_size:
        windows = to_windows(qkv, block.attn.qkv.bias, block.window_size)
        heard = from_windows(attention(block.attn, windows), x.shape[0], block.window_size)
    else:
        heard = attention(block.attn, qkv)
    x = added(block.attn.proj, heard, x)
    return added(block.mlp.lin2, block.mlp.act(block.mlp.lin1(block.norm2(x))), x)


def added(layer: nn.Module, x: Tensor, residual: Tensor) -> Tensor:
    """residual + layer(x), in one go where the layer can."""
    return layer(x, residual) if isinstance(layer, Dense) else residual + layer(x)


def to_windows(rows: Tensor, padding: Tensor, side: int) -> Tensor:
    """(B, 64, 64, C) -> (B * windows, side, side, C), the windows at the right and below filled up with `padding`."""
    count = -(-GRID // side)
    filled = padding.to(rows.dtype).expand(rows.shape[0], count * side, count * side, -1).clone()
    filled[:, :GRID, :GRID] = rows
    return filled.unflatten(2, (count, side)).unflatten(1, (count, side)).transpose(2, 3).flatten(0, 2)


def from_windows(windows: Tensor, batch: int, side: int) -> Tensor:
    """The way back, without what was filled up."""
    count = -(-GRID // side)
    rows = windows.unflatten(0, (batch, count, count)).transpose(2, 3).flatten(3, 4).flatten(1, 2)
    return rows[:, :GRID, :GRID]


def attention(attn: Any, qkv: Tensor, form: Form | None = None) -> Tensor:
    """Multi-head attention with relative positions: (B, H, W, 3 C) queries, keys and values -> (B, H, W, C).

    form: how; None takes the device's.
    """
    batch, height, width, _ = qkv.shape
    q, k, v = qkv.view(batch, height * width, 3, attn.num_heads, -1).permute(2, 0, 3, 1, 4)
    by_row, by_column = relative(q, attn.rel_pos_h, attn.rel_pos_w, height, width)
    form = form or (in_chunks if q.device.type == "cpu" else augmented)
    return form(q, k, v, by_row, by_column).transpose(1, 2).reshape(batch, height, width, -1)


def augmented(q: Tensor, k: Tensor, v: Tensor, by_row: Tensor, by_column: Tensor) -> Tensor:
    """torch's fused attention, with relative positions as further channels.

    Args:
        q, k, v: (B, heads, H W, C). by_row, by_column: (B, heads, H W, H) and (..., W), see `relative`.

    Returns:
        (B, heads, H W, C).
    """
    channels, height, width = q.shape[-1], by_row.shape[-1], by_column.shape[-1]
    spare = -(channels + height + width) % WIDTH_STEP
    zeros = q.new_zeros(1).expand(*q.shape[:3], spare)
    queries = torch.cat([q * channels**-0.5, by_row, by_column, zeros], -1)
    keys = torch.cat([k, own_place(height, width, q).expand(*k.shape[:3], -1), zeros], -1)
    return F.scaled_dot_product_attention(queries, keys, v, scale=1.0)


def in_chunks(q: Tensor, k: Tensor, v: Tensor, by_row: Tensor, by_column: Tensor) -> Tensor:
    """The same for a CPU, whose fused kernel takes two to four times as long: for some queries at a time, products in
    the dtype of q, all between them in float32."""
    shape, grid = q.shape, (by_row.shape[-1], by_column.shape[-1])
    q, k, v = (whole.flatten(0, 1).contiguous() for whole in (q, k, v))
    by_row, by_column = (whole.flatten(0, 1).float() for whole in (by_row, by_column))
    heard, places = torch.empty_like(q), q.shape[1]
    step = max(1, SCORES // places)
    for heads in _slices(len(q), max(1, SCORES // places**2)):
        keys = k[heads].mT.contiguous()
        for rows in _slices(places, step):
            scores = torch.bmm(q[heads, rows], keys).float().mul_(q.shape[-1] ** -0.5)
            scores.unflatten(-1, grid).add_(by_row[heads, rows, :, None]).add_(by_column[heads, rows, None])
            heard[heads, rows] = torch.bmm(torch.softmax(scores, -1).to(v.dtype), v[heads])
    return heard.view(shape)


def _slices(count: int, step: int) -> list[slice]:
    return [slice(first, first + step) for first in range(0, count, step)]


def relative(q: Tensor, rows: Tensor, columns: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Queries (B, heads, H W, C) times the relative positions of every row and column: (..., H) and (..., W)."""
    grid = q.unflatten(2, (height, width))
    by_row = torch.einsum("bnyxc,yvc->bnyxv", grid, between(rows, height).to(q.dtype))
    by_column = torch.einsum("bnyxc,xuc->bnyxu", grid, between(columns, width).to(q.dtype))
    return by_row.flatten(2, 3), by_column.flatten(2, 3)


def between(table: Tensor, side: int) -> Tensor:
    """(side, side, C): for each place and each other one the entry of a (2 side - 1, C) table of distances.

    A table of another length is scaled to it first, as segment_anything does.
    """
    if len(table) != 2 * side - 1:
        table = F.interpolate(table.T[None].float(), size=2 * side - 1, mode="linear")[0].T.to(table.dtype)
    places = torch.arange(side, device=table.device)
    return table[places[:, None] - places + side - 1]


def own_place(height: int, width: int, like: Tensor) -> Tensor:
    """(H W, H + W): ones at each place's own row and column."""
    rows = torch.eye(height, dtype=like.dtype, device=like.device)
    columns = torch.eye(width, dtype=like.dtype, device=like.device)
    return torch.cat([rows.repeat_interleave(width, 0), columns.repeat(height, 1)], -1)
