"""Clicks chained by `start()` give what the chain by hand gives; every edit follows the decode rule."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from clickmask import ClosedError, Mask, OpenImage, PromptError, Segmenter, Thing

A, B, C = (600, 20), (500, 40), (90, 30)  # in the bowl, in the bowl, beside it
BOX = (300, 0, 1000, 64)


@pytest.fixture(scope="module")
def image(strip_segmenter: Segmenter, strip: np.ndarray) -> OpenImage:
    return strip_segmenter.open(strip)


@pytest.fixture
def thing(image: OpenImage) -> Thing:
    return image.start()


def _same(mask: Mask | None, other: Mask | None) -> bool:
    assert mask is not None and other is not None
    return np.array_equal(mask.logits, other.logits) and mask.score == other.score


def _by_hand(
    image: OpenImage, points: Sequence[tuple[float, float]], labels: Sequence[int], box=None, previous=None
) -> Mask:
    return image.segment(points, labels, box, previous)


def test_nothing_placed_has_no_mask(thing: Thing) -> None:
    assert thing.mask is None
    assert thing.candidates == [] and thing.points == [] and thing.labels == [] and thing.box is None


def test_first_click_gives_the_best_of_three_candidates(image: OpenImage, thing: Thing) -> None:
    mask = thing.add(*A)
    assert _same(mask, image.click(*A))
    assert mask is thing.mask
    expected = image.candidates(points=[A])
    assert len(thing.candidates) == 3
    assert all(_same(mask, other) for mask, other in zip(thing.candidates, expected, strict=True))


def test_each_click_is_asked_with_all_points_and_the_last_logits(image: OpenImage, thing: Thing) -> None:
    one = _by_hand(image, [A], [1])
    two = _by_hand(image, [A, B], [1, 1], previous=one)
    three = _by_hand(image, [A, B, C], [1, 1, 0], previous=two)
    assert _same(thing.add(*A), one)
    assert _same(thing.add(*B), two)
    assert _same(thing.add(*C, label=0), three)
    assert thing.points == [A, B, C] and thing.labels == [1, 1, 0]
    assert thing.candidates == []
    assert not _same(three, _by_hand(image, [A, B, C], [1, 1, 0]))


def test_box_is_one_more_step_of_the_chain(image: OpenImage, thing: Thing) -> None:
    thing.add(*A)
    one = _by_hand(image, [A], [1])
    two = _by_hand(image, [A], [1], BOX, one)
    assert _same(thing.set_box(*BOX), two)
    assert _same(thing.add(*C, label=0), _by_hand(image, [A, C], [1, 0], BOX, two))
    assert thing.box == BOX


def test_box_first_is_asked_alone(image: OpenImage, thing: Thing) -> None:
    assert _same(thing.set_box(*BOX), image.segment(box=BOX))
    assert thing.candidates == []


def test_box_drawn_anew_is_asked_with_the_answer_before_it(image: OpenImage, thing: Thing) -> None:
    one = thing.add(*A)
    thing.set_box(*BOX)
    thing.add(*C, label=0)
    other = (400, 0, 900, 64)
    assert _same(thing.set_box(*other), _by_hand(image, [A, C], [1, 0], other, one))
    assert thing.box == other and thing.points == [A, C]


def test_clearing_the_box_asks_once_with_the_answer_before_it(image: OpenImage, thing: Thing) -> None:
    one = thing.add(*A)
    thing.set_box(*BOX)
    thing.add(*C, label=0)
    assert _same(thing.clear_box(), _by_hand(image, [A, C], [1, 0], None, one))
    assert thing.box is None
    with pytest.raises(PromptError, match="^box: there is none"):
        thing.clear_box()


def test_moving_a_point_asks_once_with_the_answer_before_it(image: OpenImage, thing: Thing) -> None:
    one = thing.add(*A)
    thing.add(*B)
    thing.add(*C, label=0)
    moved = (450, 10)
    mask = thing.move(1, *moved)
    assert _same(mask, _by_hand(image, [A, moved, C], [1, 1, 0], None, one))
    assert thing.points == [A, moved, C] and thing.labels == [1, 1, 0]
    # The answers from the moved point on are gone: moving the last one finds none to go on from.
    assert _same(thing.move(2, 80, 30), _by_hand(image, [A, moved, (80, 30)], [1, 1, 0]))


def test_moving_the_only_point_is_a_first_click_again(image: OpenImage, thing: Thing) -> None:
    thing.add(*A)
    assert _same(thing.move(0, *B), image.click(*B))
    assert len(thing.candidates) == 3


def test_deleting_the_first_point_asks_once_without_any_answer(image: OpenImage, thing: Thing) -> None:
    thing.add(*A)
    thing.add(*B)
    thing.add(*C, label=0)
    assert _same(thing.delete(0), _by_hand(image, [B, C], [1, 0]))
    assert thing.points == [B, C] and thing.labels == [1, 0]


def test_deleting_a_point_in_the_middle_asks_with_the_answer_before_it(image: OpenImage, thing: Thing) -> None:
    one = thing.add(*A)
    thing.add(*B)
    thing.add(*C, label=0)
    assert _same(thing.delete(1), _by_hand(image, [A, C], [1, 0], None, one))


def test_click_after_deleting_the_last_point_goes_on_from_the_mask_that_is_shown(
    image: OpenImage, thing: Thing
) -> None:
    one = thing.add(*A)
    two = thing.add(*B)
    thing.add(*C, label=0)
    shown = thing.delete(2)
    assert _same(shown, _by_hand(image, [A, B], [1, 1], None, two))
    assert _same(thing.add(*C, label=0), _by_hand(image, [A, B, C], [1, 1, 0], None, shown))
    assert _same(thing.move(1, *B), _by_hand(image, [A, B, C], [1, 1, 0], None, one))


def test_deleting_the_only_point_leaves_nothing(thing: Thing) -> None:
    first = thing.add(*A)
    assert thing.delete(0) is None
    assert thing.mask is None and thing.points == [] and thing.candidates == []
    assert thing.undo() is first
    assert thing.points == [A]


def test_chosen_candidate_is_what_later_clicks_refine(image: OpenImage, thing: Thing) -> None:
    thing.add(*A)
    third = thing.candidates[2]
    assert thing.choose(2) is third
    assert thing.mask is third
    assert len(thing.candidates) == 3
    assert _same(thing.add(*B), _by_hand(image, [A, B], [1, 1], None, third))


def test_undo_and_redo_walk_through_the_masks_without_asking_again(thing: Thing) -> None:
    one = thing.add(*A)
    two = thing.add(*B)
    three = thing.delete(0)
    assert thing.undo() is two and thing.points == [A, B]
    assert thing.undo() is one and thing.points == [A]
    assert thing.undo() is None and thing.points == []
    assert thing.undo() is None
    assert thing.redo() is one
    assert thing.redo() is two
    assert thing.redo() is three and thing.points == [B]
    assert thing.redo() is three


def test_click_after_undo_forgets_what_was_undone(image: OpenImage, thing: Thing) -> None:
    one = thing.add(*A)
    thing.add(*B)
    thing.undo()
    mask = thing.add(*C, label=0)
    assert _same(mask, _by_hand(image, [A, C], [1, 0], None, one))
    assert thing.redo() is mask


def test_choosing_can_be_undone(thing: Thing) -> None:
    best = thing.add(*A)
    thing.choose(1)
    assert thing.undo() is best


def test_wrong_click_changes_nothing(thing: Thing) -> None:
    mask = thing.add(*A)
    with pytest.raises(PromptError, match=r"^points\[1\]"):
        thing.add(5000, 5)
    with pytest.raises(PromptError, match=r"^labels\[1\]"):
        thing.add(*B, label=7)
    with pytest.raises(PromptError, match="^box"):
        thing.set_box(9, 9, 0, 0)
    with pytest.raises(PromptError, match="^points"):
        thing.move(0, float("nan"), 5)
    assert thing.mask is mask and thing.points == [A] and thing.box is None
    assert thing.undo() is None


def test_point_or_candidate_that_is_not_there_is_refused(thing: Thing) -> None:
    for call in (thing.delete, lambda number: thing.move(number, 5, 5)):
        with pytest.raises(PromptError, match="^point: there are none"):
            call(0)
    with pytest.raises(PromptError, match="^candidate: there are none"):
        thing.choose(0)
    thing.add(*A)
    for number in (-1, 1):
        with pytest.raises(PromptError, match=f"^point: expected a number from 0 to 0, got {number}"):
            thing.delete(number)
    for number in (-1, 3):
        with pytest.raises(PromptError, match=f"^candidate: expected 0 to 2, got {number}"):
            thing.choose(number)


def test_things_of_one_image_do_not_know_of_each_other(image: OpenImage) -> None:
    one, other = image.start(), image.start()
    one.add(*A)
    assert other.mask is None
    assert _same(other.add(*C), image.click(*C))


def test_closed_image_starts_nothing(strip_segmenter: Segmenter, strip: np.ndarray) -> None:
    image = strip_segmenter.open(strip)
    thing = image.start()
    image.close()
    with pytest.raises(ClosedError):
        image.start()
    with pytest.raises(ClosedError):
        thing.add(*A)
