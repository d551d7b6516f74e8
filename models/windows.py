"""Where each token stands once a picture is cut into windows: two index lists instead of pad, view and permute."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor


@dataclass(frozen=True)
class WindowIndex:
    """Row numbers for `index_select` on rows of one head.

    gather: (3, windows * heads, window^2) int32: rows of the query-key-value product (token, which, head)
        in the order (which, window, head, place). Places outside the picture point at one extra token.
    scatter: (tokens * heads,) int32: rows (window, head, place) in the order (token, head).
    padded: whether any window reaches over the picture's edge.
    """

    gather: Tensor
    scatter: Tensor
    padded: bool


def window_index(batch: int, height: int, width: int, window: int, heads: int, device: torch.device) -> WindowIndex:
    """The index of a (batch, height, width) grid of tokens cut into windows from the top left.

    Those of a GPU are kept for good: there are few, and what is recorded (`graphs.py`) reads them where they are.
    """
    kept = _kept_a_while if device.type == "cpu" else _kept_for_good
    return kept(batch, height, width, window, heads, device)


def _made(batch: int, height: int, width: int, window: int, heads: int, device: torch.device) -> WindowIndex:
    rows, columns = -(-height // window), -(-width // window)
    tokens = batch * height * width
    grid = torch.full((batch, rows * window, columns * window), tokens)
    grid[:, :height, :width] = torch.arange(tokens).view(batch, height, width)
    # (windows, place): the token that stands there, `tokens` for padding
    place = grid.view(batch, rows, window, columns, window).transpose(2, 3).reshape(-1, window * window)
    which = torch.arange(3)[:, None, None, None]
    head = torch.arange(heads)[None, None, :, None]
    gather = (place[None, :, None, :] * 3 + which) * heads + head  # (3, windows, heads, window^2)
    return WindowIndex(
        gather=gather.flatten(1, 2).int().to(device),
        scatter=_invert(place, tokens, heads).int().to(device),
        padded=rows * window != height or columns * window != width,
    )


_kept_a_while, _kept_for_good = lru_cache(maxsize=64)(_made), lru_cache(maxsize=None)(_made)


def _invert(place: Tensor, tokens: int, heads: int) -> Tensor:
    """(tokens * heads,): the row (window, head, place) at which each token's head was computed."""
    windows, places = place.shape
    row = (torch.arange(windows)[:, None, None] * heads + torch.arange(heads)[None, :, None]) * places
    row = row + torch.arange(places)  # (windows, heads, places)
    inverse = torch.empty(tokens + 1, heads, dtype=torch.int64)
    inverse[place.reshape(-1)] = row.transpose(1, 2).reshape(-1, heads)
    return inverse[:tokens].reshape(-1)
