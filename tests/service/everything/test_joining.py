"""What tiles cut is joined again: bars and discs drawn by hand, cut as tiles would cut them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from clickmask.service.everything.grids import Crop
from clickmask.service.everything.joining import join_cut
from clickmask.service.everything.search import Candidate

Draw = Callable[..., np.ndarray]
Make = Callable[..., Candidate]
SIZE = (240, 60)
WINDOWS = [(0, 0, 100, 60), (70, 0, 170, 60), (140, 0, 240, 60)]
TILES = [Crop(window, np.zeros((0, 2))) for window in WINDOWS]
WHOLE = Crop((0, 0, *SIZE), np.zeros((0, 2)))


def _part(mask: np.ndarray, window: tuple[int, int, int, int]) -> np.ndarray:
    x0, y0, x1, y1 = window
    part = np.zeros_like(mask)
    part[y0:y1, x0:x1] = mask[y0:y1, x0:x1]
    return part


def _bar(x0: int, x1: int, y0: int = 20, y1: int = 30) -> np.ndarray:
    mask = np.zeros(SIZE[::-1], bool)
    mask[y0:y1, x0:x1] = True
    return mask


def test_a_bar_across_three_tiles_is_one_mask_again(candidate: Make) -> None:
    bar = _bar(10, 230)
    scores, stabilities = (0.9, 0.95, 0.99), (0.97, 0.96, 0.98)
    parts = [
        candidate(_part(bar, window), scores[n], stabilities[n], n, is_cut=True) for n, window in enumerate(WINDOWS)
    ]
    (joined,) = join_cut(parts, TILES)
    assert (joined.runs.pixels() == bar).all() and not joined.is_cut
    assert joined.stability == 0.96
    areas = [part.runs.area for part in parts]
    assert areas == [900, 1000, 900]
    assert joined.score == pytest.approx(sum(a * s for a, s in zip(areas, scores, strict=True)) / 2800)
    assert joined.crop == 1  # that of its largest part


def test_the_order_of_parts_does_not_matter(candidate: Make) -> None:
    bar = _bar(10, 230)
    parts = [candidate(_part(bar, window), crop=n, is_cut=True) for n, window in enumerate(WINDOWS)]
    for order in ((2, 0, 1), (1, 2, 0), (2, 1, 0)):
        (joined,) = join_cut([parts[n] for n in order], TILES)
        assert (joined.runs.pixels() == bar).all()


def test_two_bars_above_each_other_stay_two(candidate: Make) -> None:
    bars = [_bar(10, 230, 5, 15), _bar(10, 230, 40, 50)]
    parts = [candidate(_part(b, w), crop=n, is_cut=True) for b in bars for n, w in enumerate(WINDOWS)]
    joined = join_cut(parts, TILES)
    assert len(joined) == 2
    assert all((one.runs.pixels() == bar).all() for one, bar in zip(joined, bars, strict=True))


def test_parts_that_disagree_where_both_tiles_look_are_not_one(candidate: Make) -> None:
    left, right = _bar(10, 100, 20, 30), _bar(70, 170, 24, 34)  # 180 of 420 pixels of the common strip
    parts = [candidate(left, crop=0, is_cut=True), candidate(right, crop=1, is_cut=True)]
    assert len(join_cut(parts, TILES)) == 2


def test_what_has_no_other_half_stays_as_it_is(candidate: Make, disc: Draw) -> None:
    alone = candidate(_bar(10, 100), crop=0, is_cut=True)
    uncut = candidate(disc(200, 30, 10, SIZE), crop=2)
    assert join_cut([alone, uncut], TILES) == [uncut, alone]


def test_what_the_next_tile_sees_whole_is_found_once(candidate: Make, disc: Draw) -> None:
    """A disc at the edge of the first tile: that has its larger half, the second all of it."""
    whole = disc(95, 30, 15, SIZE)
    half, full = candidate(_part(whole, WINDOWS[0]), 0.99, crop=0, is_cut=True), candidate(whole, 0.9, crop=1)
    for parts in ([half, full], [full, half]):
        assert join_cut(parts, TILES) == [full]


def test_a_small_thing_within_a_large_one_is_no_piece_of_it(candidate: Make, disc: Draw) -> None:
    small, large = disc(92, 30, 8, SIZE), disc(115, 30, 29, SIZE)
    cut = candidate(_part(small, WINDOWS[0]), crop=0, is_cut=True)
    full = candidate(large, crop=1)
    assert join_cut([cut, full], TILES) == [full, cut]


def test_a_large_thing_with_a_small_one_in_the_next_tile_stays(candidate: Make) -> None:
    """They agree in the strip both tiles see; but the bar goes on to the left, which the other does not say."""
    bar, end = _bar(5, 92), _bar(70, 92)
    cut, full = candidate(bar, crop=0, is_cut=True), candidate(end, crop=1)
    assert join_cut([cut, full], TILES) == [full, cut]


def test_a_part_of_what_the_whole_image_shows_goes_but_joined_parts_stay(candidate: Make) -> None:
    bar, crops = _bar(10, 230), [WHOLE, *TILES]
    seen = candidate(bar, crop=0)
    parts = [candidate(_part(bar, window), crop=n, is_cut=True) for n, window in enumerate(WINDOWS, 1)]
    assert join_cut([seen, parts[1]], crops) == [seen]
    both = join_cut([seen, *parts], crops)
    assert len(both) == 2 and both[0] is seen and (both[1].runs.pixels() == bar).all()


def test_nothing_cut_means_nothing_changes(candidate: Make, disc: Draw) -> None:
    candidates = [candidate(disc(40 + 70 * n, 30, 9, SIZE), crop=n) for n in range(3)]
    assert join_cut(candidates, TILES) == candidates
