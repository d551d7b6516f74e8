"""The Batch tab: a folder of the server's, or one's own photos, go through; it is found again, stopped, and fetched."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Generator
from pathlib import Path

import cv2
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from page_server import Served, serving
from playwright.sync_api import Browser, Page
from screen import PATIENCE, PHOTOS

STRIPS = [f"{number}.png" for number in range(4)]


def _strips(folder: Path) -> None:
    """Low strips of a photo, which are encoded in a moment, and a file that is no photo."""
    photo = cv2.imread(str(PHOTOS / "dogs.jpg"))
    assert photo is not None
    small = cv2.resize(photo[300:340], (256, 8), interpolation=cv2.INTER_AREA)
    folder.mkdir(parents=True)
    for number, name in enumerate(STRIPS):
        cv2.imwrite(str(folder / name), np.roll(small, number * 9, axis=1))
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 and no more")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Generator[tuple[Served, Path]]:
    folder = tmp_path_factory.mktemp("batches")
    _strips(folder / "photos/strips")
    with serving(folder, ["--batch-root", str(folder / "photos")]) as one:
        yield one, folder / "photos"


@pytest.fixture
def page(browser: Browser, served: tuple[Served, Path]) -> Generator[Page]:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.set_default_timeout(PATIENCE)
    _open(page, served[0].url)
    yield page
    page.close()
    assert not faults, faults


def _open(page: Page, url: str, theme: str = "light") -> None:
    page.goto(f"{url}/ui/?__theme={theme}")
    page.click("role=tab[name=Batch]")
    page.wait_for_function("window.clickmaskBatch?.isStarted")


def _choose_strips(page: Page) -> None:
    page.click(".cm-folders button:has-text('photos')")
    page.click(".cm-folders button:has-text('strips')")
    page.wait_for_function("clickmaskBatch.form.browser.path === 'photos/strips'")


def _fetch(page: Page) -> dict[str, bytes]:
    with page.expect_download() as download:
        page.click(".cm-batch-card >> nth=0 >> text=Download zip")
    with zipfile.ZipFile(io.BytesIO(Path(download.value.path()).read_bytes())) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_a_folder_goes_through_survives_a_reload_and_tells_what_failed(page: Page, served: tuple[Served, Path]) -> None:
    _choose_strips(page)
    assert page.input_value("input[name=out]") == "photos/strips/results"
    page.fill("input[name=out]", "photos/masks")
    page.click(".cm-form button[type=submit]")
    page.wait_for_selector(".cm-batch-card")
    _open(page, served[0].url)
    card = page.locator(".cm-batch-card").first
    card.locator("text=Finished").wait_for()
    assert "5 of 5" in card.inner_text() and "1 photo failed" in card.inner_text()
    card.locator("summary").click()
    assert "broken.jpg" in card.locator("table").inner_text()
    card.locator("img").first.wait_for()
    assert card.locator("img").count() == 4
    assert card.locator("img").first.evaluate("async (img) => { await img.decode(); return img.naturalWidth; }") == 160
    files = _fetch(page)
    assert {f"{number}_mask.png" for number in range(4)} | {"instances_coco.json"} == set(files)
    assert files["2_mask.png"] == (served[1] / "masks/2_mask.png").read_bytes()
    card.locator("button:has-text('Remove')").click()
    page.wait_for_function("!document.querySelector('.cm-batch-card')")
    assert (served[1] / "masks/2_mask.png").exists()


def test_ones_own_photos_go_through_with_a_file_of_prompts(page: Page, served: tuple[Served, Path]) -> None:
    page.check(".cm-form >> text=Mine: they are uploaded")
    page.set_input_files(".cm-own input >> nth=0", [served[1] / "strips" / name for name in STRIPS[:2]])
    assert "2 photos" in page.inner_text(".cm-own")
    page.check("text=What a file says")
    page.click(".cm-form button[type=submit]")
    assert page.inner_text(".cm-form [role=alert]") == "Choose a file of prompts."
    text = b'{"image": "0.png", "points": [[100, 4]], "label": "dog"}\n{"image": "1.png", "points": [[9, 4]]}\n'
    page.set_input_files("input[name=file]", {"name": "p.jsonl", "mimeType": "text/plain", "buffer": text})
    page.uncheck("input[value=png]")
    page.uncheck("input[value=coco]")
    page.check("input[value=yolo]")
    page.click(".cm-form button[type=submit]")
    page.wait_for_selector(".cm-batch-card[data-state=finished]")
    files = _fetch(page)
    assert set(files) == {"0.txt", "1.txt", "data.yaml"} and b'0: "dog"' in files["data.yaml"]
    assert files["1.txt"].startswith(b"1 ")
    page.click(".cm-batch-card button:has-text('Remove')")


def test_what_the_server_refuses_is_said_beside_the_button(page: Page) -> None:
    _choose_strips(page)
    page.fill("input[name=out]", "photos/strips")
    page.click(".cm-form button[type=submit]")
    page.wait_for_function("document.querySelector('.cm-form [role=alert]').textContent.includes('holds other files')")
    assert page.locator(".cm-form button[type=submit]").is_enabled()


def test_folders_and_choices_are_reached_by_key(page: Page) -> None:
    page.focus(".cm-trail button")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_function("clickmaskBatch.form.browser.path === 'photos'")
    page.keyboard.press("Enter")  # the focus is on the first folder in it
    page.wait_for_function("clickmaskBatch.form.browser.path.startsWith('photos/')")
    page.focus(".cm-form input[name=way] >> nth=0")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert page.locator(".cm-form select[name=grid]").is_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_there_is_no_serious_accessibility_fault(
    page: Page, served: tuple[Served, Path], theme: str, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    _open(page, served[0].url, theme)
    _choose_strips(page)
    page.fill("input[name=out]", "photos/axe")
    page.click(".cm-form button[type=submit]")
    page.wait_for_selector(".cm-batch-card[data-state=finished]")
    page.check(".cm-form >> text=All objects")
    page.locator("summary").first.click()
    found = Axe().run(page, context=".cm-batch", options={"preload": False})  # else it fetches style sheets
    serious = [one for one in found.response["violations"] if one["impact"] in ("serious", "critical")]
    assert not serious, json.dumps(serious, indent=1)[:4000]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
