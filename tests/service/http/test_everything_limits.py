"""A search for everything holds nobody up, ends when it should, and says what it was asked wrongly."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from app_under_test import Running, as_png, error_of, running, upload
from everything import GRID, LONG, events, path, steps
from fastapi import FastAPI
from serving import wait_until

from clickmask import Segmenter
from clickmask.service.everything.search import Finds, Progress
from clickmask.service.http.app import create_app
from clickmask.service.http.engine import STEP, Engine, Step
from clickmask.service.http.errors import ApiError
from clickmask.service.http.lane import Rank
from clickmask.service.http.settings import Access, Limits, ServeSettings

CLICK = {"objects": [{"points": [[600, 20]]}]}
PATIENCE = 60.0  # seconds


@pytest.fixture(scope="module")
def service(strip_segmenter: Segmenter, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(strip_segmenter, tmp_path_factory.mktemp("state")) as service:
        yield service


@pytest.fixture(scope="module")
def client(service: Running) -> Iterator[httpx.Client]:
    with service.client() as client:
        yield client


@pytest.fixture
def key(client: httpx.Client, strip: np.ndarray) -> str:
    """The strip, encoded."""
    key = upload(client, as_png(strip))
    assert client.post(f"/v1/images/{key}/masks", json=CLICK).status_code == 200
    return key


def _wait_until_idle(service: Running) -> None:
    own = service.app.state.service
    wait_until(lambda: own.gate.inside == 0 and own.gate.size == 0 and not own.searches._running, PATIENCE)
    wait_until(lambda: all(lane.running_since is None and not lane.waiting() for lane in own.lanes), PATIENCE)


def _begun(told: Iterator[tuple[str, Any]]) -> int:
    """Points asked, once a search is under way."""
    return next(data["done"] for name, data in told if name == "progress" and data["done"])


def test_clicks_are_answered_while_a_search_runs(service: Running, client: httpx.Client, key: str) -> None:
    with events(client, key, **LONG) as told:
        done = _begun(told)
        for x in range(100, 500, 50):
            asked = {"objects": [{"points": [[x, 30]]}]}
            assert client.post(f"/v1/images/{key}/masks", json=asked).status_code == 200
        later = next(data["done"] for name, data in told if name == "progress" and data["done"] > done)
        assert done < later < 40_000
        load = service.app.state.service.lanes[0].load
        assert load.mean(Rank.CLICK) != load.mean(Rank.LONG)  # both were at work there
    _wait_until_idle(service)


@pytest.mark.parametrize("shape", ["events", "answer"])
def test_closed_connection_ends_the_search(service: Running, client: httpx.Client, key: str, shape: str) -> None:
    before = steps(service)
    if shape == "events":
        with events(client, key, **LONG) as told:
            assert _begun(told) < 40_000
    else:
        with pytest.raises(httpx.ReadTimeout):
            client.post(path(key), json=LONG, timeout=httpx.Timeout(PATIENCE, read=1.0))
    _wait_until_idle(service)
    assert before < steps(service) < before + 20_000
    with events(client, key, **GRID) as told:  # and the next one may begin
        assert [name for name, _ in told if name][-1] == "result"


@pytest.mark.soak
def test_one_search_a_caller_at_a_time(strip_segmenter: Segmenter, strip: np.ndarray, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("ann:0123456789abcdef\nbob:fedcba9876543210\n")
    tokens.chmod(0o600)
    with (
        running(strip_segmenter, tmp_path, access=Access(token_file=tokens), limits=Limits(queue=8)) as service,
        service.client({"authorization": "Bearer 0123456789abcdef"}) as ann,
        service.client({"authorization": "Bearer fedcba9876543210"}) as bob,
    ):
        own, other = upload(ann, as_png(strip)), upload(bob, as_png(strip))
        assert ann.post(path(own), json=GRID).status_code == 200
        with events(ann, own, **LONG) as told:
            assert _begun(told)
            for headers in ({}, {"accept": "text/event-stream"}):
                refused = ann.post(path(own), json={"points_per_side": 2}, headers=headers)
                error_of(refused, 429, "too_many_requests")
                assert 1 <= int(refused.headers["retry-after"]) <= 30
            assert bob.post(path(other), json={"points_per_side": 2}).status_code == 200
        _wait_until_idle(service)


def test_searches_take_few_of_the_places(strip_segmenter: Segmenter, strip: np.ndarray, tmp_path: Path) -> None:
    with (
        running(strip_segmenter, tmp_path, access=Access(public=True), limits=Limits(queue=4)) as service,
        service.client() as ann,
        service.client() as bob,
    ):
        own, other = upload(ann, as_png(strip)), upload(bob, as_png(strip))
        with events(ann, own, **LONG) as told:
            assert _begun(told)
            refused = bob.post(path(other), json=GRID)
            error_of(refused, 503, "busy")
            assert refused.headers["retry-after"]


def test_what_is_kept_is_given_while_another_search_runs(
    service: Running, client: httpx.Client, key: str, strip: np.ndarray
) -> None:
    other = upload(client, as_png(strip[:, :700]))
    assert client.post(path(other), json=GRID).status_code == 200
    with events(client, key, **LONG) as told:
        assert _begun(told)
        assert client.post(path(other), json={**GRID, "pred_iou_thresh": 0.9}).status_code == 200
    _wait_until_idle(service)


@pytest.mark.parametrize("shape", ["events", "answer"])
def test_image_that_is_forgotten_ends_the_search(service: Running, client: httpx.Client, key: str, shape: str) -> None:
    if shape == "events":
        with events(client, key, **LONG) as told:
            assert _begun(told)
            assert client.delete(f"/v1/images/{key}").status_code == 204
            name, data = [one for one in told if one[0] != "progress"][-1]
        assert (name, data["status"], data["error"]["code"]) == ("error", 410, "image_gone")
    else:
        before = steps(service)
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(client.post, path(key), json=LONG)
            wait_until(lambda: steps(service) > before, PATIENCE)
            assert client.delete("/v1/images").status_code == 204
            error_of(asked.result(PATIENCE), 410, "image_gone")
    _wait_until_idle(service)


@pytest.mark.parametrize("told_by", ["server", "client"])
def test_when_the_time_is_over_what_was_found_is_given(
    strip_segmenter: Segmenter, strip: np.ndarray, tmp_path: Path, told_by: str
) -> None:
    limits = Limits(everything=2.0) if told_by == "server" else Limits()
    headers = {} if told_by == "server" else {"x-request-timeout": "2"}
    with running(strip_segmenter, tmp_path, limits=limits) as service, service.client(headers) as client:
        key = upload(client, as_png(strip))
        assert client.post(f"/v1/images/{key}/masks", json=CLICK).status_code == 200
        answer = client.post(path(key), json=LONG)
        assert answer.status_code == 200 and answer.json()["complete"] is False
        assert 0 < answer.json()["points"] < 40_000
        with events(client, key, **LONG) as told:  # half a search is not kept
            name, data = [one for one in told if one[0]][-1]
        assert name == "result" and data["complete"] is False
        assert service.app.state.service.store.masks.get(("finds", key), "local") is None


def test_time_of_a_search_is_its_own(strip_segmenter: Segmenter, strip: np.ndarray, tmp_path: Path) -> None:
    """Other requests have two seconds here, and this one takes five."""
    with (
        running(strip_segmenter, tmp_path, limits=Limits(deadline=2.0, everything=5.0)) as service,
        service.client() as client,
    ):
        key = client.post("/v1/images", content=as_png(strip), headers={"x-request-timeout": "60"}).json()["id"]
        body = {**CLICK, "multimask": True}
        assert client.post(f"/v1/images/{key}/masks", json=body, headers={"x-request-timeout": "60"}).is_success
        answer = client.post(path(key), json=LONG)
        assert answer.status_code == 200 and not answer.json()["complete"], answer.text


def test_server_that_stops_gives_searches_up_politely(
    strip_segmenter: Segmenter, strip: np.ndarray, tmp_path: Path
) -> None:
    def make(segmenters: Any, settings: ServeSettings) -> FastAPI:
        return create_app(segmenters, replace(settings, drain=1.0))

    with running(strip_segmenter, tmp_path, make=make) as service, service.client() as client:
        key = upload(client, as_png(strip))
        with events(client, key, **LONG) as told:
            assert _begun(told)
            service.app.state.health.draining = True
            name, data = [one for one in told if one[0] != "progress"][-1]
        assert (name, data["status"], data["error"]["code"]) == ("error", 503, "draining")


def test_lane_that_closes_ends_searches(strip_segmenter: Segmenter, strip: np.ndarray, tmp_path: Path) -> None:
    with running(strip_segmenter, tmp_path) as service, service.client() as client:
        key = upload(client, as_png(strip))
        with events(client, key, **LONG) as told:
            assert _begun(told)
            closing = threading.Thread(target=service.app.state.service.lanes[0].close)
            closing.start()
            name, data = [one for one in told if one[0] != "progress"][-1]
            closing.join(PATIENCE)
        assert (name, data["status"], data["error"]["code"]) == ("error", 503, "draining")


def test_line_is_kept_alive_while_nothing_happens(
    service: Running, client: httpx.Client, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clickmask.service.http.everything_routes.HEARTBEAT", 0.05)
    lane = service.app.state.service.lanes[0]
    go_on = threading.Event()
    original = lane._run

    def held(kind: Any, works: Any) -> Any:
        if kind == STEP:
            assert go_on.wait(PATIENCE)
        return original(kind, works)

    monkeypatch.setattr(lane, "_run", held)
    with events(client, key, **GRID, min_area=1) as told:
        service.app.state.service.store.masks.clear()
        first = next(told)
        go_on.set()
        assert [name for name, _ in told if name][-1] == "result"
    assert first[0] == "" and first[1].startswith(": ")


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"pred_iou_thresh": -0.1}, "pred_iou_thresh", "bad_request"),
    ({"pred_iou_thresh": "0.5"}, "pred_iou_thresh", "bad_request"),
    ({"stability_score_thresh": -1}, "stability_score_thresh", "bad_request"),
    ({"box_nms_thresh": 1.5}, "box_nms_thresh", "bad_request"),
    ({"points_per_side": 0}, "points_per_side", "bad_request"),
    ({"points_per_side": 4.5}, "points_per_side", "bad_request"),
    ({"points_per_side": True}, "points_per_side", "bad_request"),
    ({"points_per_side": None}, "points_per_side", "bad_request"),
    ({"points_per_side": 8, "point_grids": [[[0.5, 0.5]]]}, "points_per_side", "bad_request"),
    ({"point_grids": [[[0.5, 1.5]]]}, "point_grids[0]", "bad_request"),
    ({"point_grids": [[[0.5]]]}, "point_grids[0][0][1]", "bad_request"),
    ({"point_grids": []}, "point_grids", "bad_request"),
    ({"point_grids": [[[0.5, 0.5]]], "crop_n_layers": 1}, "point_grids", "bad_request"),
    ({"point_grids": [[[0.5, 0.5]] * 4097]}, "point_grids[0]", "bad_request"),
    ({"point_grids": [[[0.5, 0.5]] * 3000] * 2}, "point_grids", "too_many"),
    ({"points_per_side": 1024}, "points_per_side", "too_many"),
    ({"points_per_side": 1024, "tiles": 64, "tile_halo": 0.5}, "tiles", "too_many"),
    ({"points_per_side": 1024, "crop_n_layers": 6}, "crop_n_layers", "too_many"),
    ({"tiles": 63}, "tiles", "bad_request"),
    ({"tiles": "all"}, "tiles", "bad_request"),
    ({"tiles": 256, "crop_n_layers": 1}, "tiles", "bad_request"),
    ({"whole": False}, "whole", "bad_request"),
    ({"tile_halo": 0.6}, "tile_halo", "bad_request"),
    ({"crop_n_layers": -1}, "crop_n_layers", "bad_request"),
    ({"crop_n_layers": 7}, "crop_n_layers", "bad_request"),
    ({"floor_score": -1}, "floor_score", "bad_request"),
    ({"floor_score": 0.9}, "pred_iou_thresh", "bad_request"),
    ({"floor_stability": 0.99}, "stability_score_thresh", "bad_request"),
    ({"min_area": -1}, "min_area", "bad_request"),
    ({"min_area": 1 << 70}, "min_area", "bad_request"),
    ({"dedup": "no"}, "dedup", "bad_request"),
    ({"non_overlapping": "big"}, "non_overlapping", "bad_request"),
    ({"max_memory": 1}, "max_memory", "bad_request"),
    ({"format": "cutout"}, "format", "bad_request"),
    ({"scale": "tiny"}, "scale", "bad_request"),
    ({"points": 8}, "points", "bad_request"),
]


@pytest.mark.parametrize(("wishes", "field", "code"), WRONG, ids=lambda value: str(value)[:40])
def test_wrong_option_is_named(client: httpx.Client, key: str, wishes: dict[str, Any], field: str, code: str) -> None:
    for headers in ({}, {"accept": "text/event-stream"}):
        error = error_of(client.post(path(key), json=wishes, headers=headers), 422, code)
        assert error["field"] == field and field.split("[")[0] in error["message"], error


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize("name", ["pred_iou_thresh", "stability_score_offset", "tile_halo", "floor_score"])
def test_what_is_no_number_is_refused(client: httpx.Client, key: str, name: str, value: str) -> None:
    answer = client.post(path(key), content=f'{{"{name}": {value}}}')
    error = error_of(answer, 422)
    assert error["field"] == name


def test_request_that_cannot_be_read_or_is_about_nothing(client: httpx.Client, key: str) -> None:
    error_of(client.post(path(key), content=b"{"), 400, "bad_json")
    error_of(client.post(path("img_nothing"), json={}), 404, "not_found")
    client.delete("/v1/images")
    for headers in ({}, {"accept": "text/event-stream"}):
        error_of(client.post(path(key), json={}, headers=headers), 410, "image_gone")


def test_search_that_memory_runs_out_for_is_refused_and_never_half_a_result(tiny_segmenter: Segmenter) -> None:
    told = []

    def steps_of() -> Iterator[Progress]:
        yield Progress(0, 9)
        raise torch.OutOfMemoryError

    engine = Engine(tiny_segmenter, on_out_of_memory=lambda: told.append(1))
    step = Step(steps_of(), Finds((9, 9), (0, 0, 9, 9), []))
    assert engine.run(STEP, [step]) == [Progress(0, 9)]
    (error,) = engine.run(STEP, [step])
    assert isinstance(error, ApiError) and (error.status, error.code) == (503, "out_of_memory")
    assert error.retry_after and told == [1]
    assert json.loads(error.body())["error"]["code"] == "out_of_memory"
