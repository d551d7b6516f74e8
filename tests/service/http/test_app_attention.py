"""Attention over HTTP: that of a segmenter in process, number by number."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from app_under_test import Running, as_png, error_of, running, upload

from clickmask import OpenImage, Segmenter
from clickmask.service.http.lane import Rank
from clickmask.service.http.settings import Limits

POINT, PATCH = [600, 30], [640, 20]


@pytest.fixture(scope="module")
def near(strip_segmenter: Segmenter, strip: np.ndarray) -> OpenImage:
    return strip_segmenter.open(strip)


@pytest.fixture(scope="module")
def service(strip_segmenter: Segmenter, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(strip_segmenter, tmp_path_factory.mktemp("state"), limits=Limits(points=5)) as service:
        yield service


@pytest.fixture(scope="module")
def client(service: Running) -> Iterator[httpx.Client]:
    with service.client() as client:
        yield client


@pytest.fixture(scope="module")
def key(client: httpx.Client, strip: np.ndarray) -> str:
    return upload(client, as_png(strip))


def _ask(client: httpx.Client, key: str, **words: Any) -> Any:
    answer = client.post(f"/v1/images/{key}/attention", json={"dtype": "float32", **words})
    assert answer.status_code == 200, answer.text
    return answer.json()


def _array(answer: Any, name: str) -> np.ndarray:
    found = answer["arrays"][name]
    return np.frombuffer(base64.b64decode(found["data"]), f"<f{int(answer['dtype'][5:]) // 8}").reshape(found["shape"])


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    """But for the last bits, which products owe to the number of threads."""
    return one.shape == other.shape and bool(np.abs(one - other).max() < 1e-4)


def test_a_prompts_attention_is_that_of_the_model_in_process(client: httpx.Client, key: str, near: OpenImage) -> None:
    words: dict[str, Any] = {"points": [POINT, [30, 9]], "labels": [1, 0], "box": [300, 0, 900, 64]}
    answer, seen = _ask(client, key, **words), near.attention(**words)
    assert answer["tokens"] == list(seen.tokens) and answer["chosen"] == seen.chosen == "mask 0"
    assert answer["score"] == pytest.approx(seen.mask.score, abs=1e-5)
    assert answer["box"] == [0, 0, 1024, 64] and answer["scaled"] == [1024, 64] and "model" in answer["provenance"]
    assert set(answer["arrays"]) == {"token_to_image", "image_to_token", "token_to_token"}
    for name in answer["arrays"]:
        assert _same(_array(answer, name), seen.array(name))


def test_arrays_come_by_name_by_head_and_in_half_precision(client: httpx.Client, key: str, near: OpenImage) -> None:
    seen, last = near.attention([POINT]), "walk/token_to_image 3"
    names = [f"{last}/{part}" for part in ("queries", "keys", "values", "projection", "bias", "output")]
    answer = _ask(client, key, points=[POINT], arrays=[*names, "token_to_image", "mask/filter"][:-1], head=3)
    q, k, v, projection, bias, output = (_array(answer, name) for name in names)
    assert q.shape == (7, 16) and k.shape == v.shape == (4096, 16) and projection.shape == (16, 256)
    assert _same(q, seen.walk["token_to_image 3/queries"][3])
    assert np.array_equal(bias, seen.array(f"{last}/bias")) and _same(output, seen.array(f"{last}/output"))
    assert _same(_array(answer, "token_to_image"), seen.token_to_image[:, 3])
    assert np.array_equal(projection, seen.array(f"{last}/projection")[48:64])
    half = _ask(client, key, points=[POINT], arrays=["token_to_token"], dtype="float16")
    assert np.abs(_array(half, "token_to_token") - seen.token_to_token).max() < 1e-3


def test_a_heads_queries_and_a_pixel_of_the_mask_can_be_computed_again(
    client: httpx.Client, key: str, near: OpenImage
) -> None:
    last = "walk/token_to_image 3"
    names = [f"{last}/{part}" for part in ("asked", "query_projection", "query_bias", "queries", "scores", "heard")]
    mask = ["walk/mask/filter", "walk/mask/pixels", "walk/mask/logits"]
    answer = _ask(client, key, points=[POINT], arrays=names + mask, head=5, at=[608, 33])
    asked, projection, bias, queries, scores, heard = (_array(answer, name).astype(float) for name in names)
    assert projection.shape == (256, 16) and np.abs(asked @ projection + bias - queries).max() < 1e-4
    assert scores.shape == (7, 4096) and heard.shape == (7, 16)
    filters, pixel, logit = (_array(answer, name) for name in mask)
    assert pixel.shape == (32,) and logit.shape == () and abs(pixel @ filters - logit) < 1e-3
    assert logit == pytest.approx(near.attention([POINT]).walk["mask/logits"][8, 152], abs=1e-4)


def test_all_arrays_come_as_a_file_of_numpys(client: httpx.Client, key: str, near: OpenImage) -> None:
    answer = client.post(f"/v1/images/{key}/attention", json={"points": [POINT], "format": "npz"})
    assert (
        answer.headers["content-type"] == "application/zip" and "attention.npz" in answer.headers["content-disposition"]
    )
    seen = near.attention([POINT])
    with np.load(io.BytesIO(answer.content), allow_pickle=False) as read:
        assert set(read) == {name.replace(" ", "_") for name in seen.names} | {"tokens", "chosen"}
        assert read["tokens"].tolist() == list(seen.tokens)
        assert _same(read["walk/mask/filter"], seen.walk["mask/filter"])
    answer = client.post(f"/v1/images/{key}/attention", json={"patch": PATCH, "format": "npz"})
    with np.load(io.BytesIO(answer.content), allow_pickle=False) as read:
        assert str(read["0/name"]) == "stage 1, block 1" and read["9/keys"].shape == (10, 49, 32)


def test_a_patchs_attention_is_that_of_the_model_and_the_image_is_watched_once(
    service: Running, client: httpx.Client, key: str, near: OpenImage
) -> None:
    answer, around = _ask(client, key, patch=PATCH), near.patch_attention(*PATCH)
    store = service.app.state.service.store
    watched = store.watched_of(store.images.look(key))
    other = _ask(client, key, patch=[20, 50])
    assert store.watched_of(store.images.look(key)) is watched
    assert _same(_array(other, "7/weights"), near.patch_attention(20, 50).blocks[7].weights)
    assert "tokens" not in answer
    for number, (told, block) in enumerate(zip(answer["blocks"], around.blocks, strict=True)):
        assert told == {
            "name": block.name,
            "stride": block.stride,
            "place": list(block.place),
            "corner": list(block.corner),
        }
        assert _same(_array(answer, f"{number}/weights"), block.weights)
    first = _ask(client, key, patch=PATCH, arrays=["first_layer/pixels", "first_layer/output"])
    assert _same(_array(first, "first_layer/output"), around.first_layer["output"])
    assert first["corner"] == list(around.corner)


def test_a_watched_image_goes_with_the_image(service: Running, strip: np.ndarray) -> None:
    store = service.app.state.service.store
    with service.client() as client:
        key = upload(client, as_png(strip[:, ::-1].copy()))
        things = store.pixels.counts().things
        _ask(client, key, patch=PATCH)
        assert store.pixels.counts().things == things + 1
        client.delete(f"/v1/images/{key}")
        assert store.pixels.counts().things == things - 1
        error_of(client.post(f"/v1/images/{key}/attention", json={"patch": PATCH}), 410, "image_gone")


def test_of_a_window_and_after_an_earlier_mask(client: httpx.Client, key: str, near: OpenImage) -> None:
    box = [400, 0, 700, 64]
    window = client.post(f"/v1/images/{key}/windows", json={"box": box}).json()["id"]
    answer, part = _ask(client, window, points=[POINT]), near.window(box)
    assert answer["box"] == box and _same(_array(answer, "token_to_image"), part.attention([POINT]).token_to_image)
    patched = _ask(client, window, patch=PATCH)
    assert _same(_array(patched, "3/weights"), part.patch_attention(*PATCH).blocks[3].weights)
    masks = client.post(f"/v1/images/{key}/masks", json={"objects": [{"points": [POINT]}], "scale": "model"}).json()
    chained = _ask(client, key, points=[POINT, [610, 40]], previous=masks["objects"][0][0]["mask_id"])
    assert chained["chosen"] == "mask 0" and chained["tokens"][-1] == "no point"


@pytest.mark.parametrize(
    ("words", "field", "message"),
    [
        ({}, "points", "nothing to segment"),
        ({"points": [[2000, 5]]}, "points[0]", "outside the 1024 x 64 image"),
        ({"points": [[1, 1]] * 6}, "points", "at most 5 an object"),
        ({"points": [[1, 1]], "labels": [1, 0]}, "labels", "labels"),
        ({"patch": [5, 64]}, "patch", "outside the 1024 x 64 image"),
        ({"patch": [5, 5], "points": [[1, 1]]}, "points", "a prompt or a patch, got both"),
        ({"patch": [5, 5], "arrays": ["10/weights"]}, "arrays", "there is no '10/weights'"),
        ({"patch": [5, 5], "arrays": ["0/weights"], "head": 4}, "head", "has 4, expected 0 to 3"),
        ({"patch": [5, 5], "at": [5, 5]}, "at", "expected a prompt with it"),
        ({"patch": [5, 5], "rollout": True}, "rollout", "TinyViT has none"),
        ({"points": [[5, 5]], "rollout": True}, "rollout", "expected a patch"),
        ({"points": [[5, 5]], "arrays": ["walk/x"]}, "arrays", "there is no 'walk/x'"),
        ({"points": [[5, 5]], "at": [5, 99]}, "at", "outside the 1024 x 64 image"),
        ({"points": [[5, 5]], "head": 8}, "head", "expected 0 to 7"),
        ({"points": [[5, 5]], "layer": 1}, "layer", "layer"),
        ({"points": [[5, 5]], "dtype": "int8"}, "dtype", "dtype"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(
    client: httpx.Client, key: str, words: dict[str, Any], field: str | None, message: str
) -> None:
    error = error_of(client.post(f"/v1/images/{key}/attention", json=words), 422)
    assert message in error["message"] and error.get("field") == field, error


def test_what_has_no_heads_comes_whole(client: httpx.Client, key: str) -> None:
    names = ["first_layer/weights", "first_layer/bias", "0/query"]
    answer = _ask(client, key, patch=PATCH, arrays=names, head=1)
    assert [_array(answer, name).shape for name in names] == [(27, 32), (32,), (32,)]
    whole = _ask(client, key, points=[POINT], arrays=["walk/token_to_image 1/bias", "walk/mask/filter"], head=1)
    assert [_array(whole, name).shape for name in whole["arrays"]] == [(256,), (32,)]


def test_a_point_outside_costs_no_encoding(service: Running, strip: np.ndarray) -> None:
    store = service.app.state.service.store
    with service.client() as client:
        key = upload(client, as_png(strip[::-1].copy()))
        error_of(client.post(f"/v1/images/{key}/attention", json={"patch": [5, 99]}), 422)
        assert store.watched_of(store.images.look(key)) is None


def test_all_arrays_are_charged_before_they_are_made_and_are_a_long_job(
    strip_segmenter: Segmenter, strip: np.ndarray, tmp_path_factory: pytest.TempPathFactory
) -> None:
    limits = Limits(queue_bytes=100 << 20, body=1 << 20)
    with (
        running(strip_segmenter, tmp_path_factory.mktemp("state"), limits=limits) as service,
        service.client() as client,
    ):
        key = upload(client, as_png(strip))
        lane = service.app.state.service.lanes[0]
        before = lane.load.mean(Rank.LONG)
        refused = client.post(f"/v1/images/{key}/attention", json={"points": [POINT], "format": "npz"})
        assert error_of(refused, 422, "too_many")["field"] == "arrays" and lane.load.mean(Rank.LONG) == before
        assert _ask(client, key, points=[POINT], arrays=["token_to_token"])["tokens"]


def test_a_plain_vit_tells_of_every_place_and_rolls_out(
    tiny_segmenter: Segmenter, strip: np.ndarray, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with running(tiny_segmenter, tmp_path_factory.mktemp("state")) as service, service.client() as client:
        key = upload(client, as_png(strip))
        answer = _ask(client, key, patch=PATCH, rollout=True)
        image = tiny_segmenter.open(strip)
        assert [told["corner"] for told in answer["blocks"]] == [[0, 28], [0, 0]]
        assert _array(answer, "1/weights").shape == (2, 64, 64)
        rolled = _array(answer, "rollout")
        assert _same(rolled, image.encoder_attention().rollout(*PATCH)) and abs(rolled.sum() - 1) < 1e-4
