"""The table of keys, and the page by keyboard alone."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page
from screen import PHOTOS, Screen

DOGS = PHOTOS / "dogs.jpg"


def test_no_key_means_two_things_in_one_state(modules: Page) -> None:
    assert modules.evaluate("async () => (await import('./keys.js')).conflicts()") == []
    twice = "[['a', ['x'], 'always', ''], ['b', ['x'], 'editing', '']]"
    assert modules.evaluate(f"async () => (await import('./keys.js')).conflicts({twice})") == [["a", "b"]]


def test_no_key_needs_alt_or_tab(modules: Page) -> None:
    chords = modules.evaluate("async () => (await import('./keys.js')).TABLE.flatMap(([, chords]) => chords)")
    assert len(chords) > 40 and not [chord for chord in chords if "alt" in chord or chord == "tab"]


@pytest.mark.parametrize(
    ("event", "is_mac", "chord"),
    [
        ({"key": "z", "code": "KeyY", "ctrlKey": True}, False, "ctrl+z"),  # QWERTZ: by what it says, not where it is
        ({"key": "y", "code": "KeyZ", "ctrlKey": True}, False, "ctrl+y"),
        ({"key": "Z", "ctrlKey": True, "shiftKey": True}, False, "ctrl+shift+z"),
        ({"key": "z", "metaKey": True}, True, "ctrl+z"),
        ({"key": "Z", "metaKey": True, "shiftKey": True}, True, "ctrl+shift+z"),
        ({"key": "z", "ctrlKey": True}, True, "z"),
        ({"key": "q", "code": "KeyA"}, False, "q"),  # AZERTY
        ({"key": "1", "code": "Digit1", "shiftKey": True}, False, "1"),  # AZERTY's digits are shifted
        ({"key": "?", "shiftKey": True}, False, "?"),
        ({"key": "+", "shiftKey": True}, False, "+"),
        ({"key": "Q"}, False, "q"),  # Caps Lock
        ({"key": "Enter"}, False, "enter"),
    ],
)
def test_keys_are_read_by_their_character(modules: Page, event: dict[str, Any], is_mac: bool, chord: str) -> None:
    found = modules.evaluate(
        "async ([event, isMac]) => (await import('./keys.js')).chordOf(new KeyboardEvent('keydown', event), isMac)",
        [event, is_mac],
    )
    assert found == chord


def test_keys_do_nothing_while_typing(desk: Screen) -> None:
    desk.take(DOGS)
    desk.page.click(".cm-active-label")
    desk.page.keyboard.type("brush")
    assert desk.value("clickmask.tools.tool") == "point"
    assert desk.page.input_value(".cm-active-label") == "brush"


def test_every_command_of_the_table_is_there(desk: Screen) -> None:
    missing = (
        "async () => (await import('/page/keys.js')).TABLE.filter(([c]) => !clickmask.commands[c]).map(([c]) => c)"
    )
    assert desk.value(missing) == []


def test_tools_modes_and_views_have_keys(desk: Screen) -> None:
    desk.take(DOGS)
    for key, tool in {"r": "box", "b": "brush", "Shift+B": "eraser", "l": "lasso", "s": "select", "v": "hand"}.items():
        desk.press(key)
        assert desk.value("clickmask.tools.tool") == tool
    desk.press("q")
    assert desk.value("clickmask.tools.tool") == "point"
    desk.press("Control+0")
    assert desk.value("clickmask.view.scale * clickmask.view.ratio") == pytest.approx(1)
    desk.press("0")
    assert desk.value("clickmask.view.isFitted")
    opacity = desk.value("clickmask.settings.opacity")
    desk.press("+", "+", "-")
    assert desk.value("clickmask.settings.opacity") == pytest.approx(opacity + 0.1)


def test_masks_hide_while_h_is_held(desk: Screen) -> None:
    desk.take(DOGS)
    desk.click(290, 300)
    desk.page.mouse.move(2, 2)
    desk.page.wait_for_timeout(300)
    shown = desk.page.screenshot()
    desk.page.keyboard.down("h")
    desk.page.wait_for_timeout(150)
    hidden = desk.page.screenshot()
    desk.page.keyboard.up("h")
    desk.page.wait_for_timeout(150)
    assert hidden != shown and desk.page.screenshot() == shown


def test_an_object_is_cut_by_keyboard_alone(desk: Screen) -> None:
    desk.take(DOGS)
    desk.value("document.querySelector('.cm-stage').focus()")
    for _ in range(3):
        desk.page.keyboard.press("ArrowLeft")
    for _ in range(7):
        desk.page.keyboard.press("ArrowUp")
    desk.wait("clickmask.previewMask !== null")
    x, y = desk.value("clickmask.hand.cursor")
    desk.page.keyboard.press(" ")
    desk.settle()
    assert desk.points() == [[x, y, 1]]
    desk.page.keyboard.press("ArrowDown")
    desk.page.keyboard.press("Shift+ ")
    desk.settle()
    assert [label for *_, label in desk.points()] == [1, 0]
    desk.page.keyboard.press("Enter")
    desk.settle()
    (thing,) = desk.objects()
    assert thing["pixels"].any()


def test_a_box_is_drawn_by_keyboard_alone(desk: Screen) -> None:
    desk.take(DOGS)
    desk.press("r", *["ArrowLeft"] * 6, *["ArrowUp"] * 9)
    start = desk.value("clickmask.hand.cursor")
    desk.press(" ", *["ArrowRight"] * 8, *["ArrowDown"] * 8)
    end = desk.value("clickmask.hand.cursor")
    desk.press(" ")
    (box,) = desk.value("clickmask.bench.editor.making.elements.map(({ box }) => box)")
    assert box == pytest.approx([*start, *end])


def test_everything_is_reached_by_tab_and_shows_its_focus(desk: Screen) -> None:
    desk.take(DOGS)
    desk.click(290, 300)
    desk.press("Enter")
    reached = set()
    for _ in range(70):
        desk.page.keyboard.press("Tab")
        reached.add(desk.value("document.activeElement.className || document.activeElement.dataset.tool"))
    assert {"cm-card", "cm-label", "cm-eye", "cm-lock", "cm-bin", "cm-active-label"} <= reached


def test_the_help_names_gestures_and_keys(desk: Screen) -> None:
    desk.press("?")
    words = desk.page.inner_text(".cm-help")
    assert "Right click" in words and "Ctrl+Z" in words and "Finish the object" in words
    desk.page.keyboard.press("Escape")
    desk.page.wait_for_selector(".cm-help", state="detached")
