"""What survives a reload, and that tabs keep out of each other's way."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Generator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

OPEN = """async () => {
  const { openStore, openWorkspace, takeUp, newImage } = await import('./store.js');
  window.store = await openStore();
  window.photo = (text, name) => newImage(new File([text], name, { type: 'image/png' }));
  window.takeUp = (id) => takeUp(store, id);
  const { id, isNew, latest, tidied } = await openWorkspace(store);
  await tidied;
  return { id, isNew, latest: latest && { id: latest.id, names: latest.images.map((image) => image.name) } };
}"""
IMAGES = "async () => (await store.images()).map(({ id, name, sha256 }) => ({ id, name, sha256 }))"
COUNT = """async () => {
  const result = (request) => new Promise((resolve) => (request.onsuccess = () => resolve(request.result)));
  const database = await result(indexedDB.open('clickmask'));
  return result(database.transaction('files').objectStore('files').count()).finally(() => database.close());
}"""  # of the files that are down
FAILURE = "(error) => ({ name: error.name, message: error.message })"
PATIENCE = 45.0  # seconds until a test gives up on what should take a moment
NO_LOCKS = "Object.defineProperty(navigator, 'locks', { value: undefined })"
LOCKS = pytest.mark.parametrize("script", ["", NO_LOCKS], ids=["locks", "without"])


@pytest.fixture
def modules(browser: Browser, modules_url: str) -> Generator[Page]:
    """An empty page that can import the page's modules, in a browser window that may have more tabs."""
    context = browser.new_context()
    faults: list[str] = []
    context.on("weberror", lambda error: faults.append(str(error.error)))
    page = context.new_page()
    page.goto(modules_url)
    yield page
    context.close()
    assert not faults, faults


def add(page: Page, text: str, name: str) -> str:
    """An image in the page's workspace; its id."""
    script = "async ([text, name]) => { const image = await store.addImage(photo(text, name)); return image.id; }"
    return page.evaluate(script, [text, name])


def names(page: Page) -> list[str]:
    return [image["name"] for image in page.evaluate(IMAGES)]


def tab(page: Page, url: str) -> tuple[Page, Any]:
    """Another tab of the same browser, and the workspace it opened."""
    other = page.context.new_page()
    other.goto(url)
    return other, other.evaluate(OPEN)


def wait(page: Page, condition: str) -> None:
    """Until what the condition promises is true; `wait_for_function` would take the promise itself for true."""
    end = time.monotonic() + PATIENCE
    while not page.evaluate(condition):
        assert time.monotonic() < end, condition
        time.sleep(0.02)


def close(tab: Page, beside: Page) -> None:
    """Close a tab; its hold on its workspace ends a moment later."""
    count = "(await navigator.locks?.query())?.held.length ?? 0"
    before = beside.evaluate(f"async () => {count}")
    tab.close()
    wait(beside, f"async () => ({count}) < {before or 1}")


def test_images_come_back_after_a_reload_as_they_were(modules: Page) -> None:
    workspace = modules.evaluate(OPEN)
    assert workspace["isNew"] and workspace["latest"] is None
    ids = [add(modules, text, f"{text}.png") for text in ("b", "a", "c")]
    modules.evaluate("(id) => store.updateImage(id, { width: 4, height: 3 })", ids[1])
    modules.evaluate("() => store.flush()")
    before = modules.evaluate("() => store.images()")
    modules.reload()
    again = modules.evaluate(OPEN)
    assert (again["id"], again["isNew"], again["latest"]) == (workspace["id"], False, None)
    images = modules.evaluate("() => store.images()")
    assert images == before
    assert [image["id"] for image in images] == ids
    assert (images[1]["width"], images[1]["height"], images[1]["size"], images[1]["type"]) == (4, 3, 1, "image/png")
    assert [image["sha256"] for image in images] == [hashlib.sha256(text).hexdigest() for text in (b"b", b"a", b"c")]
    script = "async (id) => { const file = await store.file(id); return [file.name, file.type, await file.text()]; }"
    assert modules.evaluate(script, ids[2]) == ["c.png", "image/png", "c"]


def test_a_session_saved_as_the_page_goes_is_there_after_the_reload(modules: Page) -> None:
    """A megabyte, saved twice in a row: the newest, though nobody waited for it."""
    modules.evaluate(OPEN)
    image = add(modules, "a", "a.png")
    script = """(id) => {
      store.saveSession(id, { at: 1, counts: 'x'.repeat(1e6) });
      store.saveSession(id, { at: 2, counts: 'y'.repeat(1e6) });
      location.reload();
    }"""
    with modules.expect_navigation():
        modules.evaluate(script, image)
    modules.evaluate(OPEN)
    read = "async (id) => { const { at, counts } = await store.session(id); return [at, counts.length, counts[0]]; }"
    assert modules.evaluate(read, image) == [2, 1_000_000, "y"]


def test_of_many_saves_few_are_written_and_the_newest_is_last(modules: Page) -> None:
    modules.evaluate(OPEN)
    image = add(modules, "a", "a.png")
    script = """async (id) => {
      const put = IDBObjectStore.prototype.put;
      const written = [];
      IDBObjectStore.prototype.put = function (value, key) {
        if (this.name === 'sessions') written.push(value.at);
        return put.call(this, value, key);
      };
      const session = { at: 0 };
      const saves = Array.from({ length: 100 }, (_, n) => store.saveSession(id, { at: n }));
      const unsaved = (await store.session(id)).at;
      await Promise.all(saves);
      return { written, unsaved, saved: (await store.session(id)).at };
    }"""
    assert modules.evaluate(script, image) == {"written": [0, 99], "unsaved": 99, "saved": 99}


def test_a_save_after_one_that_failed_is_not_blamed_for_it(modules: Page) -> None:
    modules.evaluate(OPEN)
    image = add(modules, "a", "a.png")
    script = """async (id) => {
      store.saveSession(id, { at: 1, bad: () => {} });
      await Promise.resolve(); // it is on its way
      await store.saveSession(id, { at: 2 });
      return store.session(id);
    }"""
    assert modules.evaluate(script, image) == {"at": 2}


def test_a_removed_image_leaves_nothing_and_a_late_save_does_not_bring_it_back(modules: Page) -> None:
    modules.evaluate(OPEN)
    image, other = add(modules, "a", "a.png"), add(modules, "b", "b.png")
    script = """async (id) => {
      const saving = store.saveSession(id, { at: 1 });
      await store.removeImage(id);
      await saving;
      await store.saveSession(id, { at: 2 });
      await store.flush();
      return [await store.file(id), await store.session(id)];
    }"""
    assert modules.evaluate(script, image) == [None, None]
    modules.reload()
    modules.evaluate(OPEN)
    assert [found["id"] for found in modules.evaluate(IMAGES)] == [other]
    assert modules.evaluate("(id) => store.session(id)", image) is None


def test_settings_of_two_tabs_are_joined(modules: Page, modules_url: str) -> None:
    modules.evaluate(OPEN)
    other, _ = tab(modules, modules_url)
    modules.evaluate("() => store.saveSettings({ opacity: 0.4, label: 'dog', tool: 'box' })")
    other.evaluate("() => store.saveSettings({ opacity: 0.6, labels: ['dog', 'cat'], tool: undefined })")
    assert modules.evaluate("() => store.settings()") == {"opacity": 0.6, "label": "dog", "labels": ["dog", "cat"]}


@LOCKS
def test_two_tabs_and_a_copied_tab_work_on_photos_of_their_own(modules: Page, modules_url: str, script: str) -> None:
    modules.context.add_init_script(script)
    modules.reload()
    first = modules.evaluate(OPEN)
    add(modules, "a", "a.png")
    other, second = tab(modules, modules_url)
    add(other, "b", "b.png")
    with modules.context.expect_page() as opened:
        modules.evaluate("() => { window.open(location.href); }")  # takes the tab's own memory along
    copy = opened.value
    assert copy.evaluate("() => sessionStorage.getItem('clickmask workspace')") == first["id"]
    third = copy.evaluate(OPEN)
    assert len({first["id"], second["id"], third["id"]}) == 3
    assert third["isNew"] and third["latest"] is None  # both others are open
    assert (names(modules), names(other), names(copy)) == (["a.png"], ["b.png"], [])
    modules.reload()
    assert modules.evaluate(OPEN)["id"] == first["id"]
    assert names(modules) == ["a.png"]


@LOCKS
def test_a_new_tab_is_offered_what_was_closed_last_and_one_alone_takes_it_up(
    modules: Page, modules_url: str, script: str
) -> None:
    modules.context.add_init_script(script)
    modules.reload()
    modules.evaluate(OPEN)
    closed = []
    for name in ("a.png", "b.png"):
        other, workspace = tab(modules, modules_url)
        add(other, name, name)
        closed.append(workspace["id"])
        close(other, modules)
    one, offer = tab(modules, modules_url)
    assert offer["isNew"] and offer["latest"] == {"id": closed[1], "names": ["b.png"]}
    two, _ = tab(modules, modules_url)
    taken = "(id) => { window.taken = takeUp(id); }"
    one.evaluate(taken, closed[1])
    two.evaluate(taken, closed[1])
    assert sorted([one.evaluate("() => taken"), two.evaluate("() => taken")]) == [False, True]
    assert sorted([*names(one), *names(two)]) == ["b.png"]
    one.reload()
    two.reload()
    assert sorted(page.evaluate(OPEN)["id"] == closed[1] for page in (one, two)) == [False, True]


def test_the_five_workspaces_closed_last_are_kept_and_the_open_ones(modules: Page, modules_url: str) -> None:
    first = modules.evaluate(OPEN)
    add(modules, "first", "first.png")
    for number in range(7):
        other, _ = tab(modules, modules_url)
        add(other, str(number), f"{number}.png")
        close(other, modules)
    other, _ = tab(modules, modules_url)
    script = "async () => (await store.workspaces()).map(({ images }) => images[0].name)"
    assert other.evaluate(script) == ["6.png", "5.png", "4.png", "3.png", "2.png", "first.png"]
    assert other.evaluate(COUNT) == 6
    assert modules.evaluate("() => store.workspace") == first["id"] and names(modules) == ["first.png"]


def limit(page: Page, size: int) -> None:
    """Give the site's storage so many bytes; a browser that was asked for some already knows only after a while."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("Storage.overrideQuotaForOrigin", {"origin": page.url.rstrip("/"), "quotaSize": size})


MEGABYTES = "([n, name]) => store.addImage((window.last = photo(new Uint8Array(n * 1e6).fill(7), name)))"


def test_without_room_the_user_is_told_and_nothing_is_lost_while_the_page_is_open(modules: Page) -> None:
    limit(modules, 2_500_000)
    modules.evaluate(OPEN)
    first = modules.evaluate(MEGABYTES, [1, "first.png"])["id"]
    script = f"""async (id) => {{
      const image = await ({MEGABYTES})([2, 'second.png']).catch({FAILURE});
      const session = await store.saveSession(id, {{ text: 'x'.repeat(2e6) }}).catch({FAILURE});
      const flush = await store.flush().catch({FAILURE});
      const size = (await (await store.file(last.id)).arrayBuffer()).byteLength;
      return {{ failures: [image, session, flush], size, text: (await store.session(id)).text.length }};
    }}"""
    answer = modules.evaluate(script, first)
    for failure in answer["failures"]:
        assert failure["name"] == "StorageFull" and "no room" in failure["message"]
    assert names(modules) == ["first.png", "second.png"]
    assert (answer["size"], answer["text"]) == (2_000_000, 2_000_000)
    limit(modules, 10**9)
    wait(modules, "() => store.flush().then(() => true, () => false)")
    modules.reload()
    modules.evaluate(OPEN)
    assert names(modules) == ["first.png", "second.png"]
    assert modules.evaluate("async (id) => (await store.session(id)).text.length", first) == 2_000_000


def test_what_had_no_room_is_kept_once_another_image_is_removed(modules: Page) -> None:
    modules.evaluate(OPEN)
    first = add(modules, "a", "a.png")
    script = f"""async (id) => {{
      const put = IDBObjectStore.prototype.put;
      IDBObjectStore.prototype.put = () => {{ throw new DOMException('full', 'QuotaExceededError'); }};
      const failure = await store.addImage(photo('b', 'b.png')).catch({FAILURE});
      IDBObjectStore.prototype.put = put;
      await store.removeImage(id);
      return failure.name;
    }}"""
    assert modules.evaluate(script, first) == "StorageFull"
    wait(modules, f"async () => (await ({COUNT})()) === 1")
    modules.reload()
    modules.evaluate(OPEN)
    assert names(modules) == ["b.png"]


def test_old_closed_work_makes_room_but_not_the_latest(modules: Page, modules_url: str) -> None:
    modules.evaluate(OPEN)
    for name in ("older.png", "old.png", "late.png"):
        other, _ = tab(modules, modules_url)
        add(other, name, name)
        close(other, modules)
    script = """async () => {
      const put = IDBObjectStore.prototype.put;
      IDBObjectStore.prototype.put = function () {
        IDBObjectStore.prototype.put = put;
        throw new DOMException('full', 'QuotaExceededError');
      };
      await store.addImage(photo('new', 'new.png'));
      return (await store.workspaces()).map(({ images }) => images[0].name);
    }"""
    assert modules.evaluate(script) == ["new.png", "late.png"]


def test_a_session_that_cannot_be_stored_is_refused_by_name(modules: Page) -> None:
    modules.evaluate(OPEN)
    image = add(modules, "a", "a.png")
    script = f"(id) => store.saveSession(id, {{ full: Promise.resolve() }}).catch({FAILURE})"
    failure = modules.evaluate(script, image)
    assert failure["name"] == "StoreError" and "Promise" in failure["message"]
    modules.evaluate("(id) => store.saveSession(id, { at: 3 })", image)
    assert modules.evaluate("(id) => store.session(id)", image) == {"at": 3}


def test_without_a_database_the_page_works_in_memory_and_says_so(modules: Page) -> None:
    modules.add_init_script("IDBFactory.prototype.open = () => { throw new DOMException('no', 'SecurityError'); }")
    modules.reload()
    workspace = modules.evaluate(OPEN)
    assert workspace["isNew"] and workspace["latest"] is None
    image = add(modules, "a", "a.png")
    modules.evaluate("(id) => store.saveSession(id, { at: 3 })", image)
    modules.evaluate("() => store.saveSettings({ opacity: 0.4 })")
    assert modules.evaluate("() => store.persistent") is False
    assert "private window" in modules.evaluate("() => store.why")
    assert names(modules) == ["a.png"]
    read = "async (id) => [await store.session(id), await store.settings(), await (await store.file(id)).text()]"
    assert modules.evaluate(read, image) == [{"at": 3}, {"opacity": 0.4}, "a"]


def test_without_a_secure_context_there_is_no_digest_and_all_else_works(modules: Page) -> None:
    modules.add_init_script("Object.defineProperty(crypto, 'subtle', { value: undefined })")
    modules.reload()
    modules.evaluate(OPEN)
    add(modules, "a", "a.png")
    modules.evaluate("() => store.flush()")
    assert [image["sha256"] for image in modules.evaluate(IMAGES)] == [None]


def test_data_cleared_by_the_user_leave_a_page_that_can_save_again(modules: Page) -> None:
    modules.evaluate(OPEN)
    add(modules, "a", "a.png")
    modules.evaluate("() => store.flush()")
    modules.evaluate("() => new Promise((resolve) => (indexedDB.deleteDatabase('clickmask').onsuccess = resolve))")
    add(modules, "b", "b.png")
    modules.reload()
    modules.evaluate(OPEN)
    assert names(modules) == ["b.png"]
