"""Over HTTP, clicks are law at any scale and never under the pointer, and edges the photo's where its pixels count."""

from __future__ import annotations

import base64
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
    return f"/v1/images/{upload(client, as_png(wide))}/masks"


def _ask(client: httpx.Client, path: str, **wishes: Any) -> dict[str, Any]:
    answer = client.post(path, json={"objects": [PROMPT], **wishes})
    assert answer.status_code == 200, answer.text
    return answer.json()["objects"][0][0]


def _ignored(pixels: np.ndarray, step: int = 1) -> int:
    return sum(bool(pixels[y // step, x // step]) != bool(label) for (x, y), label in zip(POINTS, LABELS, strict=True))


def test_the_mask_is_that_of_the_segmenter_and_respects_every_click(
    service: Running, client: httpx.Client, path: str, near: OpenImage
) -> None:
    service.app.state.service.store.pixels.clear()  # what enforces clicks does not need the photo
    own = near.refined("clicks").segment(points=POINTS, labels=LABELS)
    assert _ignored(near.segment(points=POINTS, labels=LABELS).pixels) and not _ignored(own.pixels)
    found = _ask(client, path, refine="clicks")
    assert found["rle"] == rle.encode(own.pixels) and found["area"] == own.area
    small = _ask(client, path, refine="clicks", scale="model")
    assert not _ignored(rle.decode(small["rle"]), step=2)


def test_edges_are_those_of_the_segmenter_whether_the_photo_is_at_hand_or_decoded_again(
    service: Running, client: httpx.Client, path: str, near: OpenImage
) -> None:
    own = near.refined("edges").segment(points=POINTS, labels=LABELS)
    assert not _ignored(own.pixels) and rle.encode(own.pixels) != _ask(client, path, refine="clicks")["rle"]
    for at_hand in (True, False):
        if not at_hand:
            service.app.state.service.store.pixels.clear()
        found = _ask(client, path, refine="edges")
        assert found["rle"] == rle.encode(own.pixels) and found["area"] == own.area
    cut = _ask(client, path, refine="edges", scale="model", format="cutout")["cutout"]
    assert np.array_equal(_decoded(cut)[..., 3] > 0, own.cutout()[..., 3] > 0)


def test_edges_at_a_smaller_scale_are_refused_by_name(client: httpx.Client, path: str) -> None:
    answer = client.post(path, json={"objects": [PROMPT], "refine": "edges", "scale": "model"})
    assert error_of(answer, 422, "bad_request")["field"] == "refine"


def _decoded(text: str) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(base64.b64decode(text), np.uint8), cv2.IMREAD_UNCHANGED)


def test_where_it_is_not_asked_for_it_is_as_the_server_was_started(
    client: httpx.Client, path: str, near: OpenImage
) -> None:
    plain = rle.encode(near.segment(points=POINTS, labels=LABELS).pixels)
    auto, off, clicks = (_ask(client, path, refine=how) for how in ("auto", "off", "clicks"))
    assert auto["rle"] == off["rle"] == plain != clicks["rle"]
    assert auto["mask_id"] == off["mask_id"] != clicks["mask_id"], "the server was started with off"
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


@pytest.mark.parametrize(("start", "full"), [("clicks", "clicks"), ("auto", "edges")])
def test_a_server_started_so_enforces_clicks_and_by_default_lays_edges_where_the_photos_pixels_are_wanted(
    cache_folder: Any, tmp_path: Any, wide: np.ndarray, near: OpenImage, start: str, full: str
) -> None:
    own = Segmenter(device="cpu", precision="float32", fit="rectangle", refine=start, cache_dir=cache_folder)
    with running(own, tmp_path) as service, service.client() as client:
        path = f"/v1/images/{upload(client, as_png(wide))}/masks"
        expected = near.refined(full).segment(points=POINTS, labels=LABELS)
        answer = client.post(path, json={"objects": [PROMPT]}).json()
        assert answer["objects"][0][0]["rle"] == rle.encode(expected.pixels)
        assert answer["provenance"]["refine"] == full
        small = [_ask(client, path, scale="model", refine=how) for how in ("auto", "clicks")]
        assert small[0]["rle"] == small[1]["rle"] and not _ignored(rle.decode(small[0]["rle"]), step=2)


def test_at_scale_model_the_rasters_own_pixels_respect_the_clicks(client: httpx.Client, path: str) -> None:
    """Their middles lie elsewhere than the image's pixels: near a steep edge the one says yes and the other no."""
    draw, told = np.random.default_rng(12), 0
    for _ in range(25):
        x, y = draw.integers((40, 20), (SIZE[0] - 40, SIZE[1] - 20)).tolist()
        points = [[x, y], [x + int(draw.integers(3, 9)), y + int(draw.integers(0, 5))]]
        answer = client.post(
            path, json={"objects": [{"points": points, "labels": [1, 0]}], "refine": "clicks", "scale": "model"}
        ).json()
        raster = rle.decode(answer["objects"][0][0]["rle"])
        (near, other) = ((y // 2, x // 2) for x, y in points)
        if near != other:
            told += 1
            assert raster[near] and not raster[other], points
    assert told > 20


def test_contradictions_name_the_object(client: httpx.Client, path: str) -> None:
    objects = [{"points": [[9, 9]]}, {"points": [[9.1, 9.2], [9.7, 9.9]], "labels": [1, 0]}]
    error = error_of(client.post(path, json={"objects": objects, "refine": "clicks"}), 422, "bad_prompt")
    assert error["field"] == "objects[1].points[1]"
