"""Cutting a grid of tokens into windows by index, and putting it together again."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from clickmask.models.windows import window_index

CPU = torch.device("cpu")
GRIDS = [(1, 7, 7), (1, 14, 21), (2, 14, 7), (1, 1, 1), (1, 8, 7), (1, 6, 15), (3, 9, 10), (1, 64, 43)]


def _rows(batch: int, height: int, width: int, heads: int, channels: int) -> Tensor:
    """(tokens, 3, heads, channels): every number different, as a query-key-value product of the grid lies in memory."""
    shape = (batch * height * width, 3, heads, channels)
    return torch.arange(torch.Size(shape).numel(), dtype=torch.float64).view(shape)


def _cut(rows: Tensor, grid: tuple[int, int, int], side: int, padding: Tensor) -> Tensor:
    """The same by pad, view and permute: (3, windows, heads, side^2, channels)."""
    batch, height, width = grid
    x = (rows - padding).view(batch, height, width, *rows.shape[1:])
    x = F.pad(x, (0, 0, 0, 0, 0, 0, 0, -width % side, 0, -height % side)) + padding
    x = x.view(batch, x.shape[1] // side, side, x.shape[2] // side, side, *rows.shape[1:])
    x = x.permute(5, 0, 1, 3, 6, 2, 4, 7)  # which, batch, rows, columns, heads, y, x, channels
    return x.flatten(1, 3).flatten(3, 4)


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_gather_cuts_from_the_top_left_and_pads_at_the_right_and_the_bottom(grid: tuple[int, int, int]) -> None:
    heads, channels, side = 2, 4, 7
    rows = _rows(*grid, heads, channels)
    padding = torch.full((3, heads, channels), -1.0, dtype=torch.float64)
    index = window_index(*grid, side, heads, CPU)
    there = torch.cat([rows, padding[None]]).view(-1, channels)
    cut = there[index.gather].view(3, -1, heads, side * side, channels)
    assert torch.equal(cut, _cut(rows, grid, side, padding))


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_scatter_puts_every_token_back_where_it_was(grid: tuple[int, int, int]) -> None:
    heads, channels, side = 3, 2, 7
    rows = _rows(*grid, heads, channels)
    index = window_index(*grid, side, heads, CPU)
    there = torch.cat([rows, rows.new_zeros(1, *rows.shape[1:])]).view(-1, channels)
    back = there[index.gather[1]].view(-1, channels).index_select(0, index.scatter)
    assert torch.equal(back.view(-1, heads, channels), rows[:, 1])


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_padded_says_whether_a_window_reaches_over_the_edge(grid: tuple[int, int, int]) -> None:
    _, height, width = grid
    assert window_index(*grid, 7, 2, CPU).padded == (height % 7 > 0 or width % 7 > 0)
