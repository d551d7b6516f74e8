"""Work that was saved opens again, sessions as they were; what cannot be opened is told, and nothing is lost."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser
from screen import PHOTOS, Screen, screen

from clickmask import Segmenter
from clickmask.service.formats.coco import to_coco
from clickmask.service.formats.coco_merge import merge_coco
from clickmask.service.formats.labelme import write_labelme
from clickmask.service.formats.result import ObjectResult, Result

DOGS, CLOCK = PHOTOS / "dogs.jpg", PHOTOS / "clock.jpg"
SIZES = {path: cv2.imread(str(path)).shape[1::-1] for path in (DOGS, CLOCK)}
UPPER, LOWER = (290, 300), (370, 560)


def _choose(desk: Screen, *paths: Path) -> None:
    """Open files as by the file dialog."""
    with desk.page.expect_file_chooser() as chooser:
        desk.page.evaluate("clickmask.run('choose')")
    chooser.value.set_files([str(path) for path in paths])


def _drop(desk: Screen, *paths: Path) -> None:
    devtools = desk.page.context.new_cdp_session(desk.page)
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        devtools.send("Input.dispatchDragEvent", {"type": kind, "x": 500, "y": 300, "data": data})


def _save(desk: Screen, folder: Path) -> Path:
    """The session, saved by Ctrl+S."""
    with desk.page.expect_download() as download:
        desk.press("Control+s")
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def _said(desk: Screen, words: str) -> None:
    desk.page.wait_for_selector(f".cm-toast:has-text('{words}')")


def _ready(desk: Screen, count: int) -> None:
    """Until the photo looked at has so many objects."""
    desk.wait(f"clickmask.bench.editor?.state.objects.length === {count}")
    desk.wait("clickmask.bench.doc?.state === 'ready'")
    desk.settle()


def _result(path: Path, *labels: str) -> Result:
    """Ellipses on a photo, one for each label, the second with a hole."""
    width, height = SIZES[path]
    rows, columns = np.mgrid[:height, :width]
    objects = []
    for n, label in enumerate(labels):
        distance = np.hypot((rows - 300) / 2, columns - 150 - 90 * n)
        objects.append(ObjectResult((distance < 60) & (distance > 20 * n), 0.9, 0.8, n, label))
    return Result(width, height, objects, name=path.name)


def _write(path: Path, document: object) -> Path:
    path.write_text(json.dumps(document))
    return path


def _work(desk: Screen) -> None:
    """Some of everything: a candidate, labels, colours, order, strokes, a merge, a lock, and one in the making."""
    desk.take(DOGS)
    desk.value("clickmask.settings.set({ keepsOff: true, label: 'dog' })")
    for place, candidate in ((UPPER, "1"), (LOWER, "2")):
        desk.click(*place)
        desk.press(candidate)
        desk.click(place[0] + 10, place[1] + 30)
        desk.press("Enter")
    desk.press("b")
    desk.drag((100, 900), (200, 950))
    desk.press("Enter", "Escape", "q")
    desk.value(
        "(() => { const { editor } = clickmask.bench; editor.duplicate(1); editor.select([3, 4]);"
        " editor.mergeSelected(); editor.recolour(2, 9); editor.rename(2, 'été');"
        " editor.lock([2], true); editor.reorder(2, 0); })()"
    )
    desk.settle()
    desk.click(500, 900)
    desk.click(520, 920, button="right")


def test_a_session_names_the_weights_and_how_the_file_lies(desk: Screen, segmenter: Segmenter, tmp_path: Path) -> None:
    turned = tmp_path / "turned.jpg"
    with Image.open(DOGS) as photo:
        exif = photo.getexif()
        exif[274] = 6
        photo.save(turned, exif=exif)
    desk.take(turned)
    saved = json.loads(_save(desk, tmp_path).read_text())
    assert saved["image"] == {
        "name": "turned.jpg",
        "width": 1024,
        "height": 682,
        "sha256": hashlib.sha256(turned.read_bytes()).hexdigest(),
        "orientation": 6,
    }
    assert (saved["model"], saved["digest"]) == ("vit_t", segmenter.provenance["digest"])


def test_a_session_opened_in_another_browser_is_the_same_session(
    browser: Browser, desk: Screen, page_url: str, tmp_path: Path
) -> None:
    _work(desk)
    before, current, points = desk.objects(), desk.current(), desk.points()
    (tmp_path / "again").mkdir()
    saved = _save(desk, tmp_path)
    with screen(browser, page_url) as other:
        _choose(other, saved, DOGS)
        _ready(other, len(before))
        assert _save(other, tmp_path / "again").read_text() == saved.read_text()
        assert str(other.objects()) == str(before)
        assert (other.current() == current).all() and other.points() == points
        other.press("Escape")
        other.value("clickmask.bench.editor.reopen(clickmask.bench.editor.state.objects.at(-1).id)")
        other.settle()
        other.press("Escape", *["Control+z"] * 4)
        assert other.objects() == [] and other.points() == []


def test_work_that_is_there_stays_and_what_is_opened_comes_on_top_of_it(desk: Screen, tmp_path: Path) -> None:
    desk.take(DOGS)
    desk.click(*UPPER)
    desk.press("Enter")
    saved = _save(desk, tmp_path)
    desk.click(*LOWER)
    _drop(desk, saved)
    _ready(desk, 2)
    first, second = desk.objects()
    assert (first["pixels"] == second["pixels"]).all() and (first["id"], second["id"]) == (1, 3)
    assert len(desk.points()) == 1  # the one in the making is in the making still
    desk.press("Enter", "Control+z", "Control+z")
    assert [one["id"] for one in desk.objects()] == [1] and len(desk.points()) == 1


def test_prompts_that_were_opened_go_on_at_a_server_that_never_saw_them(desk: Screen, tmp_path: Path) -> None:
    desk.take(DOGS)
    desk.click(*UPPER)
    desk.press("1")
    desk.click(*LOWER)
    saved = _save(desk, tmp_path)
    desk.click(100, 900, button="right")
    expected = desk.current()
    desk.reset()  # which has the server forget all masks
    _choose(desk, DOGS, saved)
    desk.wait("clickmask.bench.editor?.current")
    desk.wait("clickmask.bench.doc?.state === 'ready'")
    desk.click(100, 900, button="right")
    found = desk.current()
    assert len(desk.points()) == 3 and found is not None and (found == expected).all()


@pytest.mark.parametrize("polygons", [True, False], ids=["polygons", "run lengths"])
def test_coco_of_several_photos_comes_with_them(desk: Screen, tmp_path: Path, polygons: bool) -> None:
    results = [_result(CLOCK, "hand"), _result(DOGS, "dog", "ring")]
    document = merge_coco([to_coco(result, polygons=polygons) for result in results])
    document["images"].append({"id": 99, "width": 5, "height": 5, "file_name": "elsewhere.jpg"})
    document["images"][1]["file_name"] = "C:\\photos\\DOGS.JPG"
    _drop(desk, _write(tmp_path / "all.json", document), DOGS, CLOCK)
    _said(desk, "all.json: 3 objects on 2 photos.")
    _said(desk, "all.json: elsewhere.jpg is not open here")
    _ready(desk, 2)
    for found, expected in zip(desk.objects(), results[1].objects, strict=True):
        assert found["label"] == expected.label and (found["pixels"] == expected.mask).all() and found["isReady"]
    desk.press("Control+z")
    assert desk.objects() == []
    desk.press("d")
    _ready(desk, 1)
    assert (desk.objects()[0]["pixels"] == results[0].objects[0].mask).all()


def test_labelme_can_be_pasted_as_a_text_and_painted_on(desk: Screen) -> None:
    desk.take(DOGS)
    text = write_labelme(_result(DOGS, "dog", "ring")).decode()
    paste = """(text) => {
      const clipboardData = new DataTransfer();
      clipboardData.setData('text/plain', text);
      document.dispatchEvent(new ClipboardEvent('paste', { clipboardData, bubbles: true, cancelable: true }));
    }"""
    desk.value(paste, text)
    _ready(desk, 2)
    masks = [one["pixels"] for one in desk.objects()]
    assert [(mask == item.mask).all() for mask, item in zip(masks, _result(DOGS, "", "").objects, strict=True)]
    assert [one["colour"] for one in desk.objects()] == [1, 2]
    desk.value("clickmask.bench.editor.reopen(2)")
    desk.settle()
    shown = desk.current()
    assert shown is not None and shown.any()
    desk.press("Enter")
    assert (desk.objects()[1]["pixels"] == masks[1]).all()


def test_a_photo_within_a_labelme_file_is_opened_unless_it_is_open(desk: Screen, tmp_path: Path) -> None:
    document = json.loads(write_labelme(_result(DOGS, "dog")))
    document["imageData"] = base64.b64encode(DOGS.read_bytes()).decode()
    path = _write(tmp_path / "dogs.json", document)
    _choose(desk, path)
    _ready(desk, 1)
    _choose(desk, path)
    _ready(desk, 2)
    assert desk.value("clickmask.documents.list.map((doc) => doc.name)") == ["dogs.jpg"]


def test_a_photo_of_another_name_is_found_by_its_bytes(desk: Screen, tmp_path: Path) -> None:
    desk.take(DOGS)
    desk.click(*UPPER)
    desk.press("Enter")
    saved = _save(desk, tmp_path)
    other = tmp_path / "other.jpg"
    other.write_bytes(DOGS.read_bytes())
    desk.reset()
    _choose(desk, CLOCK, other, saved)
    _said(desk, "dogs.jpg.clickmask.json: 1 object on other.jpg.")
    _ready(desk, 1)
    assert desk.value("clickmask.bench.doc.name") == "other.jpg"


def _broken(desk: Screen, folder: Path) -> dict[str, Path]:
    """Documents that nothing can be made of, by what is said of them."""
    desk.click(*UPPER)
    desk.press("Enter")
    session = json.loads(_save(desk, folder).read_text())
    wrong = json.loads(json.dumps(session))
    wrong["root"]["objects"][0]["final"]["mask"]["rle"]["counts"] = "0"
    named = json.loads(json.dumps(session))
    named["root"]["objects"][0]["label"] = "x" * 201
    nested = "[" * 99_999 + "]" * 99_999
    (folder / "deep.json").write_text(f'{{"clickmask": 2, "image": {json.dumps(session["image"])}, "root": {nested}}}')
    loop = {**session, "root": {"$": 0}, "shared": [{"objects": [{"$": 0}]}]}
    coco = to_coco(_result(DOGS, "dog"))
    bad = {**coco, "annotations": [{**coco["annotations"][0], "segmentation": [[1, 2]]}]}
    narrow = {**coco, "images": [{**coco["images"][0], "width": 9}]}
    point = {"shapes": [{"label": "x", "shape_type": "point", "points": [[1, 1]]}], "imagePath": "dogs.jpg"}
    return {
        "was not opened: state.objects[0].final.mask.rle": _write(folder / "runs.json", wrong),
        "was not opened: state.objects[0].label: expected a text of at most 200": _write(folder / "name.json", named),
        "was not opened: shared: it is nested too deep": folder / "deep.json",
        "was not opened: shared: a reference leads back": _write(folder / "loop.json", loop),
        "was not opened: state: expected an object": _write(folder / "null.json", {**session, "root": None}),
        "was not opened: clickmask: expected format 2": _write(folder / "old.json", {**session, "clickmask": 1}),
        "was not opened: annotations[0].segmentation": _write(folder / "coco.json", bad),
        "dogs.jpg is 9 × 1024 there, and 682 × 1024 here": _write(folder / "narrow.json", narrow),
        "was not opened: shapes[0].shape_type": _write(folder / "point.json", point),
        "was not opened: it is no session": _write(folder / "package.json", {"name": "x"}),
    }


def test_what_cannot_be_opened_is_told_by_name_and_nothing_is_lost(desk: Screen, tmp_path: Path) -> None:
    desk.take(DOGS)
    for words, path in _broken(desk, tmp_path).items():
        _drop(desk, path)
        _said(desk, path.name)
        _said(desk, words)
        assert len(desk.objects()) == 1
    (tmp_path / "half.json").write_text('{"images": [')
    _drop(desk, tmp_path / "half.json")
    _said(desk, "half.json was not opened: it is no whole JSON.")
    assert len(desk.objects()) == 1


@pytest.mark.parametrize("form", ["coco", "labelme", "json"])
def test_what_the_page_exported_it_opens(desk: Screen, tmp_path: Path, form: str) -> None:
    desk.take(DOGS)
    desk.value("clickmask.settings.set({ label: 'Hündin' })")
    desk.click(*UPPER)
    desk.press("Enter")
    with desk.page.expect_download() as download:
        desk.value("(formats) => { clickmask.exporter.exportNow({ formats: [formats] }); }", form)
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    _drop(desk, path)
    _ready(desk, 2)
    first, second = desk.objects()
    assert (first["pixels"] == second["pixels"]).all() and first["label"] == second["label"] == "Hündin"
