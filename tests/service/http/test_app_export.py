"""Finished objects as files."""

from __future__ import annotations

import csv
import io
import json
import threading
import zipfile
from collections.abc import Callable, Iterator
from email.message import Message
from typing import Any
from urllib.parse import unquote

import cv2
import httpx
import numpy as np
import pytest
from app_under_test import Running, as_png, error_of, pixels_of, running, upload

from clickmask import Segmenter
from clickmask.service import rle
from clickmask.service.formats import FORMATS
from clickmask.service.formats.reading import Known, read_result
from clickmask.service.formats.reading_coco import read_coco
from clickmask.service.formats.reading_labelme import read_labelme
from clickmask.service.formats.result import Result
from clickmask.service.formats.schema import from_document
from clickmask.service.http.settings import Limits

A, B = [600, 20], [500, 40]
PROMPT = {"points": [A, B], "labels": [1, 0], "box": [300, 0, 1000, 64]}


@pytest.fixture(scope="module")
def service(strip_segmenter: Segmenter, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(strip_segmenter, tmp_path_factory.mktemp("state"), limits=Limits(queue_bytes=400 << 20)) as service:
        yield service


@pytest.fixture(scope="module")
def client(service: Running) -> Iterator[httpx.Client]:
    with service.client() as client:
        yield client


@pytest.fixture(scope="module")
def path(client: httpx.Client, strip: np.ndarray) -> str:
    return f"/v1/images/{upload(client, as_png(strip))}"


@pytest.fixture(scope="module")
def objects(client: httpx.Client, path: str) -> list[dict[str, Any]]:
    """Two objects as a page would send them back."""
    prompts = [PROMPT, {"points": [B]}]
    answer = client.post(f"{path}/masks", json={"objects": prompts, "limit": 1}).json()["objects"]
    return [
        {
            "rle": found["rle"],
            "score": found["score"],
            "stability": found["stability"],
            "label": label,
            "prompt": prompt,
        }
        for (found,), prompt, label in zip(answer, prompts, ("a fig", "bowl \u2603"), strict=True)
    ]


def _export(client: httpx.Client, path: str, objects: Any, *formats: str, **wishes: Any) -> httpx.Response:
    return client.post(f"{path}/export", json={"objects": objects, "formats": formats, **wishes})


def _union(objects: list[dict[str, Any]]) -> np.ndarray:
    return np.logical_or.reduce([rle.decode(item["rle"]) for item in objects])


KINDS = {"png": "image/png", "cutout": "image/png", "overlay": "image/jpeg"} | dict.fromkeys(
    ("json", "coco", "labelme", "sa1b"), "application/json"
)
KINDS |= {"yolo": "text/plain; charset=utf-8", "labelmap": "image/png", "geojson": "application/geo+json"}
KINDS |= {"csv": "text/csv; charset=utf-8"}


@pytest.mark.parametrize("name", KINDS)
def test_one_object_in_one_format_is_its_file(
    client: httpx.Client, path: str, objects: Any, strip: np.ndarray, name: str
) -> None:
    answer = _export(client, path, objects[:1], name)
    assert answer.status_code == 200 and answer.headers["content-type"] == KINDS[name], answer.text
    assert answer.headers["content-disposition"].startswith("attachment; filename=")
    _check(name, [answer.content], objects[:1], strip)


def _files(answer: httpx.Response) -> dict[str, bytes]:
    assert answer.headers["content-type"] == "application/zip", answer.text
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def test_several_files_are_a_zip(client: httpx.Client, path: str, objects: Any, strip: np.ndarray) -> None:
    answer = _export(client, path, objects, "json", "png", "overlay", "cutout", "png")
    assert answer.headers["content-disposition"] == 'attachment; filename="export.zip"'
    files = _files(answer)
    names = {
        "json": ["objects.json"],
        "png": ["mask_1.png", "mask_2.png"],
        "overlay": ["overlay.jpg"],
        "cutout": ["cutout_1.png", "cutout_2.png"],
    }
    assert list(files) == [file for several in names.values() for file in several]
    for name, several in names.items():
        _check(name, [files[file] for file in several], objects, strip)
    assert _export(client, path, objects, "json", "png", "overlay", "cutout").content == answer.content


def test_documents_of_several_objects_are_one_file(
    client: httpx.Client, path: str, objects: Any, strip: np.ndarray
) -> None:
    for name in ("json", "overlay", "coco", "labelme", "sa1b", "geojson"):
        answer = _export(client, path, objects, name)
        assert answer.headers["content-type"] == KINDS[name]
        _check(name, [answer.content], objects, strip)


def _check(name: str, files: list[bytes], objects: list[dict[str, Any]], photo: np.ndarray) -> None:
    """That the files of a format, read by other libraries, show the objects."""
    masks = [rle.decode(item["rle"]) for item in objects]
    if name == "overlay":
        change, union = np.abs(pixels_of(files[0]).astype(int) - photo).sum(axis=2), _union(objects)
        assert change.shape == (64, 1024) and change[union].mean() > 4 * change[~union].mean()
    elif name in ("yolo", "csv", "labelmap"):
        _check_table(name, files[0], objects, masks)
    elif name in _DOCUMENTS:
        result = _DOCUMENTS[name](files[0])
        assert [item.label for item in result.objects] == [item["label"] for item in objects]
        for item, sent, mask in zip(result.objects, objects, masks, strict=True):
            assert np.array_equal(item.mask, mask)
            assert (item.score, item.stability) == (sent["score"], sent["stability"])
            assert name != "json" or (item.prompt and item.prompt["points"] == sent["prompt"]["points"])
    else:
        for data, mask in zip(files, masks, strict=True):
            left, top, width, height = cv2.boundingRect(mask.astype(np.uint8))
            area = np.s_[top : top + height, left : left + width]
            cut = np.dstack((photo[area], mask[area] * np.uint8(255)))
            assert np.array_equal(pixels_of(data), cut if name == "cutout" else mask * np.uint8(255))


def _check_table(name: str, data: bytes, objects: list[dict[str, Any]], masks: list[np.ndarray]) -> None:
    if name == "csv":
        rows = list(csv.DictReader(io.StringIO(data.decode(), newline="")))
        assert [(row["label"], int(row["area"])) for row in rows] == [
            (item["label"], mask.sum()) for item, mask in zip(objects, masks, strict=True)
        ]
        return
    back = read_result(data, Known(f"a{FORMATS[name].extension}", (1024, 64)))
    for item, mask in zip(back.objects, masks, strict=True):
        assert np.array_equal(item.mask, mask)


_DOCUMENTS: dict[str, Callable[[bytes], Result]] = {
    "json": lambda data: from_document(json.loads(data)),
    "coco": lambda data: read_coco(data, file="coco"),
    "labelme": lambda data: read_labelme(data, file="labelme"),
    "sa1b": lambda data: read_result(data, Known("a.json"), "sa1b"),
    "geojson": lambda data: read_result(data, Known("a.geojson")),
}


def test_a_folder_of_amg_s_is_within_the_zip(client: httpx.Client, path: str, objects: Any) -> None:
    answer = _export(client, path, objects, "amg", "csv", name="bowl.jpg")
    assert answer.headers["content-disposition"] == 'attachment; filename="bowl.zip"'
    files = _files(answer)
    assert list(files) == ["bowl/0.png", "bowl/1.png", "bowl/metadata.csv", "bowl_measurements.csv"]
    for number, item in enumerate(objects):
        assert np.array_equal(pixels_of(files[f"bowl/{number}.png"]), rle.decode(item["rle"]) * np.uint8(255))


def test_yolo_s_numbers_are_those_of_the_classes_given(client: httpx.Client, path: str, objects: Any) -> None:
    classes = ["x", objects[1]["label"], objects[0]["label"]]
    lines = _export(client, path, objects, "yolo", classes=classes).text.splitlines()
    assert [line.split()[0] for line in lines] == ["2", "1"]
    assert [line.split()[0] for line in _export(client, path, objects, "yolo").text.splitlines()] == ["0", "1"]
    refused = _export(client, path, objects, "yolo", classes=["x"])
    assert refused.status_code == 422 and "not among the 1 classes" in refused.text


def test_the_image_s_name_is_in_the_documents_and_names_the_files(
    client: httpx.Client, path: str, objects: Any
) -> None:
    kinds = ("png", "cutout", "overlay", "json", "coco", "labelme")
    answer = _export(client, path, objects, *kinds, name="Zwei Hunde.jpeg")
    assert answer.headers["content-disposition"] == 'attachment; filename="Zwei Hunde.zip"'
    files = _files(answer)
    assert list(files) == [
        *(f"Zwei Hunde_{word}.png" for word in ("mask_1", "mask_2", "cutout_1", "cutout_2")),
        "Zwei Hunde_overlay.jpg",
        *(f"Zwei Hunde{word}.json" for word in ("_objects", "_coco", "")),
    ]
    coco, labelme = (json.loads(files[f"Zwei Hunde{word}.json"]) for word in ("_coco", ""))
    assert coco["images"][0]["file_name"] == labelme["imagePath"] == "Zwei Hunde.jpeg"
    assert json.loads(files["Zwei Hunde_objects.json"])["image"]["name"] == "Zwei Hunde.jpeg"
    assert coco["info"]["provenance"] == json.loads(files["Zwei Hunde_objects.json"])["provenance"] != {}


@pytest.mark.parametrize("name", ['犬 "é" 100%.jpg', "a;b.jpg", "\U0001f469\u200d\U0001f52c.png"])
def test_names_of_any_script_arrive_in_the_header(client: httpx.Client, path: str, objects: Any, name: str) -> None:
    said = _export(client, path, objects[:1], "png", name=name).headers["content-disposition"]
    plain, _, encoded = said.partition("; filename*=UTF-8''")
    expected = name.rpartition(".")[0] + "_mask.png"
    assert said.isascii() and (unquote(encoded) == expected) == (not expected.isascii())
    message = Message()
    message["content-disposition"] = plain
    saved = message.get_filename() or ""
    assert saved.endswith("_mask.png") and len(saved) == len(expected)


def test_coco_and_labelme_say_outlines_or_pixels_as_is_wished(client: httpx.Client, path: str, objects: Any) -> None:
    kinds: dict[object, set[str]] = {}
    for wish in (None, True, False):
        files = _files(_export(client, path, objects, "coco", "labelme", polygons=wish)).values()
        coco, labelme = (json.loads(data) for data in files)
        kinds[wish] = {type(row["segmentation"]).__name__ for row in coco["annotations"]}
        kinds[wish] |= {shape["shape_type"] for shape in labelme["shapes"]}
        for data, name in zip(files, ("coco", "labelme"), strict=True):
            _check(name, [data], objects, np.empty(0))
    assert kinds == {None: {"dict", "polygon"}, True: {"list", "polygon"}, False: {"dict", "mask"}}
    exact, simple = (
        _export(client, path, objects, "coco", polygons=True, tolerance=tolerance).content for tolerance in (0, 2)
    )
    assert len(simple) < len(exact) / 2


def test_a_cutout_has_room_and_a_soft_edge_when_asked(client: httpx.Client, path: str, objects: Any) -> None:
    plain, padded, soft = (
        pixels_of(_export(client, path, objects[:1], "cutout", **wish).content)
        for wish in ({}, {"pad": 8}, {"feather": 5})
    )
    assert padded.shape[1] > plain.shape[1] and soft.shape == plain.shape
    assert len(np.unique(soft[..., 3])) > len(np.unique(plain[..., 3]))
    assert _export(client, path, objects[:1], "cutout", "png", pad=8).status_code == 200  # png does not mind


RLE, HUGE = {"size": [64, 1024], "counts": [100, 5, 65431]}, 10**400
WRONG: list[tuple[Any, str]] = [
    ({"objects": [{"rle": RLE}], "formats": ["svg"]}, "formats[0]"),
    ({"objects": [{"rle": RLE}], "formats": ["png", "../x"]}, "formats[1]"),
    ({"objects": [{"rle": RLE}], "formats": []}, "formats"),
    ({"objects": [], "formats": ["png"]}, "objects"),
    ({"objects": [{"rle": RLE}] * 1001, "formats": ["png"]}, "objects"),
    ({"objects": [{"rle": RLE}, {"rle": {"size": [64, 1], "counts": [64]}}], "formats": ["png"]}, "objects[1].rle"),
    ({"objects": [{"rle": {"size": [64, 1024], "counts": [9]}}], "formats": ["png"]}, "objects[0].rle"),
    ({"objects": [{"rle": {"size": [64, 1024], "counts": [2**70]}}], "formats": ["png"]}, "objects[0].rle"),
    ({"objects": [{"rle": {}}], "formats": ["png"]}, "objects[0].rle.size"),
    ({"objects": [{"rle": {"size": [64, 1024], "counts": [65536]}}], "formats": ["cutout"]}, "objects"),
    ({"objects": [{"rle": RLE, "label": "a" * 201}], "formats": ["json"]}, "objects[0].label"),
    ({"objects": [{"rle": RLE, "prompt": {"box": [0, 0, 9, HUGE]}}], "formats": ["png"]}, "objects[0].prompt.box[3]"),
    ({"objects": [{"rle": RLE, "prompt": {"labels": [7]}}], "formats": ["json"]}, "objects[0].prompt.labels[0]"),
    ({"objects": [{"rle": RLE, "prompt": {"box": [1, 2]}}], "formats": ["json"]}, "objects[0].prompt.box[2]"),
    ({"objects": [{"rle": RLE, "prompt": {"polygon": 1}}], "formats": ["json"]}, "objects[0].prompt.polygon"),
    ({"objects": [{"rle": RLE}], "formats": ["cutout"], "pad": 10**6}, "pad"),
    ({"objects": [{"rle": RLE}], "formats": ["coco"], "name": ""}, "name"),
    ({"objects": [{"rle": RLE}], "formats": ["coco"], "name": ".."}, "name"),
    ({"objects": [{"rle": RLE}], "formats": ["coco"], "name": "../a.jpg"}, "name"),
    ({"objects": [{"rle": RLE}], "formats": ["coco"], "name": "a\\b.jpg"}, "name"),
    ({"objects": [{"rle": RLE}], "formats": ["coco"], "name": "a\nb.jpg"}, "name"),
    ({"objects": [{"rle": RLE}], "formats": ["coco"], "name": "é" * 128}, "name"),
    ({"objects": [{"rle": RLE}], "formats": ["coco"], "polygons": "rle"}, "polygons"),
    ({"objects": [{"rle": RLE}], "formats": ["coco"], "tolerance": -1}, "tolerance"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "field"), WRONG, ids=[f"{n} {field}" for n, (_, field) in enumerate(WRONG)])
def test_what_cannot_be_written_is_refused_by_the_name_of_its_field(
    client: httpx.Client, path: str, body: Any, field: str
) -> None:
    assert error_of(client.post(f"{path}/export", json=body), 422)["field"] == field


@pytest.mark.parametrize("number", ["1e999", "NaN", "Infinity"])
@pytest.mark.parametrize("field", ["points", "labels", "box"])
def test_numbers_that_are_none_are_refused(client: httpx.Client, path: str, field: str, number: str) -> None:
    values = {"points": f"[[{number}, 1]]", "labels": f"[{number}]", "box": f"[{number}, 1, 2, 3]"}
    prompt = f'{{"{field}": {values[field]}}}'
    body = f'{{"objects": [{{"rle": {json.dumps(RLE)}, "prompt": {prompt}}}], "formats": ["json"]}}'
    assert error_of(client.post(f"{path}/export", content=body), 422)["field"].startswith(f"objects[0].prompt.{field}")


def test_files_that_do_not_fit_into_memory_are_refused(client: httpx.Client) -> None:
    key = upload(client, as_png(np.zeros((1500, 1500, 3), np.uint8)))
    path, full = f"/v1/images/{key}", {"rle": {"size": [1500, 1500], "counts": [0, 1500 * 1500]}}
    assert _export(client, path, [full] * 250, "json", "coco").status_code == 200  # as pixels 560 MB
    assert _export(client, path, [full], "cutout").status_code == 200
    assert error_of(_export(client, path, [full] * 25, "cutout"), 422, "too_many")["field"] == "objects"
    stripes = {"rle": {"size": [1500, 1500], "counts": [1] * 150_000 + [1500 * 1500 - 150_000]}}
    assert error_of(_export(client, path, [stripes], "labelme"), 422, "too_many")["field"] == "objects"
    client.delete(path)


def test_who_leaves_a_long_job_does_not_start_another_thread(client: httpx.Client) -> None:
    pixels = np.zeros((1500, 1500, 3), np.uint8)
    key = upload(client, as_png(pixels))
    noise = rle.encode(np.random.default_rng(1).random((1500, 1500)) < 0.5)
    body = {"objects": [{"rle": noise}] * 4, "formats": ["json", "png", "cutout", "overlay"]}
    seen = 0
    for _ in range(8):
        error_of(client.post(f"/v1/images/{key}/export", json=body, headers={"X-Request-Timeout": "0.25"}), 504)
        seen = max(seen, sum(thread.name == "clickmask-once" for thread in threading.enumerate()))
    assert 1 <= seen <= 2
    client.delete(f"/v1/images/{key}")
