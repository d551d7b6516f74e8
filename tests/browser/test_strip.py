"""The film strip shows every photo and its state, and can be worked by pointer and keyboard."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

PHOTO = Path(__file__).parents[2] / "examples" / "photos" / "dogs.jpg"

START = """async (text) => {
  const { FilmStrip } = await import('./strip.js');
  document.body.replaceChildren();
  const link = Object.assign(document.createElement('link'), { rel: 'stylesheet', href: 'strip.css' });
  document.head.append(link);
  const element = document.body.appendChild(document.createElement('div'));
  element.className = 'cm-strip';
  const photo = new Blob([Uint8Array.from(atob(text), (c) => c.charCodeAt(0))]);
  window.asked = [];
  window.told = [];
  window.atOnce = { now: 0, most: 0 };
  const fileOf = async (id) => {
    asked.push(id);
    atOnce.most = Math.max(atOnce.most, (atOnce.now += 1));
    await new Promise((resolve) => setTimeout(resolve, 1));
    atOnce.now -= 1;
    return id === 'bad' ? new Blob(['words']) : photo;
  };
  const tell = (what) => (id) => told.push([what, id]);
  const on = { onOpen: tell('open'), onRemove: tell('remove'), onRetry: tell('retry'), onAdd: tell('add') };
  window.strip = new FilmStrip(element, { ...on, fileOf });
  await new Promise((resolve) => (link.onload = resolve));
}"""


def start(page: Page) -> None:
    page.evaluate(START, base64.b64encode(PHOTO.read_bytes()).decode())


def frames(*names: str, **values: Any) -> list[dict[str, Any]]:
    plain = {"state": "ready", "progress": 1, "count": 0}
    return [{"id": name.split(".")[0], "name": name, **plain, **values} for name in names]


def render(page: Page, shown: list[dict[str, Any]], current: str | None) -> None:
    page.evaluate("([frames, current]) => strip.render(frames, current)", [shown, current])


def told(page: Page) -> list[list[str]]:
    return page.evaluate("() => told.splice(0)")


def photo(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=name, exact=True)


def test_states_are_told_in_words_and_the_open_photo_is_marked(functions: Page) -> None:
    start(functions)
    states = [
        *frames("a.jpg", state="waiting"),
        *frames("b.jpg", state="uploading", progress=0.42),
        *frames("c.jpg", state="encoding"),
        *frames("d.jpg", count=1),
        *frames("e.jpg", count=12),
        *frames("f.jpg"),
        *frames("g.jpg", state="failed"),
    ]
    render(functions, states, "d")
    words = ["waiting", "42 %", "encoding", "1 object", "12 objects", "ready", "failed"]
    assert functions.locator(".cm-frame-state").all_text_contents() == words
    expect(photo(functions, "b.jpg, uploading")).to_be_visible()
    assert functions.locator("[aria-current]").count() == 1
    expect(photo(functions, "d.jpg, 1 object")).to_have_attribute("aria-current", "true")
    functions.get_by_role("button", name="Try g.jpg again").click()
    assert functions.get_by_role("button", name="Try").count() == 1
    photo(functions, "a.jpg, waiting").click()
    functions.get_by_role("button", name="Remove a.jpg").click()
    functions.get_by_role("button", name="Add photos").click()
    assert [what for what, _ in told(functions)] == ["retry", "open", "remove", "add"]
    render(functions, [], None)
    assert functions.locator(".cm-strip").inner_html() == ""


def test_the_keyboard_goes_along_opens_and_removes(functions: Page) -> None:
    start(functions)
    names = ("a.jpg", "b.jpg", "c.jpg")
    render(functions, frames(*names), "b")
    functions.keyboard.press("Tab")
    expect(photo(functions, "b.jpg, ready")).to_be_focused()
    functions.keyboard.press("ArrowRight")
    functions.keyboard.press("ArrowRight")
    expect(photo(functions, "c.jpg, ready")).to_be_focused()
    functions.keyboard.press("Enter")
    functions.keyboard.press("Home")
    functions.keyboard.press("Delete")
    assert told(functions) == [["open", "c"], ["remove", "a"]]
    render(functions, frames(*names[1:]), "b")
    expect(photo(functions, "b.jpg, ready")).to_be_focused()  # what took the place of the one that is gone
    functions.keyboard.press("End")
    render(functions, frames(*names[1:2]), "b")
    expect(photo(functions, "b.jpg, ready")).to_be_focused()
    functions.keyboard.press("Tab")
    expect(functions.get_by_role("button", name="Add photos")).to_be_focused()  # not the buttons of each photo


def test_the_open_photo_is_scrolled_into_sight_and_the_page_stays(modules: Page) -> None:
    modules.set_viewport_size({"width": 390, "height": 400})
    start(modules)
    modules.evaluate("() => { document.querySelector('.cm-strip').style.marginTop = '2000px'; }")
    many = frames(*(f"{number}.jpg" for number in range(200)))
    render(modules, many, "150")
    inside = """() => {
      const [tile, list] = ['[aria-current]', '.cm-frames'].map((one) => document.querySelector(one)
        .getBoundingClientRect());
      return tile.left >= list.left && tile.right <= list.right;
    }"""
    modules.wait_for_function(inside)
    assert modules.evaluate("() => [scrollX, scrollY]") == [0, 0]
    assert modules.evaluate("() => document.documentElement.scrollWidth") <= 390
    render(modules, many, "3")
    modules.wait_for_function(inside)


def test_pictures_are_made_one_at_a_time_and_only_of_what_is_in_sight(functions: Page) -> None:
    start(functions)
    render(functions, frames("bad.txt", *(f"{number}.jpg" for number in range(200))), "bad")
    functions.wait_for_function("() => document.querySelectorAll('.has-picture').length >= 12")
    assert functions.evaluate("() => atOnce.most") == 1
    assert functions.evaluate("() => asked.slice(0, 3)") == ["bad", "0", "1"]
    assert functions.evaluate("() => asked.length") < 40
    assert functions.locator(".has-picture").first.evaluate("(tile) => tile.parentElement.title") == "0.jpg"
    functions.evaluate("() => { document.querySelector('.cm-frames').scrollTo({ left: 1e6, behavior: 'instant' }); }")
    functions.wait_for_function("() => asked.includes('199')")
    assert functions.evaluate("() => asked.length === new Set(asked).size")


def test_a_photo_that_stays_keeps_its_place_on_the_screen_and_its_picture(functions: Page) -> None:
    start(functions)
    render(functions, frames("a.jpg", "b.jpg", "c.jpg"), "a")
    functions.wait_for_function("() => document.querySelectorAll('.has-picture').length === 3")
    functions.evaluate("() => (window.tile = document.querySelector('.cm-frame:nth-child(3)'))")
    render(functions, frames("c.jpg", "a.jpg", count=2), "c")
    assert functions.evaluate("() => tile === document.querySelector('.cm-frame')")
    assert functions.locator(".cm-frame-name").all_text_contents() == ["c.jpg", "a.jpg"]
    assert functions.locator(".has-picture").count() == 2
    assert functions.evaluate("() => asked") == ["a", "b", "c"]


def test_nothing_about_it_is_inaccessible(functions: Page) -> None:
    start(functions)
    render(functions, [*frames("a.jpg", "b.jpg"), *frames("c.jpg", state="failed")], "b")
    found = Axe().run(functions, context=".cm-strip")
    assert found.violations_count == 0, found.generate_report()
