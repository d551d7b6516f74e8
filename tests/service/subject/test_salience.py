"""What stands out, on image tokens made by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from clickmask.models.frame import Frame
from clickmask.service.subject.salience import border, cover, excess

SQUARE, WIDE = Frame.whole(1024, 1024), Frame.whole(1024, 512)


def _tokens(y: slice, x: slice) -> Tensor:
    """(4096, 256) of one kind, and in a block of another."""
    tokens = torch.zeros(64, 64, 256)
    tokens[..., 0] = 1
    tokens[y, x] = torch.eye(256)[1]
    return tokens.reshape(4096, 256)


def test_a_block_that_is_unlike_the_border_is_all_that_stands_out() -> None:
    surplus = excess(_tokens(slice(24, 40), slice(20, 44)), SQUARE)
    outside = torch.ones(64, 64, dtype=torch.bool)
    outside[24:40, 20:44] = False
    assert surplus.shape == (64, 64)
    assert (surplus[24:40, 20:44] > 0).all() and (surplus[outside] < 0).all()
    assert surplus.abs().sum().item() == pytest.approx(1, abs=1e-4)


def test_padding_beside_the_picture_is_not_looked_at() -> None:
    tokens = _tokens(slice(10, 20), slice(20, 44))
    loud = tokens.reshape(64, 64, 256).clone()
    loud[32:] = 7.0 * torch.eye(256)[2]
    assert torch.equal(excess(tokens, WIDE), excess(loud.reshape(4096, 256), WIDE))
    assert excess(tokens, WIDE).shape == (32, 64)


def test_of_two_like_blocks_that_nearer_to_the_middle_stands_out_more() -> None:
    tokens = _tokens(slice(30, 34), slice(30, 34)).reshape(64, 64, 256)
    tokens[6:10, 6:10] = torch.eye(256)[1]
    surplus = excess(tokens.reshape(4096, 256), SQUARE)
    assert surplus[30:34, 30:34].min() > surplus[6:10, 6:10].max() > surplus[2, 2]


def test_where_all_is_alike_nothing_stands_out() -> None:
    assert not excess(torch.ones(4096, 256), SQUARE).any()


@pytest.mark.parametrize("size", [(1, 1), (50, 1), (1, 50), (3, 700)])
def test_the_thinnest_pictures_have_numbers(size: tuple[int, int]) -> None:
    surplus = excess(torch.randn(4096, 256, generator=torch.Generator().manual_seed(3)), Frame.whole(*size))
    assert surplus.isfinite().all() and surplus.abs().sum().item() <= 1 + 1e-4


def test_cover_is_the_share_of_each_cell_of_sixteen_places() -> None:
    mask = torch.zeros(1, 6, 8, dtype=torch.bool)
    mask[0, :5, :2] = True
    assert cover(mask)[0].tolist() == [[8 / 16, 0], [2 / 16, 0]]


def test_the_border_is_a_ring_and_of_a_thin_picture_all() -> None:
    assert border(4, 5, 1).int().tolist() == [[1, 1, 1, 1, 1], [1, 0, 0, 0, 1], [1, 0, 0, 0, 1], [1, 1, 1, 1, 1]]
    assert border(2, 5, 1).all() and border(3, 9, 2).all()
