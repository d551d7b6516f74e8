"""What stands in a list of found masks: known shapes, their order, their parents, one map of all."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from clickmask import Found, SettingsError

Draw = Callable[..., np.ndarray]
MakeFound = Callable[..., Found]


def test_masks_are_those_that_were_drawn_the_largest_first(found: MakeFound, square: Draw) -> None:
    masks = [square(5, 5, 10), square(30, 5, 30), square(70, 40, 20)]
    ours = found(masks)
    assert [mask.area for mask in ours] == [900, 400, 100]
    for mask, drawn in zip(ours, (masks[1], masks[2], masks[0]), strict=True):
        assert (mask.pixels == drawn).all() and not mask.pixels.flags.writeable
        assert mask.rle() == type(mask).rle(mask) and mask.rle()["size"] == [90, 120]
    assert ours[0].box == (30, 5, 60, 35)
    assert ours[0].point == (3.5, 4.5) and ours[0].crop == (0, 0, 120, 90)
    assert (ours.size, ours.is_complete) == ((120, 90), True)


def test_pixels_are_not_made_until_they_are_asked_for(found: MakeFound, square: Draw) -> None:
    mask = found([square(5, 5, 10)])[0]
    assert (mask.area, mask.box) == (100, (5, 5, 15, 15))
    mask.rle()
    assert "pixels" not in vars(mask) and mask.runs.nbytes == 160
    assert mask.pixels is mask.pixels and "pixels" in vars(mask)


def test_rings_lie_in_each_other_and_touching_discs_in_none(found: MakeFound, disc: Draw) -> None:
    outer, middle, inner = (disc(30, 45, radius) for radius in (28, 18, 8))
    left, right = disc(75, 45, 12), disc(99, 45, 11) & ~disc(75, 45, 12)
    ours = found([inner, left, outer, right, middle])
    assert [mask.area for mask in ours] == sorted((m.area for m in ours), reverse=True)
    parents = {
        mask.area: parent if parent is None else ours[parent].area
        for mask, parent in zip(ours, ours.parents, strict=True)
    }
    areas = [int(mask.sum()) for mask in (outer, middle, inner, left, right)]
    assert parents == {areas[0]: None, areas[1]: areas[0], areas[2]: areas[1], areas[3]: None, areas[4]: None}


def test_the_parent_is_the_smallest_that_nine_tenths_lie_in(found: MakeFound, square: Draw) -> None:
    parent, small = square(20, 20, 40), square(20, 20, 10)
    nearly_in, too_far_out = np.roll(small, -1, 1), np.roll(small, -2, 1)  # 90 and 80 of 100 pixels
    assert found([parent, nearly_in]).parents == [None, 0]
    assert found([parent, too_far_out]).parents == [None, None]


def test_of_two_equal_masks_neither_is_the_others_parent(found: MakeFound, square: Draw) -> None:
    assert found([square(5, 5, 20), square(5, 5, 20)]).parents == [None, None]


def test_a_ring_with_a_hole_is_no_parent_of_what_stands_in_the_hole(found: MakeFound, disc: Draw) -> None:
    ring = disc(50, 45, 40) & ~disc(50, 45, 20)
    assert found([ring, disc(50, 45, 10)]).parents == [None, None]


def test_the_label_map_gives_a_pixel_to_the_smallest_or_to_the_best(found: MakeFound, square: Draw) -> None:
    large, small, aside = square(10, 10, 40), square(20, 20, 10), square(80, 50, 20)
    ours = found([small, large, aside], [0.89, 0.95, 0.9])
    assert [mask.area for mask in ours] == [1600, 400, 100]
    by_area, by_score = ours.label_map(), ours.label_map("score")
    assert by_area.dtype == by_score.dtype == np.int32 and by_area.shape == (90, 120)
    expected = np.zeros((90, 120), int)
    expected[large], expected[aside] = 1, 2
    assert (by_score == expected).all()
    expected[small] = 3
    assert (by_area == expected).all()


def test_of_equals_a_pixel_goes_to_the_first(found: MakeFound, square: Draw) -> None:
    ours = found([square(10, 10, 20), square(20, 10, 20)])
    for order in ("area", "score"):
        labels = ours.label_map(order)
        assert (labels[10:30, 10:30] == 1).all() and (labels[10:30, 30:40] == 2).all()


@pytest.mark.parametrize("order", ["", "Area", "best", None, 1])
def test_a_label_map_in_an_unknown_order_is_refused(found: MakeFound, square: Draw, order: object) -> None:
    with pytest.raises(SettingsError, match="order"):
        found([square(1, 1, 5)]).label_map(order)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("wish", [True, "area", "score"])
def test_masks_that_may_not_overlap_share_the_pixels_out(found: MakeFound, square: Draw, wish: bool | str) -> None:
    large, small = square(10, 10, 40), square(20, 20, 10)
    ours = found([small, large], [0.89, 0.95], non_overlapping=wish)
    if wish == "score":  # nothing is left of the small one
        assert [mask.area for mask in ours] == [1600]
        return
    assert [mask.area for mask in ours] == [1500, 100]
    assert (ours[0].pixels == large & ~small).all() and (ours[1].pixels == small).all()
    assert ours.parents == [None, None]


def test_too_little_left_over_is_dropped(found: MakeFound, square: Draw) -> None:
    large, cover = square(10, 10, 20), square(12, 10, 19)  # two columns and a row of the large one stay: 58 pixels
    assert [m.area for m in found([large, cover], non_overlapping=True, min_area=58)] == [361, 58]
    assert [m.area for m in found([large, cover], non_overlapping=True, min_area=59)] == [361]


def test_an_empty_list_has_an_empty_map() -> None:
    nothing = Found([], (7, 5))
    assert nothing.parents == [] and nothing.label_map().shape == (5, 7) and not nothing.label_map().any()


def test_a_cleaned_mask_says_what_it_is_now(found: MakeFound, square: Draw) -> None:
    crumb = square(10, 10, 20)
    crumb[80, 100] = True
    mask = found([crumb])[0]
    tidy = mask.clean(specks=0.1)
    assert (mask.area, tidy.area, tidy.box) == (401, 400, (10, 10, 30, 30))
    assert tidy.rle()["counts"] != mask.rle()["counts"] and not tidy.pixels[80, 100]
    assert tidy.point == mask.point and tidy.score == mask.score
