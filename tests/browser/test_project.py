"""A folder of photos at the server: the page shows it and keeps the work in it, and nobody's takes another's place."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from page_server import serving
from playwright.sync_api import Browser, Route
from screen import PHOTOS, Screen, screen

UPPER, LOWER = (290, 300), (370, 560)
PATIENCE = 45.0  # seconds until a test gives up on what should take a moment


class Desk:
    """A project's folder, and the address where it is served."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url = folder, url

    def kept(self, name: str) -> Any:
        """The work on a photo as it is in the folder, or None."""
        path = self.folder / ".clickmask" / f"{name.replace('/', '%2F')}.json"
        return json.loads(path.read_text()) if path.exists() else None

    def wait(self, name: str, label: str = "") -> Any:
        """The same, once it is one finished object of that label, with its mask in full."""
        end = time.monotonic() + PATIENCE
        while not _is_done(found := self.kept(name), label):
            assert time.monotonic() < end, found
            time.sleep(0.02)
        return found


def _is_done(found: Any, label: str) -> bool:
    if found is None or '"isReady": false' in json.dumps(found) or found["root"]["current"] is not None:
        return False
    return [one["label"] for one in found["root"]["objects"]] == [label]


def _fill(folder: Path) -> Path:
    (folder / "more").mkdir(parents=True)
    for name, photo in (("10 clock.jpg", "clock"), ("2 dogs.jpg", "dogs"), ("more/fig.jpg", "fig"), ("30.jpg", "fig")):
        shutil.copy(PHOTOS / f"{photo}.jpg", folder / name)
    (folder / "notes.txt").write_text("no photo")
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Desk]:
    folder = _fill(tmp_path / "photos")
    with serving(tmp_path, ["--project", str(folder)]) as served:
        yield Desk(folder, served.url)


def _ready(desk: Screen, name: str, count: int | None = None) -> None:
    desk.wait(f"clickmask.bench.doc?.name === {json.dumps(name)} && clickmask.bench.doc.state === 'ready'")
    desk.wait("clickmask.bench.editor")
    if count is not None:
        desk.wait(f"clickmask.bench.editor.state.objects.length === {count}")
    desk.settle()


def _unsent(desk: Screen) -> list[str]:
    settings = desk.value("clickmask.store.settings()")
    return [name for name in settings if name.startswith("unsent")]


def test_the_photos_are_there_and_only_those_that_are_needed_are_fetched(browser: Browser, project: Desk) -> None:
    with screen(browser, project.url) as desk:
        _ready(desk, "2 dogs.jpg")
        names = desk.page.locator(".cm-frame-name").all_inner_texts()
        assert names == ["2 dogs.jpg", "10 clock.jpg", "30.jpg", "more/fig.jpg"]
        desk.wait("clickmask.documents.list[1].state === 'ready'")
        desk.wait("document.querySelectorAll('.cm-frame-picture.has-picture').length === 2")
        assert desk.value("clickmask.documents.list.map((doc) => doc.state)") == [
            "ready",
            "ready",
            "waiting",
            "waiting",
        ]
        fetched = [line for line in desk.asked if "/v1/project/photos/" in line and not line.endswith("/session")]
        assert len(fetched) == 2
        assert not (project.folder / ".clickmask").exists()


def test_work_is_kept_in_the_folder_and_is_there_in_any_browser(browser: Browser, project: Desk) -> None:
    photo = (project.folder / "2 dogs.jpg").read_bytes()
    with screen(browser, project.url) as desk:
        _ready(desk, "2 dogs.jpg")
        desk.click(*UPPER)
        desk.press("Enter")
        kept = project.wait("2 dogs.jpg")
        desk.click(*LOWER)
        desk.settle()
        before = desk.objects(), desk.points()
        end = time.monotonic() + PATIENCE
        while not (kept := project.kept("2 dogs.jpg"))["root"]["current"] or _unsent(desk):
            assert time.monotonic() < end, kept
    with screen(browser, project.url) as other:
        _ready(other, "2 dogs.jpg", 1)
        assert str((other.objects(), other.points())) == str(before)
        other.page.wait_for_timeout(1500)
        assert project.kept("2 dogs.jpg") == kept  # to look is no change
        assert other.page.locator(".cm-frame-open", has_text="saved").count() == 0
        other.press("Enter", "d", "d", "d")
        _ready(other, "more/fig.jpg")
        other.click(590, 403)
        other.press("Enter")
        project.wait("more/fig.jpg")
    with screen(browser, project.url) as third:
        _ready(third, "2 dogs.jpg", 2)
        assert third.page.locator(".cm-frame-open", has_text="saved").all_inner_texts() == ["saved\nmore/fig.jpg"]
        third.press("d", "d", "d")
        third.page.wait_for_selector(".cm-frame-open:has-text('1 object'):has-text('fig.jpg')")
    assert (project.folder / "2 dogs.jpg").read_bytes() == photo
    assert sorted(path.name for path in (project.folder / ".clickmask").iterdir()) == [
        "2 dogs.jpg.json",
        "more%2Ffig.jpg.json",
    ]


@pytest.mark.soak
def test_undo_survives_a_reload_and_what_was_not_sent_is_sent_later(browser: Browser, tmp_path: Path) -> None:
    folder = _fill(tmp_path / "photos")
    words = ["--project", str(folder)]
    with serving(tmp_path, words) as first:
        project, port = Desk(folder, first.url), int(first.url.rsplit(":", 1)[1])
        with screen(browser, first.url) as desk:
            _ready(desk, "2 dogs.jpg")
            desk.click(*UPPER)
            desk.press("Enter")
            version = project.wait("2 dogs.jpg")["version"]
            first.process.kill()
            first.process.wait()
            desk.value("clickmask.bench.editor.rename(1, 'late')")
            desk.value("clickmask.store.flush()")
            desk.page.close()  # right after the edit, and with nobody to hear of it
            assert project.kept("2 dogs.jpg")["root"]["objects"][0]["label"] == ""
            with serving(tmp_path, words, port=port):
                again = Screen(desk.page.context.new_page(), first.url).open()
                _ready(again, "2 dogs.jpg", 1)
                assert again.objects()[0]["label"] == "late"
                assert project.wait("2 dogs.jpg", "late")["version"] > version
                again.press("Control+z", "Control+z")
                assert again.objects() == [] and len(again.points()) == 1
                again.press("Control+y")
                assert len(again.objects()) == 1


@pytest.mark.soak
def test_own_work_is_known_again_though_the_answer_to_it_was_lost(browser: Browser, project: Desk) -> None:
    def lose(route: Route) -> None:
        if project.kept("2 dogs.jpg") is None:
            route.fetch()
        route.abort("connectionreset")

    with screen(browser, project.url) as desk:
        _ready(desk, "2 dogs.jpg")
        desk.page.route("**/session", lose)
        desk.click(*UPPER)
        desk.press("Enter")
        while project.kept("2 dogs.jpg") is None:
            desk.page.wait_for_timeout(50)  # time.sleep would keep `lose` waiting too
        desk.value("clickmask.bench.editor.rename(1, 'late')")
        desk.value("clickmask.store.flush()")
        desk.page.close()
        again = Screen(desk.page.context.new_page(), project.url).open()
        _ready(again, "2 dogs.jpg", 1)
        project.wait("2 dogs.jpg", "late")
        assert not again.page.is_visible("text=Somebody else has saved work")


@pytest.mark.soak
def test_the_newer_of_two_is_shown_by_version(browser: Browser, project: Desk) -> None:
    with screen(browser, project.url) as desk:
        _ready(desk, "2 dogs.jpg")
        desk.click(*UPPER)
        desk.press("Enter")
        project.wait("2 dogs.jpg")
        with screen(browser, project.url) as other:
            _ready(other, "2 dogs.jpg", 1)
            other.value("clickmask.bench.editor.rename(1, 'theirs')")
            project.wait("2 dogs.jpg", "theirs")
        desk.open()
        _ready(desk, "2 dogs.jpg", 1)
        assert desk.objects()[0]["label"] == "theirs"


@pytest.mark.parametrize("copies", [True, False], ids=["a copy", "no copy"])
def test_two_pages_on_one_photo_do_not_write_over_each_other(browser: Browser, project: Desk, copies: bool) -> None:
    with screen(browser, project.url) as one, screen(browser, project.url) as two:
        two.expect_refusals(412)
        for desk in (one, two):
            _ready(desk, "2 dogs.jpg")
        one.click(*UPPER)
        one.press("Enter")
        project.wait("2 dogs.jpg")
        two.click(*LOWER)
        two.press("Enter")
        two.page.wait_for_selector("text=Somebody else has saved work on 2 dogs.jpg meanwhile")
        one.settle()
        assert len(project.kept("2 dogs.jpg")["root"]["objects"]) == 1
        mine = two.objects()
        if copies:
            with two.page.expect_download() as download:
                two.page.click("text=Keep mine as a file")
            assert download.value.suggested_filename == "2 dogs.jpg.clickmask.json"
        else:
            two.page.click("text='Take theirs'")
        two.wait("clickmask.bench.doc.session.entries.at(-1).name === 'Take the saved work'")
        two.settle()
        assert str(two.objects()) == str(one.objects())
        two.press("Control+z")
        assert str(two.objects()) == str(mine)
        two.press("Control+y")
        two.value("clickmask.bench.editor.rename(1, 'both')")
        project.wait("2 dogs.jpg", "both")


def test_work_that_cannot_be_read_is_told_and_never_written_over(browser: Browser, project: Desk) -> None:
    (project.folder / ".clickmask").mkdir()
    path = project.folder / ".clickmask" / "2 dogs.jpg.json"
    path.write_text('{"clickmask": 99}')
    with screen(browser, project.url) as desk:
        _ready(desk, "2 dogs.jpg")
        desk.page.wait_for_selector("text=expected format 2")
        desk.click(*UPPER)
        desk.press("Enter")
        desk.page.wait_for_timeout(1500)
        assert path.read_text() == '{"clickmask": 99}' and len(desk.objects()) == 1


@pytest.mark.soak
def test_all_photos_leave_as_files_those_that_were_not_opened_too(browser: Browser, project: Desk) -> None:
    with screen(browser, project.url) as desk:
        for name in ("2 dogs.jpg", "10 clock.jpg"):
            _ready(desk, name)
            desk.click(*UPPER)
            desk.press("Enter", "d")
        project.wait("10 clock.jpg")
        project.wait("2 dogs.jpg")
    with screen(browser, project.url) as other:
        _ready(other, "2 dogs.jpg", 1)
        with other.page.expect_download() as download:
            other.value("() => { clickmask.exporter.exportNow({ formats: ['coco'], all: true }); }")
        document = json.loads(Path(download.value.path()).read_text())
        assert [row["file_name"] for row in document["images"]] == ["2 dogs.jpg", "10 clock.jpg"]


@pytest.mark.soak
def test_closing_a_photo_leaves_its_work_in_the_folder(browser: Browser, project: Desk) -> None:
    with screen(browser, project.url) as desk:
        _ready(desk, "2 dogs.jpg")
        desk.click(*UPPER)
        desk.press("Enter")
        project.wait("2 dogs.jpg")
        desk.settle()
        desk.value("clickmask.startOver()")
        desk.open()
        _ready(desk, "2 dogs.jpg", 1)


def test_an_answer_that_got_lost_is_no_strangers_work(browser: Browser, project: Desk) -> None:
    with screen(browser, project.url) as desk:
        desk.expect_refusals(412)
        _ready(desk, "2 dogs.jpg")
        lost: list[str] = []

        def lose(route: Any) -> None:
            if route.request.method == "PUT" and not lost:
                lost.append(route.fetch().headers["etag"])
                route.abort("connectionreset")
            else:
                route.continue_()

        desk.page.route("**/session", lose)
        desk.click(*UPPER)
        desk.press("Enter")
        desk.value("clickmask.bench.editor.rename(1, 'on')")
        end = time.monotonic() + PATIENCE
        while not (lost and _is_done(project.kept("2 dogs.jpg"), "on")):
            assert time.monotonic() < end
            desk.page.wait_for_timeout(50)  # in which the calls are led by this test, and go on
        assert not desk.page.is_visible("text=Somebody else")
