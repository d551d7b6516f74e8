"""The page as a whole: what it weighs, whom it asks, who can use it, and what stands around the canvas."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser
from pycocotools import mask as coco
from screen import PHOTOS, Screen, screen

DOGS = PHOTOS / "dogs.jpg"
UPPER, LOWER = (290, 300), (370, 560)
OWN_WEIGHT = 500_000  # bytes beyond Gradio's own
NAMES = (
    *("Cut-outs", "Masks (PNG)", "COCO", "YOLO", "LabelMe", "clickmask JSON", "Overlay", "Label map", "GeoJSON"),
    *("Measurements (CSV)", "SA-1B", "amg.py's folder"),
)


def test_the_page_is_light_and_asks_nobody_else(browser: Browser, page_url: str) -> None:
    weights: dict[str, int] = {}
    with screen(
        browser, page_url, lambda page: page.on("response", lambda r: weights.update({r.url: len(r.body())}))
    ) as desk:
        desk.take(DOGS)
    own = {url: size for url, size in weights.items() if "/page/" in url}
    assert any(url.endswith("main.js") for url in own)
    assert sum(own.values()) < OWN_WEIGHT


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_there_is_no_serious_accessibility_fault(browser: Browser, page_url: str, theme: str, width: int) -> None:
    with screen(browser, page_url, viewport={"width": width, "height": 844}) as desk:
        desk.url = f"{page_url}/ui/?__theme={theme}"
        desk.open()
        desk.take(DOGS, PHOTOS / "clock.jpg")
        desk.click(*UPPER)
        desk.press("Enter")
        desk.click(*LOWER)
        found = Axe().run(desk.page, context=".cm-app", options={"preload": False})  # else it fetches style sheets
        serious = [one for one in found.response["violations"] if one["impact"] in ("serious", "critical")]
        assert not serious, json.dumps(serious, indent=1)[:4000]


def test_the_api_tab_shows_what_was_clicked(desk: Screen) -> None:
    desk.take(DOGS)
    desk.click(*UPPER)
    desk.click(300, 420, button="right")
    python, curl = desk.value("clickmask.snippets()")
    desk.page.click("role=tab[name=API]")
    desk.page.wait_for_selector("text=thing.add")
    assert 'Segmenter().open("dogs.jpg")' in python and "thing.add(300.5, 420.5, label=0)" in python
    assert f"{desk.url}/v1/segment" in curl and '"labels":[1,0]' in curl
    compile(python, "snippet", "exec")


def _export(desk: Screen, *formats: str, of: str = "this photo") -> tuple[str, bytes]:
    box = desk.page.locator("#clickmask-export input[type=checkbox]")
    if not box.first.is_visible():
        desk.page.click("text=Export >> nth=0")
    for name in NAMES:
        desk.page.locator(f'#clickmask-export label:has-text("{name}") input').set_checked(name in formats)
    desk.page.click(f"#clickmask-export label:has-text('{of}')")
    with desk.page.expect_download() as download:
        desk.page.click("#clickmask-export button:has-text('Export') >> nth=-1")
    return download.value.suggested_filename, Path(download.value.path()).read_bytes()


def test_an_export_of_nothing_says_what_to_do(desk: Screen) -> None:
    desk.take(DOGS)
    desk.click(*UPPER)
    desk.value("clickmask.exporter.exportNow({ formats: [] })")
    assert "no format is ticked" in desk.page.inner_text(".cm-toasts")
    assert desk.objects() == [] and len(desk.points()) == 1 and not any("/export" in line for line in desk.asked)


def test_one_photo_leaves_as_coco_with_the_masks_that_are_shown(desk: Screen) -> None:
    desk.take(DOGS)
    desk.page.fill(".cm-active-label", "dog")
    desk.page.press(".cm-active-label", "Enter")
    for place in (UPPER, LOWER):
        desk.click(*place)
        desk.press("Enter")
    name, data = _export(desk, "COCO")
    document = json.loads(data)
    assert name.endswith(".json") and document["images"][0]["file_name"] == "dogs.jpg"
    assert [category["name"] for category in document["categories"]] == ["dog"]
    for annotation, thing in zip(document["annotations"], desk.objects(), strict=True):
        assert (annotation["segmentation"], annotation["area"]) == (thing["rle"], coco.area(thing["rle"]))


def test_every_format_leaves_in_one_zip_and_the_labels_give_the_classes(desk: Screen) -> None:
    desk.take(DOGS)
    desk.page.fill(".cm-active-label", "dog")
    desk.page.press(".cm-active-label", "Enter")
    desk.click(*UPPER)
    name, data = _export(desk, *NAMES, of="all photos")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        files = {member: archive.read(member) for member in archive.namelist()}
    assert name == "clickmask.zip"
    words = ("cutout.png", "labels.png", "mask.png", "measurements.csv", "objects.json", "overlay.jpg", "sa1b.json")
    own = {"dogs.txt", "dogs.json", "dogs.geojson", "dogs/0.png", "dogs/metadata.csv", "coco.json", "data.yaml"}
    assert set(files) == own | {f"dogs_{word}" for word in words}
    assert b'0: "dog"' in files["data.yaml"] and files["dogs.txt"].startswith(b"0 0.")


def test_all_photos_leave_as_one_zip(desk: Screen) -> None:
    desk.take(DOGS, PHOTOS / "clock.jpg")
    desk.click(*UPPER)
    desk.press("Enter", "d")
    desk.wait("clickmask.bench.doc.name === 'clock.jpg' && clickmask.bench.doc.state === 'ready'")
    desk.click(500, 400)  # not finished: it is finished by the export
    name, data = _export(desk, "COCO", "Masks (PNG)", of="all photos")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        files = {member: archive.read(member) for member in archive.namelist()}
    (document,) = [json.loads(text) for member, text in files.items() if "coco" in member]
    assert name.endswith(".zip") and len(document["images"]) == 2 and len(document["annotations"]) == 2
    masks = {member: data for member, data in files.items() if member.endswith(".png")}
    mask = next(data for member, data in masks.items() if "clock" in member)
    pixels = cv2.imdecode(np.frombuffer(mask, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert pixels is not None and ((pixels > 0) == desk.objects()[0]["pixels"]).all()


def test_a_cut_out_is_saved_by_key_and_by_button(desk: Screen) -> None:
    desk.take(DOGS)
    desk.click(*UPPER)
    desk.press("Enter")
    desk.page.click(".cm-card .cm-facts")
    with desk.page.expect_download() as download:
        desk.page.click(".cm-selection button:has-text('Cut out')")
    pixels = cv2.imread(download.value.path(), cv2.IMREAD_UNCHANGED)
    (thing,) = desk.objects()
    assert pixels is not None and pixels.shape[2] == 4
    assert int((pixels[:, :, 3] > 127).sum()) == int(thing["pixels"].sum())


def test_exporting_nothing_says_so(desk: Screen) -> None:
    desk.take(DOGS)
    desk.press("Control+e")
    desk.page.wait_for_selector("text=no finished object")


def test_all_photos_are_closed_only_if_one_means_it(desk: Screen) -> None:
    desk.take(DOGS)
    for answer, left in ((False, 1), (True, 0)):
        desk.page.once("dialog", lambda dialog, answer=answer: dialog.accept() if answer else dialog.dismiss())
        desk.page.click("text=Close all photos")
        desk.wait(f"clickmask.documents.list.length === {left}")
    assert desk.page.locator("text=Sign out").count() == 0  # nobody signs in here


def test_examples_open_with_a_click(desk: Screen) -> None:
    desk.page.click("img[alt='Example: dogs']")
    desk.wait("clickmask.bench.doc?.state === 'ready'")
    assert desk.value("clickmask.bench.doc.size") == [682, 1024]


def test_sliders_change_colours_and_brush(desk: Screen) -> None:
    strength, brush = (
        desk.page.locator(f"input[aria-label^='number input for {label}']")
        for label in ("Strength of the colours", "Radius of the brush")
    )
    if not strength.is_visible():
        desk.page.click("text=View and clean-up")
    strength.fill("70")
    strength.press("Enter")
    desk.wait("clickmask.settings.opacity === 0.7")
    brush.fill("33")
    brush.press("Enter")
    desk.wait("clickmask.tools.brush === 33")


def test_a_call_that_is_refused_fails_the_test_unless_it_was_expected(desk: Screen) -> None:
    desk.value("fetch('/v1/images/img_none/masks', {method: 'POST', body: '{}'})")
    desk.wait("clickmask.isSettled")
    (refused,) = desk.unexpected()
    assert refused.endswith("POST /v1/images/img_none/masks")
    with pytest.raises(AssertionError, match="img_none"):
        desk.check()
    desk.expect_refusals(int(refused.split()[0]))
    desk.check()
