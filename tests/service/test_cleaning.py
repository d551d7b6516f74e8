"""Crumbs and pinholes; segment_anything's own function is the oracle."""

from __future__ import annotations

import numpy as np
import pytest
from segment_anything.utils.amg import remove_small_regions

from clickmask.models.errors import PromptError
from clickmask.service.cleaning import clean


@pytest.fixture
def ragged() -> np.ndarray:
    """A block of 400 pixels with a hole of 4, an island of 9 and one of 1: 406 pixels."""
    mask = np.zeros((40, 50), bool)
    mask[5:25, 5:25] = True
    mask[10:12, 10:12] = False
    mask[30:33, 30:33] = True
    mask[38, 45] = True
    return mask


def test_nothing_asked_nothing_done(ragged: np.ndarray) -> None:
    assert np.array_equal(clean(ragged), ragged)
    assert clean(ragged) is not ragged


def test_small_islands_go(ragged: np.ndarray) -> None:
    cleaned = clean(ragged, specks=2 / 406)
    assert not cleaned[38, 45] and cleaned[31, 31]
    assert not clean(ragged, specks=10 / 406)[26:].any()


def test_what_was_clicked_on_stays(ragged: np.ndarray) -> None:
    cleaned = clean(ragged, specks=0.1, holes=0.1, keep=[(45, 38), (11, 11)])
    assert cleaned[38, 45] and not cleaned[10:12, 10:12].any() and not cleaned[31, 31]
    assert np.array_equal(clean(ragged, specks=0.1, holes=0.1, keep=[(0, 0)]), clean(ragged, specks=0.1, holes=0.1))


def test_island_of_the_very_size_stays(ragged: np.ndarray) -> None:
    assert clean(ragged, specks=9 / 406)[31, 31]


def test_small_holes_are_filled(ragged: np.ndarray) -> None:
    assert clean(ragged, holes=5 / 406)[10:12, 10:12].all()
    assert not clean(ragged, holes=3 / 406)[10:12, 10:12].any()


def test_largest_part_stays_whatever_is_asked(ragged: np.ndarray) -> None:
    cleaned = clean(ragged, specks=1.0)
    assert cleaned[5:25, 5:25].sum() == cleaned.sum() == 396


def test_parts_that_touch_by_corners_hang_together() -> None:
    mask = np.eye(6, dtype=bool)
    assert np.array_equal(clean(mask, specks=0.5), mask)


@pytest.mark.parametrize("fill", [False, True])
def test_empty_and_full_masks_stay(fill: bool) -> None:
    mask = np.full((5, 6), fill)
    assert np.array_equal(clean(mask, specks=0.5, holes=0.5), mask)


@pytest.mark.parametrize("share", [0.2, 0.4, 0.6, 0.8])
@pytest.mark.parametrize(("specks", "holes"), [(0.01, 0.0), (0.0, 0.01), (0.02, 0.05), (1.0, 1.0)])
def test_result_equals_segment_anything(share: float, specks: float, holes: float) -> None:
    mask = np.random.default_rng(3).random((40, 50)) < share
    expected, area = mask, int(mask.sum())
    if holes:
        expected, _ = remove_small_regions(expected, holes * area, "holes")
    if specks:
        expected, _ = remove_small_regions(expected, specks * area, "islands")
    assert np.array_equal(clean(mask, specks, holes), expected)


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_shares_outside_the_range_are_refused(ragged: np.ndarray, share: float) -> None:
    with pytest.raises(PromptError, match="^specks"):
        clean(ragged, specks=share)
    with pytest.raises(PromptError, match="^holes"):
        clean(ragged, holes=share)


def test_only_flat_masks_are_cleaned() -> None:
    with pytest.raises(PromptError, match="mask"):
        clean(np.ones((2, 2, 2), bool))
