"""The endpoints `/segment` and `/everything`: the same masks, limits and owners as in the API."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from app_under_test import Running, error_of, marked, pixels_of, running
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from gradio_protocol import API, POINT, Caller, file_data
from layers import logged
from serving import wait_until

from clickmask import Segmenter
from clickmask.service import rle
from clickmask.service.http.settings import Access, Limits
from clickmask.ui.mount import create_page_app
from clickmask.ui.waiting import MOST_OF_ONE


def _over_http(client: httpx.Client, photo: bytes, prompt: str) -> dict[str, Any]:
    parts = {"file": ("a", photo), "prompts": (None, json.dumps({"objects": [json.loads(prompt)], "limit": 1}))}
    return client.post("/v1/segment", files=parts).json()["objects"][0][0]


@pytest.mark.parametrize("prompts", [POINT, json.loads(POINT), '{"box": [300, 0, 1000, 64]}'])
def test_gradio_client_gets_the_mask_that_the_api_gives(
    service: Running, client: httpx.Client, photo: bytes, tmp_path: Path, prompts: Any
) -> None:
    (tmp_path / "a.png").write_bytes(photo)
    program = Client(f"{service.url}/ui/", verbose=False, analytics_enabled=False, download_files=tmp_path / "got")
    try:
        file, about = program.predict(handle_file(tmp_path / "a.png"), prompts, api_name="/segment")
        jobs = [program.submit(handle_file(tmp_path / "a.png"), prompts, api_name="/segment") for _ in range(3)]
        assert [job.result(timeout=60)[1] for job in jobs] == [about] * 3
        with pytest.raises(AppError, match="lies outside"):
            program.predict(handle_file(tmp_path / "a.png"), '{"points": [[600, 64]]}', api_name="/segment")
    finally:
        program.close()
    expected = _over_http(client, photo, prompts if isinstance(prompts, str) else json.dumps(prompts))
    assert about == expected
    assert np.array_equal(pixels_of(Path(file).read_bytes()), rle.decode(about["rle"]) * np.uint8(255))


def test_gradio_client_gets_everything_that_the_api_gives(
    service: Running, client: httpx.Client, photo: bytes, tmp_path: Path
) -> None:
    (tmp_path / "a.png").write_bytes(photo)
    options = {"points_per_side": 4, "pred_iou_thresh": 0.75, "stability_score_thresh": 0.85}
    program = Client(f"{service.url}/ui/", verbose=False, analytics_enabled=False)
    try:
        found = program.predict(handle_file(tmp_path / "a.png"), json.dumps(options), api_name="/everything")
        with pytest.raises(AppError, match="points_per_side"):
            program.predict(handle_file(tmp_path / "a.png"), '{"points_per_side": 0}', api_name="/everything")
    finally:
        program.close()
    key = client.post("/v1/images", content=photo).json()["id"]
    assert found == client.post(f"/v1/images/{key}/everything", json=options).json()
    assert found["complete"] and found["masks"] and found["points"] == 16


def test_what_is_wrong_with_the_options_is_told_in_words(service: Running, client: httpx.Client, photo: bytes) -> None:
    caller = Caller.of(client, service, "everything")
    path = caller.upload(photo)
    for options, words in (('{"grid": 3}', "grid"), ({"min_area": -1}, "min_area"), ("[", "JSON")):
        done = caller.call([file_data(path), options])
        assert not done["success"] and words in done["output"]["error"] and done["output"]["title"] == "No masks"
    assert caller.call([file_data(path), {"points_per_side": 2}])["output"]["data"][0]["points"] == 4
    assert "nothing of yours" in caller.call([file_data("img_nothing"), ""])["output"]["error"]


def test_a_call_names_its_steps_and_then_closes(caller: Caller, photo: bytes) -> None:
    path = caller.upload(photo)
    first, second = (caller.join([file_data(path), POINT]).json()["event_id"] for _ in range(2))
    told = [(event["msg"], event.get("event_id")) for event in caller.listen()]
    steps = [(step, call) for call in (first, second) for step in ("process_starts", "process_completed")]
    assert told == [*steps, ("close_stream", None)]
    assert caller.listen() == [{"msg": "close_stream"}]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ([None, POINT], "image"),
        ([{"path": 7}, POINT], "image.path"),
        ([file_data("img_nothing"), POINT], "nothing of yours"),
        ([file_data(""), POINT], "nothing of yours"),
        (["PHOTO", "no JSON"], "JSON"),
        (["PHOTO", None], "body"),
        (["PHOTO", "{}"], "nothing to segment"),
        (["PHOTO", {"points": [[1, 2]], "labels": [7]}], "labels"),
        (["PHOTO", '{"points": [[-1, 2]]}'], "lies outside"),
        (["PHOTO", '{"objects": [{"points": [[1, 2]]}]}'], "objects"),
        (["PHOTO", "[" * 100_000], "JSON"),
    ],
)
def test_what_is_wrong_with_a_call_is_told_in_words(caller: Caller, photo: bytes, data: list[Any], words: str) -> None:
    data = [file_data(caller.upload(photo)) if part == "PHOTO" else part for part in data]
    done = caller.call(data)
    assert done["success"] is False and words in done["output"]["error"]
    assert "/" not in done["output"]["error"] and "Traceback" not in json.dumps(done)


def test_a_body_that_is_no_call_is_refused(caller: Caller) -> None:
    error_of(caller.join([None, None], fn_index=99), 404, "not_found")
    error_of(caller.join([None]), 422, "bad_request")
    error_of(caller.join([None, None], session=""), 422, "bad_request")
    error_of(caller.client.post(f"{API}/queue/join", content=b"{"), 400, "bad_json")
    error_of(caller.client.post(f"{API}/upload", content=b"x"), 415)
    error_of(caller.client.post(f"{API}/upload", files={"file": b"x"}), 422, "bad_request")
    assert caller.client.get(f"{API}/queue/data").status_code == 422


def test_calls_nobody_listens_to_are_few(caller: Caller, photo: bytes) -> None:
    joined = [caller.join([None, None], session=f"s{number % 3}") for number in range(MOST_OF_ONE + 1)]
    assert [answer.status_code for answer in joined] == [200] * MOST_OF_ONE + [429]
    error_of(joined[-1], 429, "too_many_requests")
    assert int(joined[-1].headers["retry-after"]) >= 1
    assert sum(len(caller.listen(f"s{number}")) for number in range(3)) == 2 * MOST_OF_ONE + 3
    assert caller.segment(caller.upload(photo))


def test_a_full_house_says_when_to_come_again(segmenter: Segmenter, tmp_path: Path, photo: bytes) -> None:
    with running(segmenter, tmp_path, limits=Limits(queue=1), make=create_page_app) as service:
        with service.client() as client, service.app.state.service.gate.enter("another"):
            for answer in (
                client.post(f"{API}/upload", files={"files": photo}),
                Caller.of(client, service).join([None, POINT]),
            ):
                error_of(answer, 503, "busy")
                assert int(answer.headers["retry-after"]) >= 1


def test_a_call_takes_no_longer_than_a_request_may(segmenter: Segmenter, tmp_path: Path, photo: bytes) -> None:
    with running(segmenter, tmp_path, limits=Limits(deadline=0.5), make=create_page_app) as service:
        inside = service.app.state.service
        with service.client({"X-Request-Timeout": "60"}) as client:  # for the upload, however slow the machine
            caller = Caller.of(client, service)
            path = caller.upload(photo)
            inside.embedding = _never  # a lane that does not come to it
            done = caller.call([file_data(path), POINT])
        assert "time" in done["output"]["error"] and inside.gate.inside == 0


def test_a_fault_of_ours_is_told_without_its_insides(
    service: Running, caller: Caller, photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = caller.upload(photo)
    with monkeypatch.context() as patch, logged() as lines:
        patch.setattr(service.app.state.service, "embedding", _fail)
        done = caller.call([file_data(path), POINT])
        wait_until(lambda: any(line.get("code") == "internal" for line in lines))  # it comes after the answer
    assert done["success"] is False and "secret" not in json.dumps(done) and "its log" in done["output"]["error"]
    (failed,) = (line for line in lines if line.get("message") == "a call failed")
    (told,) = (line for line in lines if line.get("code") == "internal")
    assert "a secret" in json.dumps(failed) and failed["id"] == told["id"]


async def _fail(*_: Any) -> None:
    raise RuntimeError("a secret")


async def _never(*_: Any) -> None:
    await asyncio.Event().wait()


def test_below_a_sub_path_and_with_a_token_it_works_too(segmenter: Segmenter, tmp_path: Path, photo: bytes) -> None:
    tokens = tmp_path / "tokens"
    tokens.touch(mode=0o600)
    tokens.write_text("ann:ann-has-a-long-token\nbob:bob-has-another-token\n")
    (tmp_path / "a.png").write_bytes(photo)
    access = Access(token_file=tokens)
    with running(segmenter, tmp_path, access=access, root_path="/sub", make=create_page_app) as service:
        headers = {"Authorization": "Bearer ann-has-a-long-token"}
        program = Client(f"{service.url}/sub/ui/", headers=headers, verbose=False, analytics_enabled=False)
        try:
            file, about = program.predict(handle_file(tmp_path / "a.png"), POINT, api_name="/segment")
        finally:
            program.close()
        assert np.array_equal(pixels_of(Path(file).read_bytes()) > 0, rle.decode(about["rle"]))


def test_files_and_calls_are_their_callers_alone(segmenter: Segmenter, tmp_path: Path, strip: np.ndarray) -> None:
    with running(segmenter, tmp_path, access=Access(public=True), make=create_page_app) as service:
        with service.client() as first, service.client() as second:
            ann, bob = Caller.of(first, service), Caller.of(second, service)
            for who in (ann, bob):
                who.client.get("/ui/")  # each browser gets its cookie
            hers = ann.upload(marked(strip, 1))
            mask, _ = ann.segment(hers)
            for path in (hers, mask["path"]):
                assert ann.fetch(path).status_code == 200
                error_of(bob.fetch(path), 404, "not_found")
            assert "nothing of yours" in bob.call([file_data(hers), POINT])["output"]["error"]
            call = ann.join([file_data(hers), POINT], session="known to both").json()["event_id"]
            assert bob.listen("known to both") == [{"msg": "close_stream"}]
            assert ann.listen("known to both")[0] == {"msg": "process_starts", "event_id": call}
            assert ann.client.delete("/v1/images").status_code == 204
            error_of(ann.fetch(hers), 410, "image_gone")
