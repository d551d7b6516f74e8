"""Objects leave the page as files: of one photo, or of all in one zip, and none in another's place."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Error, Page

from clickmask.service import rle
from clickmask.service.formats import Options, write_files
from clickmask.service.formats.reading_coco import read_coco
from clickmask.service.formats.result import ObjectResult, Result
from clickmask.service.formats.yolo import write_data_yaml, yolo_classes

PHOTOS = Path(__file__).parents[2] / "examples" / "photos"

HELPERS = """async () => {
  const exports = await import('./exports.js');
  const toText = (blob) => new Promise((resolve) => {
    const reader = Object.assign(new FileReader(), { onload: () => resolve(reader.result.split(',')[1] ?? '') });
    reader.readAsDataURL(blob);
  });
  const plain = async ({ name, blob, failed = [] }) => ({
    name, data: await toText(blob), failed: failed.map(({ image, error }) => [image.name, error.message]),
  });
  Object.assign(window, exports, { plain });
}"""

# As the service: one file of that kind, or a zip of several; each says in its text what was asked.
FAKE = """async () => {
  const { Archive } = await import('./archive.js');
  window.requests = [];
  window.lost = new Set();
  const gone = () => Object.assign(new Error('gone'), { isGone: true });
  window.api = {
    async exportObjects(id, request, signal) {
      requests.push([id, request]);
      signal?.throwIfAborted();
      if (lost.has(id)) throw gone();
      if (id === 'bad') throw new Error('it cannot be written');
      const stem = request.name.replace(/\\.[^.]*$/, '');
      if (request.formats[0] === 'coco') return { name: `${stem}_coco.json`, blob: new Blob([coco(request)]) };
      if (request.objects.length === 1) return { name: `${stem}_mask.png`, blob: new Blob([id]) };
      const archive = new Archive();
      for (const number of [1, 2]) await archive.add(`${stem}_mask_${number}.png`, new Blob([id + number]));
      return { name: `${stem}.zip`, blob: archive.finish() };
    },
  };
  const coco = ({ name }) => JSON.stringify({
    info: {}, licenses: [], images: [{ id: 1, file_name: name }], categories: [{ id: 1, name: 'dog' }],
    annotations: [{ id: 1, image_id: 1, category_id: 1 }],
  });
  window.image = (id, name, count = 1) => ({
    id, name, objects: Array(count).fill({}), ensureImage: async () => id, forget: () => lost.delete(id),
  });
}"""

ALL = """async ([rows, options]) => {
  window.progress = [];
  const images = rows.map((row) => image(...row));
  return plain(await exportAll(api, images, options, (done, all) => progress.push([done, all])));
}"""


@pytest.fixture
def page(functions: Page) -> Page:
    functions.evaluate(HELPERS)
    functions.evaluate(FAKE)
    return functions


def unpacked(answer: dict[str, Any]) -> dict[str, bytes]:
    """The files of a zip by name; each is whole, and no name is there twice."""
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(answer["data"]))) as archive:
        assert archive.testzip() is None
        assert len(set(archive.namelist())) == len(archive.namelist())
        return {name: archive.read(name) for name in archive.namelist()}


def test_all_files_of_all_images_are_in_one_zip_and_none_in_anothers_place(page: Page) -> None:
    rows = [("1", "a.jpg"), ("2", "A.png", 2), ("3", "a.jpg"), ("4", "bäume.jpg"), ("5", "a (2).jpg"), ("6", "x/y.jpg")]
    answer = page.evaluate(ALL, [rows, {"formats": ["png"]}])
    assert answer["name"] == "clickmask.zip" and answer["failed"] == []
    assert unpacked(answer) == {
        "a_mask.png": b"1",
        "A (4)_mask_1.png": b"21",
        "A (4)_mask_2.png": b"22",
        "a (3)_mask.png": b"3",
        "bäume_mask.png": b"4",
        "a (2)_mask.png": b"5",
        "x_y_mask.png": b"6",
    }
    assert page.evaluate("() => progress") == [[n, 6] for n in range(1, 7)]


def test_coco_of_many_images_is_one_document_that_tells_them_apart(page: Page) -> None:
    rows = [("1", "a.jpg"), ("2", "a.jpg"), ("3", "a.png")]
    answer = page.evaluate(ALL, [rows, {"formats": ["coco"], "polygons": True}])
    assert answer["name"] == "clickmask_coco.json"
    document = json.loads(base64.b64decode(answer["data"]))
    assert [row["file_name"] for row in document["images"]] == ["a.jpg", "a (2).jpg", "a.png"]
    assert [row["image_id"] for row in document["annotations"]] == [1, 2, 3]
    assert page.evaluate("() => requests[0][1].polygons") is True
    both = unpacked(page.evaluate(ALL, [rows[:1], {"formats": ["png", "coco"]}]))
    assert sorted(both) == ["a_mask.png", "coco.json"]


def test_an_image_that_the_server_lost_is_brought_back(page: Page) -> None:
    page.evaluate("() => { lost.add('1'); }")
    answer = page.evaluate(ALL, [[("1", "a.jpg")], {"formats": ["png"]}])
    assert unpacked(answer) == {"a_mask.png": b"1"}
    assert page.evaluate("() => requests.map(([id]) => id)") == ["1", "1"]


def test_one_image_that_fails_keeps_no_other_from_its_files(page: Page) -> None:
    rows = [("1", "a.jpg"), ("bad", "b.jpg"), ("3", "c.jpg")]
    answer = page.evaluate(ALL, [rows, {"formats": ["png"]}])
    assert sorted(unpacked(answer)) == ["a_mask.png", "c_mask.png"]
    assert answer["failed"] == [["b.jpg", "it cannot be written"]]
    with pytest.raises(Error, match="it cannot be written"):
        page.evaluate(ALL, [rows[1:2], {"formats": ["png"]}])


def test_an_export_can_be_stopped_even_while_an_upload_hangs(page: Page) -> None:
    script = """async (hangs) => {
      const stop = new AbortController();
      const images = [image('1', 'a.jpg'), image('2', 'b.jpg'), image('3', 'c.jpg')];
      if (hangs) images[1].ensureImage = () => new Promise(() => setTimeout(() => stop.abort(), 1));
      const onProgress = () => hangs || stop.abort();
      const error = await exportAll(api, images, { formats: ['png'] }, onProgress, stop.signal).catch((error) => error);
      return [error.name, requests.splice(0).map(([id]) => id)];
    }"""
    assert page.evaluate(script, False) == ["AbortError", ["1"]]
    assert page.evaluate(script, True) == ["AbortError", ["1"]]


def test_names_are_fit_for_the_api_and_for_every_system(functions: Page) -> None:
    script = "async (names) => { const { fit } = await import('./file_names.js'); return names.map(fit); }"
    names = ["a.jpg", "../a.jpg", "a\\b\n.jpg", "", "..", "\u202egpj.exe", "ä" * 200 + ".jpeg", "Bäume \U0001f333.png"]
    assert functions.evaluate(script, names) == [
        "a.jpg",
        ".._a.jpg",
        "a_b_.jpg",
        "photo",
        "photo",
        "_gpj.exe",
        "ä" * 125 + ".jpeg",
        "Bäume \U0001f333.png",
    ]


def test_a_large_file_and_one_of_no_bytes_survive_the_archive(functions: Page) -> None:
    functions.evaluate(HELPERS)
    script = """async () => {
      const { Archive } = await import('./archive.js');
      const archive = new Archive();
      const text = Array.from({ length: 200000 }, (_, n) => n).join();
      await archive.add('numbers.json', new Blob([text]));
      await archive.add('none.png', new Blob([]));
      await archive.add('none.png', new Blob(['x']));
      return plain({ name: '', blob: archive.finish() });
    }"""
    files = unpacked(functions.evaluate(script))
    numbers = ",".join(map(str, range(200_000))).encode()
    assert files == {"numbers.json": numbers, "none.png": b"", "none (2).png": b"x"}


def test_a_file_is_downloaded_under_its_name(modules: Page) -> None:
    with modules.expect_download() as download:
        modules.evaluate("async () => (await import('./exports.js')).download('Bäume.json', new Blob(['[]']))")
    assert download.value.suggested_filename == "Bäume.json"
    assert download.value.path().read_text() == "[]"


def test_the_service_writes_what_the_page_asks_for(browser: Browser, page_url: str) -> None:
    """Two photos of one name, uploaded and exported: masks come back pixel for pixel, as pictures and in COCO."""
    page = browser.new_page()
    page.goto(urljoin(page_url, "/page/canvas.html"))
    page.evaluate(HELPERS)
    masks = [np.zeros((1024, 682), bool), np.zeros((768, 1024), bool)]
    masks[0][100:300, 50:200] = masks[1][5:9, 700:1024] = True
    photos = [(PHOTOS / name).read_bytes() for name in ("dogs.jpg", "peaks.jpg")]
    rows = [[base64.b64encode(data).decode(), rle.encode(mask)] for data, mask in zip(photos, masks, strict=True)]
    script = """async (rows) => {
      const { Api } = await import('./api.js');
      const api = new Api();
      const images = rows.map(([text, rle]) => {
        const file = new Blob([Uint8Array.from(atob(text), (c) => c.charCodeAt(0))]);
        const ensureImage = async () => (await api.upload(file)).id;
        return { name: 'Bäume.jpg', ensureImage, forget() {}, objects: [{ rle, label: 'tree' }] };
      });
      const one = await plain(await exportOne(api, images[0], images[0].objects, { formats: ['png'] }));
      return [one, await plain(await exportAll(api, images, { formats: ['png', 'coco'] }))];
    }"""
    one, everything = page.evaluate(script, rows)
    page.close()
    assert one["name"] == "Bäume_mask.png"
    files = unpacked(everything)
    assert sorted(files) == ["Bäume (2)_mask.png", "Bäume_mask.png", "coco.json"]
    assert files["Bäume_mask.png"] == base64.b64decode(one["data"])
    for name, mask in zip(("Bäume", "Bäume (2)"), masks, strict=True):
        with Image.open(io.BytesIO(files[f"{name}_mask.png"])) as picture:
            assert np.array_equal(np.asarray(picture) > 0, mask)
        (found,) = read_coco(files["coco.json"], file="coco.json", image=f"{name}.jpg").objects
        assert found.label == "tree" and np.array_equal(rle.decode(found.runs), mask)


MANY = """async (rows) => {
  const { Api } = await import('./api.js');
  const api = new Api();
  const file = new Blob([Uint8Array.from(atob(rows.photo), (c) => c.charCodeAt(0))]);
  const id = (await api.upload(file)).id;
  const objects = rows.runs.map((rle, n) => ({ rle, label: `thing ${n % 3}` }));
  const image = { name: 'dogs.jpg', ensureImage: async () => id, forget() {}, objects };
  const one = await exportOne(api, image, objects, { formats: ['png', 'json', 'labelme', 'coco'] });
  const overlay = await exportOne(api, image, objects, { formats: ['overlay'] }).catch((error) => error.message);
  return [await plain(one), await plain(await exportAll(api, [image], { formats: ['coco'] })), overlay];
}"""


def test_more_objects_than_a_request_holds_are_asked_for_in_batches(browser: Browser, page_url: str) -> None:
    """1,003 little squares, each where its number says; an overlay of so many cannot be."""
    page = browser.new_page()
    page.goto(urljoin(page_url, "/page/canvas.html"))
    page.evaluate(HELPERS)
    masks = [np.zeros((1024, 682), bool) for _ in range(1003)]
    for number, mask in enumerate(masks):
        mask[number : number + 3, number % 600 : number % 600 + 4] = True
    photo = base64.b64encode((PHOTOS / "dogs.jpg").read_bytes()).decode()
    runs = [rle.encode(mask) for mask in masks]
    one, coco, overlay = page.evaluate(MANY, {"photo": photo, "runs": runs})
    page.close()
    files = unpacked(one)
    pictures = [f"dogs_mask_{number:04}.png" for number in range(1, 1004)]
    assert one["name"] == "dogs.zip"
    assert sorted(files) == sorted([*pictures, "dogs.json", "dogs_coco.json", "dogs_objects.json"])
    for number in (0, 501, 502, 1002):
        with Image.open(io.BytesIO(files[pictures[number]])) as picture:
            assert np.array_equal(np.asarray(picture) > 0, masks[number])
    objects = json.loads(files["dogs_objects.json"])["objects"]
    assert [(item["index"], item["rle"]) for item in objects] == list(enumerate(runs))
    assert len(json.loads(files["dogs.json"])["shapes"]) == 1003
    found = read_coco(files["dogs_coco.json"], file="coco.json", image="dogs.jpg").objects
    assert [rle.area(item.runs) for item in found] == [12] * 1003
    assert json.loads(base64.b64decode(coco["data"])) == json.loads(files["dogs_coco.json"])
    assert "1,000 at most" in overlay and "1,003" in overlay


JOIN = """async ([formats, count, batches]) => {
  const { inBatches } = await import('./batches.js');
  const asked = [];
  const files = await inBatches(formats, Array(count).fill({}), async (format, objects) => {
    asked.push(objects.length);
    const batch = batches[format][(asked.length - 1) % 2];
    return batch.map(([name, text]) => ({ name, blob: new Blob([text]) }));
  });
  return [asked, await Promise.all(files.map(async ({ name, blob }) => [name, await blob.text()]))];
}"""


def _many(count: int) -> Result:
    labels = ['a, "b"', "two\nlines", None, "=formula"]
    steps = np.add.outer(np.arange(60) // 20, np.arange(80) // 20)  # stairs, which are quick to outline
    runs = [rle.encode((steps == 2) | (np.arange(80) == n % 30)) for n in range(count)]
    return Result(
        80, 60, [ObjectResult(run, 0.5, 0.25, n, labels[n % 4]) for n, run in enumerate(runs)], name="a,b.jpg"
    )


def _half(whole: Result, start: int, end: int) -> Result:
    return replace(whole, objects=[replace(item, index=n) for n, item in enumerate(whole.objects[start:end])])


def _texts(result: Result, name: str, classes: list[str]) -> list[tuple[str, str]]:
    files = write_files(result, [name], Options(classes=tuple(classes)))
    return [(file.name, file.data.decode(errors="replace")) for file in files]


def test_batches_joined_are_what_one_request_would_have_given(functions: Page) -> None:
    whole, formats = _many(1003), ["csv", "yolo", "amg", "geojson", "sa1b"]
    halves = [_half(whole, 0, 502), _half(whole, 502, 1003)]
    classes = yolo_classes([whole])
    batches = {name: [_texts(half, name, classes) for half in halves] for name in formats}
    asked, joined = functions.evaluate(JOIN, [formats, 1003, batches])
    assert asked == [502, 501] * len(formats)
    expected = dict(pair for name in formats for pair in _texts(whole, name, classes))
    found = dict(joined)
    assert found.keys() == expected.keys() and len(joined) == len(found)
    for name, text in expected.items():
        if name.endswith("json"):
            assert json.loads(found[name]) == json.loads(text), name
        else:
            assert found[name] == text, name


def test_yolos_numbers_mean_the_same_in_all_photos_and_data_yaml_says_what(page: Page) -> None:
    labels = ["\U00010000 rare", "\uffff", "zebra", " \t", 'a "b"\\\n\u202e', None, "Bäume", "zebra"]
    script = """async ([labels, options]) => {
      const images = labels.map((label, n) => ({ ...image(String(n), `${n}.jpg`), objects: [{ label }] }));
      return plain(await exportAll(api, images, options));
    }"""
    files = unpacked(page.evaluate(script, [labels, {"formats": ["yolo"]}]))
    classes = yolo_classes([Result(1, 1, [ObjectResult(np.ones((1, 1), bool), label=label) for label in labels])])
    assert files["data.yaml"] == write_data_yaml(classes)
    sent = page.evaluate("() => requests.map(([, request]) => request.classes)")
    assert sent == [classes] * len(labels)
    page.evaluate(script, [labels, {"formats": ["png"]}])
    assert page.evaluate("() => requests.at(-1)[1].classes === undefined")
