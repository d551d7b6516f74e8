"""Images over HTTP: left, looked at, forgotten; and how files become pixels."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np
import pytest
from app_under_test import Running, as_png, error_of, marked, running, upload
from decoders import decoders
from mutations import seeds
from PIL import Image
from serving import wait_until

from clickmask import Segmenter

POINT = {"points": [[600, 20]]}


@pytest.fixture(scope="module")
def service(strip_segmenter: Segmenter, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(strip_segmenter, tmp_path_factory.mktemp("state")) as service:
        yield service


@pytest.fixture
def client(service: Running) -> Iterator[httpx.Client]:
    with service.client() as client:
        yield client
        client.delete("/v1/images")


def _events(client: httpx.Client, key: str) -> Iterator[tuple[str, Any]]:
    """The events about an image, one by one, until their end."""
    with client.stream("GET", f"/v1/images/{key}", headers={"Accept": "text/event-stream"}) as answer:
        assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["x-accel-buffering"] == "no" and answer.headers["cache-control"] == "no-store"
        name = ""
        for line in answer.iter_lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                yield name, json.loads(line.removeprefix("data: "))


def _masks(client: httpx.Client, data: bytes) -> Any:
    """What is found at POINT, without what differs from file to file; and the image's size."""
    image = client.post("/v1/images", content=data)
    assert image.status_code == 201, image.text
    answer = client.post(f"/v1/images/{image.json()['id']}/masks", json={"objects": [POINT]})
    assert answer.status_code == 200, answer.text
    found = [{**mask, "mask_id": None} for mask in answer.json()["objects"][0]]
    return (image.json()["width"], image.json()["height"]), found


def test_an_image_is_made_once_and_known_by_its_bytes(client: httpx.Client, strip: np.ndarray) -> None:
    data = as_png(strip)
    first = client.post("/v1/images", content=data)
    made = first.json()
    assert first.status_code == 201
    assert (made["width"], made["height"], made["model"]) == (1024, 64, "vit_t")
    assert made["state"] in ("encoding", "ready") and "parent" not in made and "box" not in made
    assert made["provenance"]["model"] == "vit_t" and "hover_ms" in made
    again = client.post("/v1/images?model=vit_t", content=data, headers={"Content-Type": "image/jpeg"})
    form = client.post("/v1/images", files={"file": ("another.gif", data, "image/gif")})
    assert (again.status_code, form.status_code) == (200, 200)
    assert again.json()["id"] == form.json()["id"] == made["id"]
    shown = client.get(f"/v1/images/{made['id']}")
    assert shown.status_code == 200 and shown.json()["id"] == made["id"]
    assert upload(client, marked(strip, 1)) != made["id"]


def test_an_image_that_was_fetched_ahead_is_an_image(client: httpx.Client, strip: np.ndarray) -> None:
    answer = client.post("/v1/images?prefetch=true", content=marked(strip, 2))
    assert answer.status_code == 201
    masks = client.post(f"/v1/images/{answer.json()['id']}/masks", json={"objects": [POINT]})
    assert masks.status_code == 200


def test_a_forgotten_image_is_gone_and_an_unknown_one_is_not_there(client: httpx.Client, strip: np.ndarray) -> None:
    data = marked(strip, 3)
    key = upload(client, data)
    assert client.delete(f"/v1/images/{key}").status_code == 204
    calls: list[tuple[str, str, Any]] = [
        ("GET", "", None),
        ("DELETE", "", None),
        ("POST", "/masks", {"objects": [POINT]}),
        ("POST", "/windows", {"box": [0, 0, 9, 9]}),
        ("POST", "/export", {"objects": [{"rle": {"size": [64, 1024], "counts": [65536]}}], "formats": ["json"]}),
    ]
    for method, path, body in calls:
        error_of(client.request(method, f"/v1/images/{key}{path}", json=body), 410, "image_gone")
        for unknown in (key[:-1] + "zy"[key[-1] == "z"], "img_", "x", key + "a", key.upper()):
            error_of(client.request(method, f"/v1/images/{unknown}{path}", json=body), 404, "not_found")
    assert client.post("/v1/images", content=data).status_code == 201
    assert client.get(f"/v1/images/{key}").status_code == 200


def test_all_of_a_callers_are_forgotten_at_once(client: httpx.Client, strip: np.ndarray) -> None:
    keys = [upload(client, marked(strip, number)) for number in (4, 5)]
    assert client.delete("/v1/images").status_code == 204
    assert [client.get(f"/v1/images/{key}").status_code for key in keys] == [410, 410]
    assert client.delete("/v1/images").status_code == 204


def test_events_tell_when_an_image_is_ready(client: httpx.Client, strip: np.ndarray) -> None:
    key = upload(client, marked(strip, 6))
    events = list(_events(client, key))
    assert {name for name, _ in events} == {"state"} and {event["id"] for _, event in events} == {key}
    assert len(events) <= 2 and events[-1][1]["state"] == "ready"
    assert [event["state"] for _, event in _events(client, key)] == ["ready"]


def test_events_tell_when_an_image_is_gone(client: httpx.Client, strip: np.ndarray) -> None:
    for number in range(4):  # which take a while, so that the next one has to wait its turn
        upload(client, as_png(np.full((1024, 1024, 3), number, np.uint8)))
    key = upload(client, marked(strip, 7))
    events = _events(client, key)
    assert next(events)[1]["state"] == "encoding"
    client.delete(f"/v1/images/{key}")
    assert list(events) == [("gone", {"id": key})]


def test_every_kind_of_image_on_the_list_is_taken_whatever_its_type_is_said_to_be(client: httpx.Client) -> None:
    for name, data in seeds().items():
        answer = client.post("/v1/images", content=data, headers={"Content-Type": "text/plain"})
        assert answer.status_code == 201, (name, answer.text)
        size = answer.json()["width"], answer.json()["height"]
        assert size == ((36, 48) if "turned" in name else (48, 36)), name
        client.delete("/v1/images")


@pytest.mark.parametrize(
    "head",
    [
        b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>",
        b"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><svg>&e;</svg>",
        b"%PDF-1.7\n",
        b"%!PS-Adobe-3.0 EPSF-3.0\n",
        b"\0\0\0\x1cftypheic\0\0\0\0mif1heic",
        b"\0\0\0\x1cftypavif\0\0\0\0mif1avif",
        b"\0\0\1\0\1\0\x10\x10\0\0\1\0\x20\0",  # ICO
        b"P6\n1 1\n255\nabc",
        b"8BPS\0\1",
        b"\xff\x4f\xff\x51\0\0",  # JPEG 2000
        b"#?RADIANCE\n",
        b"\x76\x2f\x31\x01",  # OpenEXR
        b"\x1f\x8b\x08\0",
        b"PK\3\4",
        b"RIFF\x24\0\0\0WAVEfmt ",
        b"hello, world",
    ],
)
def test_any_other_kind_is_415_whatever_its_type_is_said_to_be(client: httpx.Client, head: bytes) -> None:
    answer = client.post("/v1/images", content=head + bytes(100), headers={"Content-Type": "image/png"})
    error_of(answer, 415, "bad_image")


def test_what_is_no_image_the_server_can_read_is_told_so(client: httpx.Client, strip: np.ndarray) -> None:
    data = as_png(strip)
    error_of(client.post("/v1/images", content=b""), 422, "bad_image")
    error_of(client.post("/v1/images", content=data[:200]), 422, "bad_image")
    error = error_of(client.post("/v1/images?model=vit_h", content=data), 422, "unknown_model")
    assert error["field"] == "model" and "vit_t" in error["message"]
    assert error_of(client.post("/v1/images?prefetch=perhaps", content=data), 422)["field"] == "prefetch"


def test_what_shines_through_is_white(client: httpx.Client, strip: np.ndarray) -> None:
    alpha = np.broadcast_to(np.linspace(0, 255, 1024).astype(np.uint8), (64, 1024))
    clear = np.dstack((strip, alpha))
    share = alpha[..., None] / 255
    on_white = np.rint(strip * share + 255 * (1 - share)).astype(np.uint8)
    (size, found), (_, expected) = _masks(client, _save(clear, "PNG")), _masks(client, as_png(on_white))
    assert size == (1024, 64) and _agree(found, expected)
    assert not _agree(found, _masks(client, as_png(strip))[1])


def test_pictures_are_upright_whichever_way_they_were_stored(client: httpx.Client, strip: np.ndarray) -> None:
    expected = _masks(client, as_png(strip))
    for orientation, (stored, kind) in enumerate(zip(_turned(strip), ["PNG", "TIFF"] * 4, strict=True), start=1):
        assert _masks(client, _save(stored, kind, orientation)) == expected, orientation
    on_its_side = _masks(client, _save(next(iter(_turned(strip[:, ::-1]))), "PNG"))
    assert on_its_side != expected  # what is not said to be turned stays as it is


@pytest.mark.parametrize(("mode", "orientation"), [("L", 2), ("1", 4), ("P", 5), ("RGBA", 6), ("LA", 8)])
def test_pictures_of_every_mode_are_upright(
    client: httpx.Client, strip: np.ndarray, mode: str, orientation: int
) -> None:
    upright = Image.fromarray(strip).convert(mode)
    expected = _masks(client, as_png(np.asarray(upright.convert("RGB"))))
    stored, buffer, exif = upright.transpose(_BACK[orientation]), io.BytesIO(), Image.Exif()
    exif[274] = orientation
    stored.save(buffer, "PNG", exif=exif)
    assert _masks(client, buffer.getvalue()) == expected


_BACK = {  # from upright to what a camera would have stored
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    8: Image.Transpose.ROTATE_270,
}


def _turned(pixels: np.ndarray) -> Iterator[np.ndarray]:
    """What a camera would have stored, for orientations 1 to 8 in turn."""
    across = pixels.transpose(1, 0, 2)
    yield from (pixels, pixels[:, ::-1], pixels[::-1, ::-1], pixels[::-1])
    yield from (across, across[::-1], across[::-1, ::-1], across[:, ::-1])


def _save(pixels: np.ndarray, kind: str, orientation: int = 1) -> bytes:
    buffer, exif = io.BytesIO(), Image.Exif()
    exif[274] = orientation
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, kind, exif=exif)
    return buffer.getvalue()


def _agree(found: Any, expected: Any) -> bool:
    """Scores to two digits: compositing may round a pixel the other way."""
    pairs = zip(found, expected, strict=True)
    return all(abs(one["score"] - other["score"]) < 0.005 and one["index"] == other["index"] for one, other in pairs)


def test_a_window_is_a_part_of_its_image_and_goes_with_it(client: httpx.Client, strip: np.ndarray) -> None:
    key = upload(client, marked(strip, 11))
    first = client.post(f"/v1/images/{key}/windows", json={"box": [500.4, 0, 700, 64]})
    window = first.json()
    assert first.status_code == 201 and window["parent"] == key and window["box"] == [500, 0, 700, 64]
    assert (window["width"], window["height"]) == (1024, 64)
    again = client.post(f"/v1/images/{key}/windows", json={"box": [500, 0, 700, 64]})
    assert again.status_code == 200 and again.json()["id"] == window["id"]
    within = client.post(f"/v1/images/{window['id']}/windows", json={"box": [0, 0, 64, 64]})  # of the image, too
    assert within.status_code == 201 and within.json()["parent"] == key
    assert [event["box"] for _, event in _events(client, window["id"])][-1] == [500, 0, 700, 64]
    assert client.delete(f"/v1/images/{within.json()['id']}").status_code == 204
    assert client.get(f"/v1/images/{key}").status_code == client.get(f"/v1/images/{window['id']}").status_code == 200
    assert client.delete(f"/v1/images/{key}").status_code == 204
    error_of(client.get(f"/v1/images/{window['id']}"), 410, "image_gone")


def test_equal_windows_asked_for_at_once_are_one(service: Running, client: httpx.Client, strip: np.ndarray) -> None:
    path = f"/v1/images/{upload(client, as_png(strip))}/windows"
    service.app.state.service.store.pixels.clear()  # they have to be decoded again, for all of them
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: client.post(path, json={"box": [0, 0, 300, 64]}), range(8)))
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]


def test_a_window_does_not_outlive_an_image_forgotten_meanwhile(
    service: Running, client: httpx.Client, strip: np.ndarray
) -> None:
    key, gate = upload(client, as_png(strip)), service.app.state.service.gate
    service.app.state.service.store.pixels.clear()
    held = decoders()
    for decoder in held:
        decoder.suspend()  # the window waits for the image's pixels
    try:
        with ThreadPoolExecutor(1) as pool:
            window = pool.submit(client.post, f"/v1/images/{key}/windows", json={"box": [0, 0, 9, 9]})
            wait_until(lambda: gate.inside == 1)
            assert client.delete(f"/v1/images/{key}").status_code == 204
            for decoder in held:
                decoder.resume()
            error_of(window.result(), 410, "image_gone")
    finally:
        for decoder in held:
            decoder.resume()


@pytest.mark.parametrize(
    "box", [None, [0, 0, 0, 0], [0, 0, 1025, 64], [-1, 0, 5, 5], [5, 5, 1, 9], [0, 0, 1e308, 1], [1, 2, 3], "0 0 9 9"]
)
def test_a_window_that_is_no_part_is_refused_by_name(client: httpx.Client, strip: np.ndarray, box: Any) -> None:
    key = upload(client, as_png(strip))
    error = error_of(client.post(f"/v1/images/{key}/windows", json={"box": box}), 422)
    assert error["field"].startswith("box")


def test_prompts_and_masks_of_a_window_are_in_the_frame_of_its_image(client: httpx.Client, strip: np.ndarray) -> None:
    key = upload(client, as_png(strip))
    window = client.post(f"/v1/images/{key}/windows", json={"box": [500, 0, 700, 64]}).json()["id"]
    of_image = _ask(client, key, POINT)
    of_window = _ask(client, window, POINT)
    assert of_window["rle"]["size"] == [64, 1024] and of_window["box"][0] >= 500 and of_window["box"][2] <= 700
    answer = client.post(f"/v1/images/{window}/masks", json={"objects": [POINT], "scale": "model"}).json()
    assert answer["raster"]["box"] == [500, 0, 700, 64]
    error = error_of(client.post(f"/v1/images/{window}/masks", json={"objects": [{"points": [[499, 9]]}]}), 422)
    assert error["field"] == "objects[0].points[0]"
    refined = _ask(client, window, {**POINT, "previous": of_image["mask_id"]})
    assert refined["score"] != of_window["score"] and refined["box"][0] >= 500
    back = _ask(client, key, {**POINT, "previous": refined["mask_id"]})
    assert back["rle"]["size"] == [64, 1024] and back["score"] != of_image["score"]


def _ask(client: httpx.Client, key: str, prompt: Any) -> Any:
    """The best mask."""
    answer = client.post(f"/v1/images/{key}/masks", json={"objects": [prompt]})
    assert answer.status_code == 200, answer.text
    return answer.json()["objects"][0][0]


def test_the_picture_of_an_image_is_what_the_server_sees(client: httpx.Client, strip: np.ndarray) -> None:
    turned = io.BytesIO()
    exif = Image.Exif()
    exif[274] = 6  # to be turned clockwise
    Image.fromarray(strip).save(turned, "TIFF", exif=exif)
    made = client.post("/v1/images", content=turned.getvalue()).json()
    assert made["orientation"] == 6 and client.get(f"/v1/images/{made['id']}").json()["orientation"] == 6
    answer = client.get(f"/v1/images/{made['id']}/picture")
    assert answer.headers["content-type"] == "image/jpeg"
    with Image.open(io.BytesIO(answer.content)) as picture:
        assert picture.size == (made["width"], made["height"]) == (strip.shape[0], strip.shape[1])
        seen = np.array(picture).astype(int)
    assert np.abs(seen - np.rot90(strip, -1)).mean() < 12  # noise, as JPEG
    error_of(client.get("/v1/images/img_nothing/picture"), 404)
