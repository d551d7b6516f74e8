"""The menu of an object: by right click, long press and key; what it does, and that it stays in the window."""

from __future__ import annotations

from collections.abc import Generator

import cv2
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser
from screen import PHOTOS, Screen, screen

DOGS = PHOTOS / "dogs.jpg"
UPPER, LOWER, NOTHING = (290, 300), (370, 560), (600, 900)
ONE = ["Open again", "Rename", "Duplicate", "Hide", "Lock", "Save cut-out", "Copy cut-out", "Delete"]


def _two(desk: Screen) -> Screen:
    desk.take(DOGS)
    for place in (UPPER, LOWER):
        desk.click(*place)
        desk.press("Enter")
    desk.press("s")
    return desk


@pytest.fixture
def two(desk: Screen) -> Screen:
    """Both dogs, finished: objects 1 and 2; the Select tool is in hand."""
    return _two(desk)


@pytest.fixture
def narrow(browser: Browser, page_url: str) -> Generator[Screen]:
    """The same on a telephone in the dark."""
    size = {"width": 390, "height": 844}
    with screen(browser, page_url, viewport=size, has_touch=True, color_scheme="dark") as desk:
        yield _two(desk)


def _names(desk: Screen) -> list[str]:
    return desk.page.locator(".cm-menu [role=menuitem] span").all_inner_texts()


def _choose(desk: Screen, name: str) -> None:
    desk.page.click(f".cm-menu [role=menuitem]:has-text('{name}')")
    desk.settle()


def _has_focus(desk: Screen, part: str) -> bool:
    return desk.value("(part) => document.activeElement.matches(part)", part)


def test_a_right_click_selects_the_object_and_opens_its_menu(two: Screen) -> None:
    two.click(*LOWER, button="right")
    assert two.value("[...clickmask.bench.editor.selected]") == [2] and _names(two) == ONE
    assert two.page.get_attribute(".cm-menu", "role") == "menu" and two.points() == []
    two.click(*UPPER, button="right")
    assert two.value("[...clickmask.bench.editor.selected]") == [1] and two.page.locator(".cm-menu").count() == 1
    two.click(*NOTHING)
    assert two.page.locator(".cm-menu").count() == 0
    assert two.value("[...clickmask.bench.editor.selected]") == [1]  # that press closed the menu, and nothing else
    two.click(*NOTHING, button="right")
    assert two.page.locator(".cm-menu").count() == 0


def test_with_other_tools_a_right_click_takes_away(two: Screen) -> None:
    two.press("q")
    two.click(*UPPER)
    two.click(*LOWER, button="right")
    assert two.page.locator(".cm-menu").count() == 0 and [label for *_, label in two.points()] == [1, 0]


def test_the_browsers_own_menu_is_kept_from_the_photo_alone(two: Screen) -> None:
    script = """(part) => {
      const event = new MouseEvent('contextmenu', { bubbles: true, cancelable: true });
      return document.querySelector(part).dispatchEvent(event);
    }"""
    assert not two.value(script, ".cm-stage")
    assert two.value(script, ".cm-card") and two.value(script, ".cm-status") and two.value(script, ".cm-active-label")


def test_objects_are_duplicated_hidden_locked_and_deleted(two: Screen) -> None:
    two.click(*UPPER, button="right")
    _choose(two, "Duplicate")
    assert [thing["id"] for thing in two.objects()] == [1, 2, 3]
    two.press("Control+z")
    two.click(*UPPER, button="right")
    _choose(two, "Lock")
    two.click(*UPPER, button="right")
    assert "Unlock" in _names(two)
    _choose(two, "Delete")
    assert "locked" in two.page.inner_text(".cm-toasts") and len(two.objects()) == 2
    two.click(*UPPER, button="right")
    _choose(two, "Hide")
    assert two.value("[...clickmask.bench.doc.hidden]") == [1]
    two.press("ContextMenu")
    _choose(two, "Show")
    assert two.value("[...clickmask.bench.doc.hidden]") == []
    two.click(*LOWER, button="right")
    _choose(two, "Delete")
    assert [thing["id"] for thing in two.objects()] == [1]


def test_an_object_is_renamed_and_the_photo_has_the_focus_again(two: Screen) -> None:
    two.click(*LOWER, button="right")
    _choose(two, "Rename")
    assert _has_focus(two, ".cm-card[data-id='2'] .cm-label")
    two.page.keyboard.type("spaniel")
    two.page.keyboard.press("Enter")
    assert [thing["label"] for thing in two.objects()] == ["", "spaniel"]
    assert _has_focus(two, ".cm-stage")


def test_several_objects_have_one_menu(two: Screen) -> None:
    two.click(*UPPER)
    two.click(*LOWER, "Control")
    two.click(*UPPER, button="right")
    assert _names(two) == ["Merge", "Hide", "Lock", "Save cut-out", "Delete"]
    assert two.page.get_attribute(".cm-menu", "aria-label") == "2 objects"
    _choose(two, "Lock")
    assert [thing["locked"] for thing in two.objects()] == [True, True]
    two.press("Control+z")
    assert [thing["locked"] for thing in two.objects()] == [False, False]
    two.press("ContextMenu")
    _choose(two, "Merge")
    assert len(two.objects()) == 1


@pytest.mark.parametrize("key", ["ContextMenu", "Shift+F10"])
def test_keys_open_walk_and_close_it(two: Screen, key: str) -> None:
    two.click(*UPPER)
    two.press(key)
    focused = "document.activeElement.firstChild.textContent"
    walked = []
    for step in ("ArrowDown", "ArrowDown", "ArrowUp", "End", "ArrowDown", "ArrowUp", "Home", "l"):
        two.page.keyboard.press(step)
        walked.append(two.value(focused))
    names = ["Rename", "Duplicate", "Rename", "Delete", "Open again", "Delete", "Open again", "Lock"]
    assert walked == names
    two.page.keyboard.press("Escape")
    assert two.page.locator(".cm-menu").count() == 0 and _has_focus(two, ".cm-stage")
    assert two.value("[...clickmask.bench.editor.selected]") == [1]
    two.press(key)
    two.page.keyboard.press("End")
    two.page.keyboard.press("Enter")
    two.settle()
    assert [thing["id"] for thing in two.objects()] == [2] and _has_focus(two, ".cm-stage")


def test_the_menu_key_says_so_when_nothing_is_selected(two: Screen) -> None:
    two.press("ContextMenu")
    assert "Select an object first" in two.page.inner_text(".cm-toasts")


def test_a_cut_out_is_saved_and_copied(browser: Browser, page_url: str) -> None:
    with screen(browser, page_url, permissions=["clipboard-read", "clipboard-write"]) as desk:
        _two(desk).click(*UPPER, button="right")
        with desk.page.expect_download() as download:
            _choose(desk, "Save cut-out")
        saved = cv2.imread(download.value.path(), cv2.IMREAD_UNCHANGED)
        desk.click(*UPPER, button="right")
        _choose(desk, "Copy cut-out")
        desk.page.wait_for_selector("text=on the clipboard")
        data = desk.value(
            "async () => { const [item] = await navigator.clipboard.read();"
            " return [...new Uint8Array(await (await item.getType('image/png')).arrayBuffer())]; }"
        )
        copied = cv2.imdecode(np.array(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert saved is not None and copied is not None and copied.shape == saved.shape
    assert (copied[:, :, 3] == saved[:, :, 3]).all()


def test_a_browser_that_lets_no_page_copy_is_named(two: Screen) -> None:
    two.value("Object.defineProperty(navigator, 'clipboard', { value: undefined, configurable: true })")
    two.click(*UPPER, button="right")
    _choose(two, "Copy cut-out")
    two.page.wait_for_selector("text=The browser lets no page copy pictures here")
    two.value("delete navigator.clipboard")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_menu_has_no_accessibility_fault(browser: Browser, page_url: str, theme: str) -> None:
    with screen(browser, page_url) as desk:
        desk.url = f"{page_url}/ui/?__theme={theme}"
        _two(desk.open()).click(*UPPER, button="right")
        found = Axe().run(desk.page, context=".cm-menu", options={"preload": False})
        assert found.response["violations"] == []


def test_a_long_press_opens_it_and_it_stays_in_a_narrow_window(narrow: Screen) -> None:
    session = narrow.page.context.new_cdp_session(narrow.page)
    x, y = narrow.at(*LOWER)
    session.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]})
    narrow.page.wait_for_selector(".cm-menu")
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    narrow.page.wait_for_timeout(300)
    assert _names(narrow) == ONE and narrow.value("[...clickmask.bench.editor.selected]") == [2]
    sides = narrow.value(
        "(() => { const { left, top, right, bottom } = document.querySelector('.cm-menu').getBoundingClientRect();"
        " return [left, top, innerWidth - right, innerHeight - bottom]; })()"
    )
    assert min(sides) >= 0
    item = narrow.page.locator(".cm-menu [role=menuitem]:has-text('Delete')").bounding_box()
    assert item is not None
    narrow.page.touchscreen.tap(item["x"] + 20, item["y"] + item["height"] / 2)
    narrow.settle()
    assert [thing["id"] for thing in narrow.objects()] == [1]


@pytest.mark.parametrize(
    "corner",
    [
        pytest.param((0, 0), marks=pytest.mark.soak),
        pytest.param((681, 0), marks=pytest.mark.soak),
        (0, 1023),
        (681, 1023),
    ],
)
def test_it_stays_in_the_window_at_every_corner(two: Screen, corner: tuple[int, int]) -> None:
    two.page.set_viewport_size({"width": 700, "height": 500})
    two.page.wait_for_timeout(200)  # a window that changes its size closes menus
    two.value("(point) => clickmask.menu.openAt(1, point)", list(corner))
    sides = two.value(
        "(() => { const { left, top, right, bottom } = document.querySelector('.cm-menu').getBoundingClientRect();"
        " return [left, top, innerWidth - right, innerHeight - bottom]; })()"
    )
    assert min(sides) >= 0
    two.page.keyboard.press("Escape")
