"""Finished objects as files, and everything in one call."""

from __future__ import annotations

import base64
import io
import json
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
from app_under_test import Running, as_png, error_of, pixels_of, running, upload

from clickmask import OpenImage, Segmenter
from clickmask.service import rle
from clickmask.service.formats.schema import from_document
from clickmask.service.http.settings import Limits

A, B = [600, 20], [500, 40]
PROMPT = {"points": [A, B], "labels": [1, 0], "box": [300, 0, 1000, 64]}


@pytest.fixture(scope="module")
def service(strip_segmenter: Segmenter, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(strip_segmenter, tmp_path_factory.mktemp("state"), limits=Limits(queue_bytes=66 << 20)) as service:
        yield service


@pytest.fixture(scope="module")
def client(service: Running) -> Iterator[httpx.Client]:
    with service.client() as client:
        yield client


@pytest.fixture(scope="module")
def near(strip_segmenter: Segmenter, strip: np.ndarray) -> OpenImage:
    return strip_segmenter.open(strip)


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


def test_one_format_is_its_file(client: httpx.Client, path: str, objects: Any, strip: np.ndarray) -> None:
    kinds = {"png": "image/png", "cutout": "image/png", "overlay": "image/jpeg", "json": "application/json"}
    for name, kind in kinds.items():
        answer = _export(client, path, objects, name)
        assert answer.status_code == 200 and answer.headers["content-type"] == kind, answer.text
        assert answer.headers["content-disposition"].startswith("attachment; filename=")
        _check(name, answer.content, objects, strip)


def test_several_formats_are_a_zip_of_their_files(
    client: httpx.Client, path: str, objects: Any, strip: np.ndarray
) -> None:
    answer = _export(client, path, objects, "json", "png", "overlay", "cutout", "png")
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-disposition"] == 'attachment; filename="export.zip"'
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        files = {name: archive.read(name) for name in archive.namelist()}
    assert list(files) == ["objects.json", "mask.png", "overlay.jpg", "cutout.png"]
    for name, data in zip(("json", "png", "overlay", "cutout"), files.values(), strict=True):
        _check(name, data, objects, strip)
    assert _export(client, path, objects, "json", "png", "overlay", "cutout").content == answer.content


def _check(name: str, data: bytes, objects: list[dict[str, Any]], photo: np.ndarray) -> None:
    """That a file, read by another library, shows the objects."""
    union = _union(objects)
    if name == "json":
        result = from_document(json.loads(data))
        assert [item.label for item in result.objects] == ["a fig", "bowl \u2603"]
        assert [item.prompt and item.prompt["points"] for item in result.objects] == [[A, B], [B]]
        for item, sent in zip(result.objects, objects, strict=True):
            assert np.array_equal(item.mask, rle.decode(sent["rle"]))
            assert (item.score, item.stability) == (sent["score"], sent["stability"])
    elif name == "png":
        assert np.array_equal(pixels_of(data), union * np.uint8(255))
    elif name == "cutout":
        left, top, width, height = cv2.boundingRect(union.astype(np.uint8))
        area = np.s_[top : top + height, left : left + width]
        assert np.array_equal(pixels_of(data), np.dstack((photo[area], union[area] * np.uint8(255))))
    else:
        change = np.abs(pixels_of(data).astype(int) - photo).sum(axis=2)
        assert change.shape == (64, 1024) and change[union].mean() > 4 * change[~union].mean()


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


def test_more_masks_than_fit_into_memory_are_refused(client: httpx.Client) -> None:
    large = np.zeros((1500, 1500, 3), np.uint8)
    key = upload(client, as_png(large))
    empty = {"rle": {"size": [1500, 1500], "counts": [1500 * 1500]}}
    assert _export(client, f"/v1/images/{key}", [empty] * 10, "json").status_code == 200
    assert error_of(_export(client, f"/v1/images/{key}", [empty] * 31, "json"), 422, "too_many")["field"] == "objects"
    client.delete(f"/v1/images/{key}")


def test_who_leaves_a_long_job_does_not_start_another_thread(client: httpx.Client) -> None:
    pixels = np.zeros((1500, 1500, 3), np.uint8)
    key = upload(client, as_png(pixels))
    noise = rle.encode(np.random.default_rng(1).random((1500, 1500)) < 0.5)
    body = {"objects": [{"rle": noise}] * 8, "formats": ["json", "png", "cutout", "overlay"]}
    seen = 0
    for _ in range(8):
        error_of(client.post(f"/v1/images/{key}/export", json=body, headers={"X-Request-Timeout": "0.15"}), 504)
        seen = max(seen, sum(thread.name == "clickmask-once" for thread in threading.enumerate()))
    assert 1 <= seen <= 2
    client.delete(f"/v1/images/{key}")


def _segment(client: httpx.Client, data: bytes, prompts: Any, accept: str = "*/*") -> httpx.Response:
    parts = {"file": ("photo", data), "prompts": (None, json.dumps(prompts))}
    return client.post("/v1/segment", files=parts, headers={"Accept": accept})


def test_an_image_and_its_prompts_are_answered_in_one_call(
    client: httpx.Client, strip: np.ndarray, near: OpenImage, path: str
) -> None:
    data = as_png(strip)
    answer = _segment(client, data, {"objects": [PROMPT, {"points": [B]}], "limit": 1})
    assert answer.status_code == 200 and path.endswith(answer.json()["id"])
    first, second = (rle.decode(found["rle"]) for (found,) in answer.json()["objects"])
    assert np.array_equal(first, near.segment(**PROMPT).pixels)  # pyright: ignore[reportArgumentType]
    assert np.array_equal(second, near.segment(points=[(500, 40)]).pixels)


@pytest.mark.parametrize("wish", [{}, {"format": "rle"}, {"format": "polygons", "multimask": True, "limit": 3}])
def test_who_accepts_a_picture_gets_the_mask_itself(
    client: httpx.Client, strip: np.ndarray, near: OpenImage, wish: dict[str, Any]
) -> None:
    answer = _segment(client, as_png(strip), {"objects": [{"points": [A]}], **wish}, "image/png")
    assert answer.status_code == 200 and answer.headers["content-type"] == "image/png"
    assert np.array_equal(pixels_of(answer.content), near.segment(points=[(600, 20)]).pixels * np.uint8(255))


def test_who_accepts_a_picture_may_have_the_cutout(client: httpx.Client, strip: np.ndarray, near: OpenImage) -> None:
    answer = _segment(client, as_png(strip), {"objects": [PROMPT], "format": "cutout"}, "image/png")
    mask = near.segment(**PROMPT)  # pyright: ignore[reportArgumentType]
    assert mask.box is not None
    x0, y0, x1, y1 = mask.box
    assert np.array_equal(pixels_of(answer.content)[..., 3], mask.pixels[y0:y1, x0:x1] * np.uint8(255))


def test_one_picture_cannot_show_two_objects(client: httpx.Client, strip: np.ndarray) -> None:
    answer = _segment(client, as_png(strip), {"objects": [PROMPT, PROMPT]}, "image/png")
    assert error_of(answer, 422, "bad_request")["field"] == "objects"


def test_an_empty_mask_has_no_cutout_but_is_no_error(client: httpx.Client, path: str, strip: np.ndarray) -> None:
    nothing = base64.b64encode(np.full((256, 256), -30, "<f2").tobytes()).decode()
    far = {"points": [[1, 1]], "labels": [0], "previous": {"logits": nothing}}
    answer = client.post(f"{path}/masks", json={"objects": [far], "format": "cutout"}).json()["objects"][0][0]
    assert (answer["area"] == 0) == (answer["cutout"] is None) == (answer["box"] is None)
    shown = _segment(client, as_png(strip), {"objects": [far], "format": "cutout"}, "image/png")
    assert shown.status_code == (422 if answer["cutout"] is None else 200)


@pytest.mark.parametrize(
    ("parts", "status", "field"),
    [
        ({"prompts": (None, "{}")}, 422, "file"),
        ({"file": ("a", b"x")}, 422, "prompts"),
        ({"file": (None, "text"), "prompts": (None, "{}")}, 422, "file"),
        ({"file": ("a", b"x"), "prompts": ("b", b"{}")}, 400, None),
        ({"file": ("a", b"x"), "prompts": (None, "{")}, 400, None),
        ({"file": ("a", b"x"), "prompts": (None, "{}")}, 422, "objects"),
        ({"file": ("a", b"x"), "prompts": (None, '{"objects": [{"points": [[1, 2]]}]}')}, 415, None),
    ],
)
def test_a_call_that_lacks_a_part_is_refused_by_name(
    client: httpx.Client, parts: Any, status: int, field: str | None
) -> None:
    assert error_of(client.post("/v1/segment", files=parts), status).get("field") == field


def test_nothing_touches_the_disk(
    client: httpx.Client, strip: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "there is no such folder"))
    large = as_png(np.random.default_rng(2).integers(0, 256, (700, 1000, 3), dtype=np.uint8))
    assert len(large) > 1 << 20  # a usual form parser would put it into a file by now
    answer = client.post("/v1/images", files={"file": ("a", large)})
    assert answer.status_code == 201, answer.text
    client.delete(f"/v1/images/{answer.json()['id']}")
