"""Clicks are law over HTTP where it is asked for: at any scale, in any format, and never under the pointer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
from app_under_test import Running, as_png, error_of, running, upload

from clickmask import OpenImage, Segmenter
from clickmask.service import rle

SIZE = (2048, 128)
POINTS = [[1200, 40], [1230, 50], [1000, 80], [700, 100], [1700, 20]]
LABELS = [1, 0, 1, 0, 1]
PROMPT: dict[str, Any] = {"points": POINTS, "labels": LABELS}


@pytest.fixture(scope="module")
def wide(strip: np.ndarray) -> np.ndarray:
    """The strip at twice its size, so that scale model is a smaller one."""
    return cv2.resize(strip, SIZE, interpolation=cv2.INTER_CUBIC)


@pytest.fixture(scope="module")
def near(strip_segmenter: Segmenter, wide: np.ndarray) -> OpenImage:
    return strip_segmenter.open(wide)


@pytest.fixture(scope="module")
def service(strip_segmenter: Segmenter, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(strip_segmenter, tmp_path_factory.mktemp("state")) as service:
        yield service


@pytest.fixture(scope="module")
def client(service: Running) -> Iterator[httpx.Client]:
    with service.client() as client:
        yield client


@pytest.fixture(scope="module")
def path(service: Running, client: httpx.Client, wide: np.ndarray) -> str:
    path = f"/v1/images/{upload(client, as_png(wide))}/masks"
    service.app.state.service.store.pixels.clear()  # what enforces clicks must not need the photo
    return path


def _ask(client: httpx.Client, path: str, **wishes: Any) -> dict[str, Any]:
    answer = client.post(path, json={"objects": [PROMPT], **wishes})
    assert answer.status_code == 200, answer.text
    return answer.json()["objects"][0][0]


def _ignored(pixels: np.ndarray, step: int = 1) -> int:
    return sum(bool(pixels[y // step, x // step]) != bool(label) for (x, y), label in zip(POINTS, LABELS, strict=True))


def test_the_mask_is_that_of_the_segmenter_and_respects_every_click(
    client: httpx.Client, path: str, near: OpenImage
) -> None:
    own = near.refined("clicks").segment(points=POINTS, labels=LABELS)
    assert _ignored(near.segment(points=POINTS, labels=LABELS).pixels) and not _ignored(own.pixels)
    found = _ask(client, path, refine="clicks")
    assert found["rle"] == rle.encode(own.pixels) and found["area"] == own.area
    small = _ask(client, path, refine="clicks", scale="model")
    assert not _ignored(rle.decode(small["rle"]), step=2)


def test_where_it_is_not_asked_for_it_is_as_the_server_was_started(
    client: httpx.Client, path: str, near: OpenImage
) -> None:
    plain = rle.encode(near.segment(points=POINTS, labels=LABELS).pixels)
    auto, off, clicks = (_ask(client, path, refine=how) for how in ("auto", "off", "clicks"))
    assert auto["rle"] == off["rle"] == plain != clicks["rle"]
    assert len({auto["mask_id"], off["mask_id"], clicks["mask_id"]}) == 3
    for how in ("off", "clicks"):
        answer = client.post(path, json={"objects": [PROMPT], "refine": how}).json()
        assert answer["provenance"]["refine"] == how


def test_under_the_pointer_it_is_never_enforced(client: httpx.Client, path: str) -> None:
    plain = _ask(client, path, refine="off", scale="model")
    assert _ask(client, path, refine="clicks", scale="model", stream="s", seq=1)["rle"] == plain["rle"]


def test_contradictions_are_refused_by_name(client: httpx.Client, path: str) -> None:
    prompt = {"points": [[9.1, 9.2], [9.7, 9.9]], "labels": [1, 0]}
    answer = client.post(path, json={"objects": [prompt], "refine": "clicks"})
    assert "points[1]" in error_of(answer, 422, "bad_prompt")["message"]
    assert client.post(path, json={"objects": [prompt], "refine": "off"}).status_code == 200


def test_a_server_may_be_started_so(cache_folder: Any, tmp_path: Any, wide: np.ndarray, near: OpenImage) -> None:
    own = Segmenter(device="cpu", precision="float32", fit="rectangle", refine="clicks", cache_dir=cache_folder)
    with running(own, tmp_path) as service, service.client() as client:
        path = f"/v1/images/{upload(client, as_png(wide))}/masks"
        expected = near.refined("clicks").segment(points=POINTS, labels=LABELS)
        answer = client.post(path, json={"objects": [PROMPT]}).json()
        assert answer["objects"][0][0]["rle"] == rle.encode(expected.pixels)
        assert answer["provenance"]["refine"] == "clicks"
