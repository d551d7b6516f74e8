"""Finished objects: their list, labels, order, and being opened again, merged, subtracted and taken away."""

from __future__ import annotations

import pytest
from screen import PHOTOS, Screen, iou

from clickmask import Segmenter

UPPER, LOWER = (290, 300), (370, 560)  # on the two dogs


@pytest.fixture
def two(desk: Screen) -> Screen:
    """Both dogs, finished: objects 1 and 2."""
    desk.take(PHOTOS / "dogs.jpg")
    desk.click(*UPPER)
    desk.press("Enter")
    desk.click(*LOWER)
    desk.press("Enter")
    return desk


def _card(desk: Screen, number: int) -> str:
    return f".cm-card[data-id='{number}']"


def test_cards_tell_score_area_and_label_and_the_topmost_is_first(two: Screen) -> None:
    assert two.page.inner_text(".cm-count") == "2 objects"
    assert [card.get_attribute("data-id") for card in two.page.query_selector_all(".cm-card")] == ["2", "1"]
    (first, _) = two.objects()
    facts = two.page.inner_text(f"{_card(two, 1)} .cm-facts")
    assert f"{int(first['pixels'].sum()):,} px" in facts and "% sure" in facts


def test_labels_are_typed_offered_again_and_given_by_number(two: Screen) -> None:
    two.page.fill(f"{_card(two, 1)} .cm-label", "cocker")
    two.page.press(f"{_card(two, 1)} .cm-label", "Enter")
    two.page.fill(".cm-active-label", "spaniel")
    two.page.press(".cm-active-label", "Enter")
    two.page.click(f"{_card(two, 2)} .cm-facts")
    two.press("1")
    assert [thing["label"] for thing in two.objects()] == ["cocker", "cocker"]
    two.press("2")
    assert [thing["label"] for thing in two.objects()] == ["cocker", "spaniel"]
    assert two.value("[...document.querySelectorAll('#cm-labels option')].map((o) => o.value).sort()") == [
        "cocker",
        "spaniel",
    ]
    two.page.select_option(".cm-list-header select", "cocker")
    assert two.page.is_visible(_card(two, 1)) and not two.page.is_visible(_card(two, 2))


def test_an_object_is_opened_again_and_refined_in_its_place(two: Screen) -> None:
    before = two.objects()
    two.press("s")
    two.page.mouse.dblclick(*two.at(*UPPER))
    two.settle()
    assert two.points() == [[290.5, 300.5, 1]]
    two.press("q")
    two.click(*LOWER)
    two.press("Enter")
    after = two.objects()
    assert [thing["id"] for thing in after] == [1, 2]
    assert after[0]["pixels"].sum() > before[0]["pixels"].sum() and after[0]["colour"] == before[0]["colour"]


def test_giving_up_leaves_an_opened_object_as_it_was(two: Screen) -> None:
    before = two.objects()
    two.page.dblclick(f"{_card(two, 1)} .cm-facts")
    two.settle()
    two.click(*LOWER)
    two.press("Escape")
    assert two.objects()[0]["rle"] == before[0]["rle"] and two.points() == []


def test_selected_objects_are_merged_with_all_their_pixels(two: Screen) -> None:
    first, second = two.objects()
    two.press("s")
    two.click(*UPPER)
    two.click(*LOWER, "Control")
    two.press("m")
    (merged,) = two.objects()
    assert ((first["pixels"] | second["pixels"]) == merged["pixels"]).all()


def test_shift_selects_one_more_on_the_photo_and_in_the_list(two: Screen) -> None:
    two.press("s")
    two.click(*UPPER)
    two.click(*LOWER, "Shift")
    assert two.value("[...clickmask.bench.editor.selected]") == [1, 2] and two.page.locator(".cm-menu").count() == 0
    two.page.click(f"{_card(two, 1)} .cm-facts", modifiers=["Shift"])
    assert two.value("[...clickmask.bench.editor.selected]") == [2]


def test_selected_objects_are_subtracted_from_the_one_in_the_making(two: Screen) -> None:
    _, second = two.objects()
    two.click(*LOWER)
    two.press("1")  # the dog and more
    two.page.click(f"{_card(two, 2)} .cm-facts")
    two.press("u", "Enter")
    *_, rest = two.objects()
    assert rest["pixels"].any() and not (rest["pixels"] & second["pixels"]).any()


def test_finished_objects_may_leave_out_what_others_cover(two: Screen) -> None:
    _, second = two.objects()
    two.page.check(".cm-keeps-off")
    two.click(*LOWER)
    two.press("1", "Enter")
    *_, third = two.objects()
    assert third["pixels"].any() and not (third["pixels"] & second["pixels"]).any()


def test_locked_objects_stay_and_others_are_deleted(two: Screen) -> None:
    two.page.click(f"{_card(two, 1)} .cm-lock")
    two.press("s")
    two.click(*UPPER)
    two.click(*LOWER, "Control")
    two.press("Delete")
    assert [thing["id"] for thing in two.objects()] == [1]
    assert "locked" in two.page.inner_text(".cm-toasts")
    two.press("Control+z")
    assert [thing["id"] for thing in two.objects()] == [1, 2]


def test_order_changes_by_dragging_and_by_keys(two: Screen) -> None:
    two.page.drag_and_drop(f"{_card(two, 1)} .cm-facts", f"{_card(two, 2)} .cm-facts")
    assert [thing["id"] for thing in two.objects()] == [2, 1]
    two.page.focus(_card(two, 1))
    two.page.keyboard.press("Control+ArrowDown")
    assert [thing["id"] for thing in two.objects()] == [1, 2]


def test_hidden_objects_are_neither_drawn_nor_picked(two: Screen) -> None:
    two.page.click(f"{_card(two, 1)} .cm-eye")
    two.press("s")
    two.click(*UPPER)
    assert two.value("clickmask.bench.editor.selected.size") == 0
    two.page.click("button[title='Show all objects']")
    two.settle()
    two.click(*UPPER)
    assert two.value("[...clickmask.bench.editor.selected]") == [1]


def test_colours_change_and_are_those_of_the_card(two: Screen) -> None:
    before = two.objects()[0]["colour"]
    two.page.click(f"{_card(two, 1)} .cm-swatch")
    assert two.objects()[0]["colour"] == before + 1


def test_specks_go_and_come_back_with_the_clean_up(two: Screen, segmenter: Segmenter) -> None:
    before = two.objects()[0]["rle"]
    two.page.click(f"{_card(two, 1)} .cm-facts")
    two.value("clickmask.clean(0.02)")
    two.settle()
    cleaned = two.objects()[0]["pixels"]
    with segmenter.open(PHOTOS / "dogs.jpg") as image:
        expected = image.click(290.5, 300.5).clean(specks=0.02, holes=0.02).pixels
    assert iou(cleaned, expected) > 0.98
    two.value("clickmask.clean(0)")
    two.settle()
    assert two.objects()[0]["rle"] == before
