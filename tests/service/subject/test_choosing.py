"""Which mask is the subject, by hand: a picture of 64 x 64 low-res places, of which a square stands out."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from clickmask.service.subject.choosing import border_share, choose, overlaps, values
from clickmask.service.subject.proposing import Seen


def _square(y: int, x: int, side: int) -> Tensor:
    mask = torch.zeros(64, 64, dtype=torch.bool)
    mask[y : y + side, x : x + side] = True
    return mask


def _seen(*masks: Tensor, quality: float = 1.0) -> Seen:
    return Seen(torch.stack(masks), torch.full((len(masks),), quality))


def _surplus(*squares: tuple[int, int, int]) -> Tensor:
    """(16, 16): these squares of cells stand out, each cell by 0.01, and all others stand back by 0.002."""
    surplus = torch.full((16, 16), -0.002)
    for y, x, side in squares:
        surplus[y : y + side, x : x + side] = 0.01
    return surplus


def test_the_whole_thing_is_chosen_rather_than_its_part_or_its_surroundings() -> None:
    seen = _seen(_square(24, 24, 8), _square(16, 16, 32), _square(20, 20, 16))
    chosen = choose(seen, _surplus((5, 5, 4)))
    assert chosen is not None and torch.equal(chosen.mask, _square(20, 20, 16))
    assert chosen.value == pytest.approx(16 * 0.01) and chosen.rival == 0


def test_values_are_sums_less_for_border_and_quality() -> None:
    at_the_edge = torch.zeros(64, 64, dtype=torch.bool)
    at_the_edge[:32] = True  # (2 * 64 + 2 * 30 * 2) / (2 * 2 * 64 + 2 * 2 * 60) of a border two places wide
    surplus = torch.full((16, 16), 0.001)
    worth = values(_seen(_square(16, 16, 32), at_the_edge, quality=0.9), surplus)
    assert worth[0].item() == pytest.approx(64 * 0.001 * 0.81)
    assert border_share(at_the_edge[None]).item() == pytest.approx(0.5)
    assert worth[1].item() == pytest.approx(128 * 0.001 * 0.5**2 * 0.81)


def test_another_thing_that_stands_out_alike_is_a_rival() -> None:
    surplus = _surplus((2, 2, 4), (9, 9, 4))
    alike = choose(_seen(_square(8, 8, 16), _square(36, 36, 16), _square(10, 10, 12)), surplus)
    assert alike is not None and alike.rival == pytest.approx(1)
    smaller = choose(_seen(_square(8, 8, 16), _square(36, 36, 8)), surplus)
    assert smaller is not None and smaller.rival == pytest.approx(4 / 16)


def test_parts_of_the_subject_are_no_rivals() -> None:
    chosen = choose(_seen(_square(20, 20, 16), _square(22, 22, 12)), _surplus((5, 5, 4)))
    assert chosen is not None and chosen.rival == 0


def test_nothing_is_chosen_where_nothing_stands_out_or_nothing_was_found() -> None:
    assert choose(_seen(_square(20, 20, 16)), torch.full((16, 16), -0.001)) is None
    assert choose(_seen(_square(20, 20, 4)), _surplus((5, 5, 4))) is None  # a speck: 16 of 4096 places
    assert choose(Seen(torch.zeros(0, 64, 64, dtype=torch.bool), torch.zeros(0)), _surplus((5, 5, 4))) is None


def test_overlap_is_of_the_smaller_of_two() -> None:
    masks = torch.stack([_square(0, 0, 10), _square(0, 5, 10), _square(0, 0, 5), _square(30, 30, 5)])
    assert overlaps(masks, 0).tolist() == pytest.approx([1, 0.5, 1, 0])
