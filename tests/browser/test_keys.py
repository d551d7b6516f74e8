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


def _change(desk: Screen, command: str, key: str, place: int = 0) -> str:
    """In the open help: click a command's key, press another; what is said of it."""
    desk.page.locator(f"[data-of={command}]").nth(place).click()
    desk.page.keyboard.press(key)
    return desk.page.inner_text(".cm-said") if desk.page.is_visible(".cm-said") else ""


def _close(desk: Screen) -> None:
    desk.page.keyboard.press("Escape")
    desk.page.wait_for_selector(".cm-help", state="detached")


def _tool_after(desk: Screen, key: str) -> str:
    desk.press("v", key)
    return desk.value("clickmask.tools.tool")


def test_a_key_is_changed_at_once_wherever_it_is_shown_and_after_a_reload(desk: Screen) -> None:
    desk.take(DOGS)
    assert desk.page.get_attribute("[data-tool=box]", "title") == "Box (R)"
    desk.press("?")
    assert _change(desk, "boxTool", "k") == ""
    assert desk.page.inner_text("[data-of=boxTool]") == "K"
    _close(desk)
    assert desk.page.get_attribute("[data-tool=box]", "title") == "Box (K)"
    assert (_tool_after(desk, "k"), _tool_after(desk, "r")) == ("box", "hand")
    desk.value("clickmask.store.flush()")
    desk.open()
    desk.wait("clickmask.bench.doc?.state === 'ready'")
    assert desk.page.get_attribute("[data-tool=box]", "title") == "Box (K)"
    assert _tool_after(desk, "k") == "box"


def test_chips_name_the_keys_as_they_are(desk: Screen) -> None:
    desk.take(DOGS)
    desk.click(370, 560)
    chips = desk.page.locator(".cm-chip")
    assert chips.all_inner_texts() == ["1", "2", "3"]
    desk.press("?")
    assert _change(desk, "candidate1", "7") == "" and _change(desk, "candidate3", "Shift+F9") == ""
    _close(desk)
    assert chips.all_inner_texts() == ["7", "2", "Shift+F9"]
    assert str(chips.nth(0).get_attribute("title")).startswith("7: whole")
    desk.press("7")
    assert chips.nth(0).get_attribute("aria-pressed") == "true"


def test_a_key_that_is_taken_in_the_same_state_is_refused_by_name(desk: Screen) -> None:
    desk.press("?")
    assert "B is taken by “Brush”" in _change(desk, "boxTool", "b")
    desk.page.keyboard.press("k")  # it still listens
    assert desk.page.inner_text("[data-of=boxTool]") == "K"
    assert "1 is taken by “First candidate: the whole”" in _change(desk, "finish", "1")
    assert _change(desk, "label9", "Backspace") == ""  # that is another state's key
    assert "Ctrl+Z is taken by “Undo”" in _change(desk, "save", "Control+z")
    assert desk.value("clickmask.settings.keys") == {"boxTool": ["k"], "label9": ["backspace"]}


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("Tab", "goes from part to part"),
        ("Shift+Tab", "goes from part to part"),
        ("Control+w", "Ctrl+W belongs to the browser"),
        ("Control+Shift+n", "Ctrl+Shift+N belongs to the browser"),
        ("F5", "F5 belongs to the browser"),
        ("Alt+k", "Alt belongs to the window manager"),
        (" ", "moves the photo while it is held"),
    ],
)
def test_keys_of_the_browser_are_refused_with_the_reason(desk: Screen, key: str, reason: str) -> None:
    desk.press("?")
    assert reason in _change(desk, "boxTool", key)
    desk.page.keyboard.press("Escape")  # the key stays as it is, and the help open
    assert desk.page.inner_text("[data-of=boxTool]") == "R" and desk.value("clickmask.settings.keys") == {}
    _close(desk)


def test_one_key_or_all_are_reset(desk: Screen) -> None:
    desk.press("?")
    assert desk.page.is_disabled("[data-reset=all]")
    _change(desk, "boxTool", "k")
    _change(desk, "brushTool", "r")
    desk.page.click("[data-reset=boxTool]")
    assert "R is taken by “Brush”" in desk.page.inner_text(".cm-said")
    desk.page.click("[data-reset=brushTool]")
    desk.page.click("[data-reset=boxTool]")
    assert desk.value("clickmask.settings.keys") == {}
    _change(desk, "redo", "j", 1)
    _change(desk, "duplicate", "Shift+D")
    assert desk.page.locator("[data-of=redo]").all_inner_texts() == ["Ctrl+Shift+Z", "J"]
    assert desk.page.inner_text("[data-of=duplicate]") == "Shift+D"
    desk.page.click("[data-reset=all]")
    assert desk.value("clickmask.settings.keys") == {} and desk.page.is_disabled("[data-reset=all]")
    _close(desk)
    assert _tool_after(desk, "r") == "box"


def test_a_key_is_changed_by_keyboard_alone(desk: Screen) -> None:
    desk.press("?")
    desk.value("document.querySelector('[data-of=undo]').focus()")
    desk.page.keyboard.press("Enter")
    desk.page.keyboard.press("Control+Shift+u")
    assert desk.page.inner_text("[data-of=undo]") == "Ctrl+Shift+U"
    assert desk.value("document.activeElement.dataset.of") == "undo"


@pytest.mark.parametrize(("is_mac", "name"), [(False, "Ctrl+Shift+Z"), (True, "Cmd+Shift+Z")])
def test_keys_are_named_as_on_the_platform(modules: Page, is_mac: bool, name: str) -> None:
    script = "async (isMac) => (await import('./key_names.js')).nameOf('ctrl+shift+z', isMac)"
    assert modules.evaluate(script, is_mac) == name


def test_no_key_of_the_table_is_one_of_the_browsers_but_those_that_pages_may_have(modules: Page) -> None:
    script = """async () => {
      const [{ TABLE }, { reservedFor }] = [await import('./keys.js'), await import('./reserved_keys.js')];
      return TABLE.flatMap(([, chords]) => chords).filter(reservedFor);
    }"""
    assert modules.evaluate(script) == ["escape"]
