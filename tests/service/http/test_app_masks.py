"""Masks over HTTP: those of a segmenter in process, in every shape that can be asked for."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
from app_under_test import Running, as_png, error_of, hover, pixels_of, running, upload

from clickmask import Mask, OpenImage, Segmenter
from clickmask.service import polygons, rle
from clickmask.service.cleaning import clean
from clickmask.service.http.settings import Limits

SIZE = (2048, 128)
A, B, BOX = [1200, 40], [1000, 80], [600, 0, 2000, 128]
PROMPTS: dict[str, dict[str, Any]] = {
    "a point": {"points": [A]},
    "points": {"points": [A, B], "labels": [1, 0]},
    "a box": {"box": BOX},
    "a box and points": {"points": [A, B], "box": BOX},
}


@pytest.fixture(scope="module")
def wide(strip: np.ndarray) -> np.ndarray:
    """The strip at twice its size, so that scale model is a smaller one."""
    return cv2.resize(strip, SIZE, interpolation=cv2.INTER_CUBIC)


@pytest.fixture(scope="module")
def near(strip_segmenter: Segmenter, wide: np.ndarray) -> OpenImage:
    return strip_segmenter.open(wide)


@pytest.fixture(scope="module")
def service(strip_segmenter: Segmenter, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(strip_segmenter, tmp_path_factory.mktemp("state"), limits=Limits(prompts=4, points=5)) as service:
        yield service


@pytest.fixture(scope="module")
def client(service: Running) -> Iterator[httpx.Client]:
    with service.client() as client:
        yield client


@pytest.fixture(scope="module")
def path(client: httpx.Client, wide: np.ndarray) -> str:
    return f"/v1/images/{upload(client, as_png(wide))}/masks"


def _ask(client: httpx.Client, path: str, *objects: dict[str, Any], **wishes: Any) -> Any:
    answer = client.post(path, json={"objects": list(objects), **wishes})
    assert answer.status_code == 200, answer.text
    return answer.json()


def _best(client: httpx.Client, path: str, prompt: dict[str, Any], **wishes: Any) -> Any:
    return _ask(client, path, prompt, **wishes)["objects"][0][0]


def _is(found: dict[str, Any], mask: Mask) -> bool:
    """Whether an answer at scale full is that mask."""
    assert found["rle"] == rle.encode(mask.pixels)
    assert found["score"] == round(mask.score, 5) and found["stability"] == round(mask.stability, 5)
    assert found["area"] == mask.area and found["index"] == mask.index
    return found["box"] == (None if mask.box is None else list(mask.box))


@pytest.mark.parametrize("prompt", PROMPTS.values(), ids=PROMPTS)
def test_answers_are_those_of_the_segmenter(
    client: httpx.Client, path: str, near: OpenImage, prompt: dict[str, Any]
) -> None:
    answer = _ask(client, path, prompt)
    (results,) = answer["objects"]
    assert _is(results[0], near.segment(**prompt))
    assert set(results[0]) == {"mask_id", "index", "score", "stability", "area", "box", "rle"}
    assert answer["raster"] == {"width": 2048, "height": 128, "box": [0, 0, 2048, 128]}
    assert answer["provenance"]["model"] == "vit_t" and "hover_ms" in answer
    assert len(results) == (3 if prompt == PROMPTS["a point"] else 1)
    scores = [result["score"] for result in results]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("prompt", PROMPTS.values(), ids=PROMPTS)
def test_three_candidates_or_one_mask_come_when_asked_for(
    client: httpx.Client, path: str, near: OpenImage, prompt: dict[str, Any]
) -> None:
    (three,), (one,) = (_ask(client, path, prompt, multimask=asked)["objects"] for asked in (True, False))
    assert len(one) == 1 and one[0]["index"] == 0
    for found, mask in zip(three, near.candidates(**prompt), strict=True):
        assert _is(found, mask)
    (best,) = _ask(client, path, prompt, multimask=True, limit=1)["objects"][0]
    assert best["score"] == three[0]["score"]


def test_each_object_has_results_of_its_own(client: httpx.Client, path: str) -> None:
    together = _ask(client, path, *PROMPTS.values())["objects"]
    assert together == [_ask(client, path, prompt)["objects"][0] for prompt in PROMPTS.values()]


def test_the_same_question_has_the_same_answer_byte_by_byte(client: httpx.Client, path: str) -> None:
    body = json.dumps({"objects": [PROMPTS["points"]]})
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: client.post(path, content=body), range(64)))
    assert {answer.status_code for answer in answers} == {200}
    # How much to hover depends on how busy the server is; all else may not differ.
    assert len({re.sub(rb'"hover_ms":\w+', b"", answer.content) for answer in answers}) == 1


@pytest.mark.parametrize("scale", ["full", "model"])
def test_every_format_shows_the_same_mask(
    client: httpx.Client, path: str, near: OpenImage, wide: np.ndarray, scale: str
) -> None:
    shapes = {kind: _best(client, path, PROMPTS["a box"], format=kind, scale=scale) for kind in _FORMATS}
    for kind, found in shapes.items():
        assert set(found) == {"mask_id", "index", "score", "stability", "area", "box", kind}
    pixels = rle.decode(shapes["rle"]["rle"])
    assert pixels.shape == ((128, 2048) if scale == "full" else (64, 1024))
    assert np.array_equal(pixels_of(base64.b64decode(shapes["png"]["png"])), pixels * np.uint8(255))
    rings = [[np.array(ring) for ring in part] for part in shapes["polygons"]["polygons"]]
    step = 128 // len(pixels)
    assert np.array_equal(polygons.from_polygons(rings, SIZE), pixels.repeat(step, 0).repeat(step, 1))
    logits = np.frombuffer(base64.b64decode(shapes["logits"]["logits"]), "<f2").reshape(256, 256)
    assert np.array_equal(logits, near.segment(box=BOX).logits.astype("<f2"))
    cut, (x0, y0, x1, y1) = pixels_of(base64.b64decode(shapes["cutout"]["cutout"])), shapes["cutout"]["box"]
    mask = near.segment(box=BOX)
    assert np.array_equal(cut[..., :3], wide[y0:y1, x0:x1])
    assert np.array_equal(cut[..., 3], mask.pixels[y0:y1, x0:x1] * np.uint8(255))


_FORMATS = ("rle", "polygons", "png", "logits", "cutout")


def test_scale_model_is_the_mask_seen_from_further_away(client: httpx.Client, path: str, near: OpenImage) -> None:
    answer = _ask(client, path, PROMPTS["a box"], scale="model")
    assert answer["raster"] == {"width": 1024, "height": 64, "box": [0, 0, 2048, 128]} and "provenance" not in answer
    found, mask = answer["objects"][0][0], near.segment(box=BOX)
    small, large = rle.decode(found["rle"]).repeat(2, 0).repeat(2, 1), mask.pixels
    assert np.count_nonzero(small & large) / np.count_nonzero(small | large) > 0.97
    assert found["area"] == pytest.approx(mask.area, rel=0.02)
    assert mask.box is not None and np.abs(np.subtract(found["box"], mask.box)).max() <= 2


def test_crumbs_go_when_asked(client: httpx.Client, path: str, near: OpenImage) -> None:
    prompt: Any = {"points": [A, [100, 100], [1900, 20], [400, 60]], "labels": [1, 1, 1, 0]}
    raw = near.segment(**prompt).pixels
    clicked = [(x, y) for x, y in prompt["points"]]
    tidy = clean(raw, 0.2, 0.1, clicked)
    assert not np.array_equal(raw, tidy)
    found = _best(client, path, prompt, clean={"specks": 0.2, "holes": 0.1})
    assert np.array_equal(rle.decode(found["rle"]), tidy) and found["area"] == np.count_nonzero(tidy)
    only_holes = _best(client, path, prompt, clean={"holes": 0.1})
    assert np.array_equal(rle.decode(only_holes["rle"]), clean(raw, 0, 0.1, clicked))


def test_a_cutout_has_room_and_a_soft_edge_when_asked(client: httpx.Client, path: str) -> None:
    plain, padded, soft = (
        pixels_of(base64.b64decode(_best(client, path, PROMPTS["a box"], format="cutout", **wish)["cutout"]))
        for wish in ({}, {"pad": 10}, {"feather": 4})
    )
    assert padded.shape[1] > plain.shape[1] and set(np.unique(plain[..., 3])) == {0, 255}
    assert len(np.unique(soft[..., 3])) > 2 and soft.shape == plain.shape


def test_a_mask_refines_the_next_one(client: httpx.Client, path: str, near: OpenImage) -> None:
    first, mask = _best(client, path, PROMPTS["a point"]), near.segment(points=[A])
    for prompt in ({"points": [A, B]}, {"points": [A, B, [1500, 60]]}, {"box": BOX}):
        found = _best(client, path, {**prompt, "previous": first["mask_id"]})
        mask = near.segment(**prompt, previous=mask)
        theirs = rle.decode(found["rle"])
        # The server keeps logits as float16: as good as the same, and no more is promised.
        assert np.count_nonzero(theirs & mask.pixels) / np.count_nonzero(theirs | mask.pixels) >= 0.99
        assert found["score"] == pytest.approx(mask.score, abs=0.01)
        first = found


def test_inline_logits_do_what_a_mask_id_does(client: httpx.Client, path: str) -> None:
    first = _best(client, path, PROMPTS["a point"], format="logits")
    by_id = _best(client, path, {"points": [A, B], "previous": first["mask_id"]})
    inline = _best(client, path, {"points": [A, B], "previous": {"logits": first["logits"]}})
    assert {**by_id, "mask_id": None} == {**inline, "mask_id": None}
    unrefined = _best(client, path, {"points": [A, B]})
    assert unrefined["score"] != by_id["score"]


def test_a_previous_mask_must_be_there_and_of_this_image(
    client: httpx.Client, path: str, wide: np.ndarray, service: Running
) -> None:
    other = f"/v1/images/{upload(client, as_png(wide[:, ::-1]))}/masks"
    mask = _best(client, path, PROMPTS["a point"])["mask_id"]
    image = path.split("/")[3]
    for previous, status, code in (("msk_nothing", 404, "not_found"), (image, 404, "not_found")):
        body = {"objects": [PROMPTS["a point"], {"previous": previous}]}
        assert error_of(client.post(path, json=body), status, code)["field"] == "objects[1].previous"
    error = error_of(client.post(other, json={"objects": [{"previous": mask}]}), 422, "bad_prompt")
    assert error["field"] == "objects[0].previous"
    for key, _ in service.app.state.service.store.masks.things_of("local"):
        service.app.state.service.store.masks.take(key)
    error = error_of(client.post(path, json={"objects": [{"previous": mask}]}), 410, "mask_gone")
    assert error["field"] == "objects[0].previous"
    assert _best(client, path, PROMPTS["a point"])["mask_id"] == mask  # asked again, it is here again


def test_of_a_pages_hovers_the_latest_wins_and_nothing_is_kept(client: httpx.Client, path: str) -> None:
    objects = [PROMPTS["a point"]]
    number, preview = hover(client, path, "page", 7, objects=objects, scale="model", limit=1)
    assert "mask_id" not in preview["objects"][0][0]
    late = {"objects": objects, "stream": "page", "seq": number}
    error_of(client.post(path, json=late), 409, "superseded")
    hover(client, path, "another page", number, objects=objects)
    for alone in ({"stream": "page"}, {"seq": 9}):
        error_of(client.post(path, json={"objects": [PROMPTS["a point"]], **alone}), 422, "bad_request")
    _, preview = hover(client, path, "page", number + 1, objects=objects, scale="model", format="polygons")
    assert preview["objects"][0][0]["polygons"] and "mask_id" not in preview["objects"][0][0]


def test_hovers_cannot_ask_for_what_takes_long(client: httpx.Client, path: str) -> None:
    body = {"objects": [PROMPTS["a point"]], "stream": "page", "seq": 99}
    assert error_of(client.post(path, json={**body, "format": "cutout"}), 422)["field"] == "format"
    large = upload(client, as_png(np.zeros((1500, 1500, 3), np.uint8)))
    for kind in ("rle", "polygons", "png"):
        wish = {**body, "objects": [{"points": [[1, 1]]}], "format": kind}
        assert error_of(client.post(f"/v1/images/{large}/masks", json=wish), 422)["field"] == "scale"
    client.delete(f"/v1/images/{large}")


WRONG: list[tuple[Any, str]] = [
    ({"objects": [{"points": [[2048, 0]]}]}, "objects[0].points[0]"),
    ({"objects": [{"points": [A, [-1, 0]]}]}, "objects[0].points[1]"),
    ({"objects": [{"box": [0, 0, 2049, 9]}]}, "objects[0].box"),
    ({"objects": [{"points": [A], "labels": [2]}]}, "objects[0].labels[0]"),
    ({"objects": [{"points": [A], "labels": [1, 1]}]}, "objects[0].labels"),
    ({"objects": [{}]}, "objects[0].points"),
    ({"objects": [{"points": [A] * 6}]}, "objects[0].points"),
    ({"objects": [{"points": [A]}] * 5}, "objects"),
    ({"objects": []}, "objects"),
    ({}, "objects"),
    ({"objects": [{"points": [A]}], "limit": 0}, "limit"),
    ({"objects": [{"points": [A]}], "limit": 4}, "limit"),
    ({"objects": [{"points": [A]}], "format": "svg"}, "format"),
    ({"objects": [{"points": [A]}], "scale": "half"}, "scale"),
    ({"objects": [{"points": [A]}], "multimask": "maybe"}, "multimask"),
    ({"objects": [{"points": [A]}], "clean": {"specks": 2}}, "clean.specks"),
    ({"objects": [{"points": [A]}], "pad": -1}, "pad"),
    ({"objects": [{"points": [A]}], "feather": -1}, "feather"),
    ({"objects": [{"points": [A]}], "refine": "on"}, "refine"),
    ({"objects": [{"points": [A]}], "stream": ""}, "stream"),
    ({"objects": [{"points": [A]}], "seq": -1}, "seq"),
    ({"objects": [{"point": [A]}]}, "objects[0].point"),
    ({"objects": [{"points": [A]}], "image_url": "http://127.0.0.1/"}, "image_url"),
]


@pytest.mark.parametrize(("body", "field"), WRONG, ids=[f"{n} {field}" for n, (_, field) in enumerate(WRONG)])
def test_what_makes_no_sense_is_refused_by_the_name_of_its_field(
    client: httpx.Client, path: str, body: Any, field: str
) -> None:
    assert error_of(client.post(path, json=body), 422)["field"] == field


def test_answers_at_scale_model_are_small(client: httpx.Client, path: str) -> None:
    answer = client.post(path, json={"objects": [PROMPTS["a point"]], "scale": "model", "limit": 1})
    assert len(answer.content) < 4096 and "accept-encoding" in answer.headers["vary"].lower()
