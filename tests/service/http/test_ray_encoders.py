"""`clickmask serve --ray`: images are encoded by replicas of a Ray Serve deployment, with a service's usual answers."""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import psutil
import pytest
from load import CLICK, PATIENCE, HeldSegmenter, Seen, click, client_of, strip, upload
from serving import serve, wait_until

from clickmask import Segmenter
from clickmask.models.errors import SettingsError
from clickmask.service.cli.batch_workers import opener
from clickmask.service.cli.settings import Settings
from clickmask.service.cluster.connect import connected
from clickmask.service.cluster.encoders import RayEncoders, ray_encoders
from clickmask.service.http.app import create_app
from clickmask.service.http.encoders import Encoders
from clickmask.service.http.settings import Decoders, Limits, ServeSettings, Storage

pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # Ray's own
    pytest.mark.skipif(sys.platform != "linux", reason="replicas are found and stopped as on Linux"),
]


@pytest.fixture(scope="module")
def segmenter(cache_folder: Path) -> HeldSegmenter:
    return HeldSegmenter(cache_folder)


@pytest.fixture(scope="module")
def make_opener(cache_folder: Path) -> Callable[[int], Callable[[], Segmenter]]:
    return partial(opener, Settings("vit_t", "cpu", "float32", "rectangle", "auto", cache_folder))


@pytest.fixture(scope="module")
def encoders(segmenter: Segmenter, make_opener: Any) -> Iterator[RayEncoders]:
    """One replica, on a cluster of this machine."""
    with pytest.MonkeyPatch.context() as patch:  # what Ray starts inherits these
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
        patch.setenv("RAY_AUTH_MODE", "disabled")  # else it leaves a token in the caller's home
        with ray_encoders("local", make_opener, 1, segmenter.provenance, 1) as encoders:
            yield encoders


@contextmanager
def _serving(segmenter: Segmenter, folder: Path, encoders: Encoders | None, queue: int = 64) -> Generator[str]:
    """Where it serves."""
    settings = ServeSettings(limits=Limits(queue=queue), storage=Storage(folder=folder), decoders=Decoders(count=1))
    with serve(create_app([segmenter], settings, encoders=encoders)) as url:
        yield url


def _replica() -> psutil.Process:
    found: list[psutil.Process] = []

    def look() -> bool:
        found[:] = [
            one for one in psutil.process_iter(["cmdline"]) if "ServeReplica" in " ".join(one.info["cmdline"] or ())
        ]
        return len(found) == 1

    wait_until(look, PATIENCE)
    return found[0]


def _ask(url: str) -> list[Any]:
    """What a service answers about an image and about a window of it, but for names."""
    with httpx.Client(base_url=url, timeout=PATIENCE, trust_env=False) as client:
        image = client.post("/v1/images", content=strip(1)).json()["id"]
        window = client.post(f"/v1/images/{image}/windows", json={"box": [300, 0, 801, 16]}).json()["id"]
        answers = [client.post(f"/v1/images/{key}/masks", json=CLICK).json() for key in (image, window)]
    return [[{**result, "mask_id": ""} for result in answer["objects"][0]] for answer in answers]


def test_answers_are_those_of_a_service_that_encodes_itself(
    segmenter: HeldSegmenter, encoders: RayEncoders, tmp_path: Path
) -> None:
    with _serving(segmenter, tmp_path, encoders) as url:
        segmenter.begun.clear()  # its first image is one the service asks about before it is ready
        far = _ask(url)
        assert not segmenter.begun.is_set(), "it encoded itself"
    with _serving(segmenter, tmp_path, None) as url:
        assert far == _ask(url)
        assert segmenter.begun.is_set()


@pytest.mark.soak
def test_a_replica_that_is_killed_costs_no_answer(segmenter: Segmenter, encoders: RayEncoders, tmp_path: Path) -> None:
    async def ask(url: str) -> list[Seen]:
        async with client_of(url) as client:
            opened = await asyncio.gather(*(upload(client, strip(n)) for n in range(4)))
            asked = [asyncio.create_task(click(client, one.body["id"])) for one in opened]
            await asyncio.sleep(0.1)
            first.kill()
            return await asyncio.gather(*asked)

    first = _replica()
    with _serving(segmenter, tmp_path, encoders) as url:
        first.suspend()  # so that it is at work, or about to be, when it dies
        seen = asyncio.run(ask(url))
    assert [one.status for one in seen] == [200] * 4
    assert _replica().pid != first.pid


@pytest.mark.soak
def test_what_waits_for_a_replica_is_bounded(segmenter: Segmenter, encoders: RayEncoders, tmp_path: Path) -> None:
    async def ask(url: str) -> tuple[list[Seen], list[Seen]]:
        async with client_of(url) as client:
            opened = await asyncio.gather(*(upload(client, strip(n)) for n in range(12)))
            refused = [one for one in opened if one.status != 201]
            replica.resume()
            keys = [one.body["id"] for one in opened if one.status == 201]
            return refused, await asyncio.gather(*(click(client, key) for key in keys))

    replica = _replica()
    with _serving(segmenter, tmp_path, encoders, queue=8) as url:
        replica.suspend()
        try:
            refused, answered = asyncio.run(ask(url))
        finally:
            replica.resume()
    assert {(one.status, one.code) for one in refused} == {(429, "too_many_requests")}, refused
    assert all(one.retry_after for one in refused)
    assert Counter(one.status for one in answered) == {200: 12 - len(refused)} and len(answered) <= 8


@pytest.mark.soak
def test_replicas_that_would_answer_otherwise_are_refused(
    segmenter: Segmenter, encoders: RayEncoders, make_opener: Any
) -> None:
    from clickmask.service.cluster.connect import Share
    from clickmask.service.cluster.encoders import _deploy

    expected = {**segmenter.provenance, "precision": "bfloat16"}
    with pytest.raises(SettingsError, match="precision is float32, not bfloat16"):
        _deploy("another", make_opener(1), expected, Share(0, 0), 1)


def test_an_address_without_a_cluster_is_refused_at_once() -> None:
    with (
        pytest.raises(SettingsError, match=r"--ray 127\.0\.0\.1:9: there is no such Ray cluster"),
        connected("127.0.0.1:9", None),
    ):
        pass


def test_what_is_no_ray_is_refused_soon() -> None:
    """Ray itself would go on trying, deaf to Ctrl-C."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        with (
            pytest.raises(SettingsError, match="what answers there is no Ray cluster"),
            connected(f"127.0.0.1:{server.server_port}", None),
        ):
            pass
    finally:
        server.shutdown()
