"""An image and its prompts in, masks out: everything in one call."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from app_under_test import Running, as_png, error_of, pixels_of, running, upload

from clickmask import OpenImage, Segmenter
from clickmask.service import rle

A, B = [600, 20], [500, 40]
PROMPT = {"points": [A, B], "labels": [1, 0], "box": [300, 0, 1000, 64]}


@pytest.fixture(scope="module")
def service(strip_segmenter: Segmenter, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(strip_segmenter, tmp_path_factory.mktemp("state")) as service:
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
