"""Decoders that die and devices that fail, under load and over HTTP: who pays, and that nobody gets a wrong answer."""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import psutil
import pytest
import torch
from decoders import decoders
from load import (
    PATIENCE,
    HeldSegmenter,
    Seen,
    app_of,
    click,
    client_of,
    closed_loop,
    figure,
    send,
    serving,
    strip,
    upload,
)
from serving import serve, wait_until

from clickmask import OpenImage, Segmenter
from clickmask.models.frame import Frame
from clickmask.service.images import Picture

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="processes are stopped as on Linux")
Pictures = Sequence[tuple[Picture, Frame]]

# A whole server whose device breaks over pictures that are 17 pixels high, once the file "go" is there.
BREAKING = """
import logging, sys, time
from pathlib import Path
from clickmask import Segmenter
from clickmask.service.http.app import create_app
from clickmask.service.http.listener import address, bind
from clickmask.service.http.log import configure_logging
from clickmask.service.http.server import run
from clickmask.service.http.settings import Decoders, ServeSettings, Storage

class Breaking(Segmenter):
    def open_together(self, pictures):
        if pictures[0][0].size[1] == 17:
            (folder / "at work").touch()
            while not (folder / "go").exists():
                time.sleep(0.01)
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        return super().open_together(pictures)

configure_logging()
folder = Path(sys.argv[sys.argv.index("--state-dir") + 1])
settings = ServeSettings(port=0, storage=Storage(folder=folder), decoders=Decoders(count=1))
sockets = bind(settings.host, settings.port)
app = create_app([Breaking(device="cpu", precision="float32", fit="rectangle", cache_dir=folder)], settings)
told = f"clickmask serves at {address(settings.host, sockets)} "
sys.exit(run(app, settings, app.state.health, sockets, lambda: logging.getLogger("clickmask").info(told)))
"""


class _Failing(Segmenter):
    """A segmenter that fails as `fault` says, asked after each picture: who wants that one waits by then."""

    fault: Callable[[], None] = staticmethod(lambda: None)

    def open_together(self, pictures: Pictures) -> list[OpenImage]:
        images = super().open_together(pictures)
        self.fault()
        return images


@pytest.fixture(scope="module")
def failing(cache_folder: Path) -> _Failing:
    return _Failing("vit_t", device="cpu", precision="float32", fit="rectangle", cache_dir=cache_folder)


@pytest.fixture(scope="module")
def app(cache_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return app_of(HeldSegmenter(cache_folder), tmp_path_factory.mktemp("state"), decoders=2, images=512 << 20)


@pytest.fixture(scope="module")
def url(app: Any) -> Iterator[str]:
    with serve(app) as url:
        yield url


def _seventeen_high() -> bytes:
    return cv2.imencode(".png", np.zeros((17, 1024, 3), np.uint8))[1].tobytes()


@LINUX
def test_decoder_that_is_killed_costs_the_one_request_it_worked_for(url: str, app: Any) -> None:
    workers = decoders()

    async def ask() -> list[Seen]:
        async with client_of(url) as client:
            sent = [asyncio.create_task(upload(client, strip(n))) for n in range(8)]
            await asyncio.to_thread(wait_until, lambda: app.state.service.opens.inside == 8)
            await asyncio.sleep(0.2)  # until two of them are with the decoders
            workers[0].kill()
            for worker in workers:
                with suppress(psutil.NoSuchProcess):
                    worker.resume()
            return await asyncio.gather(*sent)

    for worker in workers:
        worker.suspend()
    seen = asyncio.run(ask())
    assert Counter((one.status, one.code) for one in seen) == {(201, None): 7, (422, "bad_image"): 1}
    wait_until(lambda: figure(app, "decoder_restarts_total", reason="crash") == 1)


@LINUX
def test_decoders_killed_at_random_moments_harm_nobody_else(url: str, app: Any) -> None:
    draw = random.Random(7)
    kills: list[int] = []
    numbers = count(100)

    async def kill() -> None:
        for _ in range(5):
            await asyncio.sleep(draw.uniform(0.1, 0.7))
            alive = decoders()
            if alive:
                kills.append(1)
                draw.choice(alive).kill()

    async def ask() -> list[list[Seen]]:
        async with client_of(url) as client:
            image = (await upload(client, strip(1))).body["id"]
        steps = [*[lambda client: upload(client, strip(next(numbers)))] * 3, *[lambda client: click(client, image)] * 2]
        return (await asyncio.gather(closed_loop(url, 3, [(None, step) for step in steps]), kill()))[0]

    seen = asyncio.run(ask())
    uploads = Counter((one.status, one.code) for own in seen[:3] for one in own)
    assert set(uploads) <= {(201, None), (422, "bad_image"), (429, "too_many_requests")} and uploads[201, None] > 0
    assert uploads[422, "bad_image"] <= len(kills)
    assert {one.status for own in seen[3:] for one in own} == {200}, "clicks need no decoder"
    wait_until(lambda: app.state.service.opens.inside == 0)
    assert httpx.post(f"{url}/v1/images", content=strip(99), timeout=PATIENCE).status_code == 201


def test_memory_that_runs_out_is_told_or_made_good_and_never_a_wrong_answer(failing: _Failing, tmp_path: Path) -> None:
    draw, faults = random.Random(3), Counter[str]()

    def fault() -> None:
        if draw.random() < 0.4:
            faults["oom"] += 1
            raise torch.OutOfMemoryError("injected")

    async def ask(url: str, times: int) -> tuple[list[Any], Counter[Any]]:
        masks, seen = [], Counter[Any]()
        async with client_of(url) as client:
            for n in range(times):
                opened = await upload(client, strip(n % 4))
                assert opened.status in (200, 201)
                answer = await click(client, opened.body["id"])
                seen[answer.status, answer.code] += 1
                await send(client, "DELETE", f"/v1/images/{opened.body['id']}")
                if answer.status == 200:
                    masks.append((n % 4, [{**r, "mask_id": ""} for r in answer.body["objects"][0]]))
        return masks, seen

    with serve(app := app_of(failing, tmp_path)) as url:
        expected = dict(asyncio.run(ask(url, 4))[0])
        httpx.delete(f"{url}/v1/images")
        failing.fault = fault
        try:
            masks, seen = asyncio.run(ask(url, 20))
        finally:
            failing.fault = lambda: None
        assert 0 < figure(app, "oom_total") <= faults["oom"]
    assert set(seen) <= {(200, None), (503, "out_of_memory"), (410, "image_gone")} and seen[200, None] > 4, seen
    assert seen[503, "out_of_memory"] > 0
    assert all(mask == expected[n] for n, mask in masks)


def test_broken_device_is_not_asked_again_and_both_probes_tell(failing: _Failing, tmp_path: Path) -> None:
    def fault() -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    async def ask(url: str) -> None:
        async with client_of(url) as client:
            whole = await upload(client, strip(1))
            assert (await click(client, whole.body["id"])).status == 200
            assert [(await send(client, "GET", path)).status for path in ("/livez", "/readyz")] == [200, 200]
            failing.fault = fault
            broken = await upload(client, strip(2))
            answer = await click(client, broken.body["id"])
            assert answer.status in (410, 503) and answer.code in ("image_gone", "broken", "not_ready")
            assert (await click(client, whole.body["id"])).status == 503
            assert [(await send(client, "GET", path)).status for path in ("/livez", "/readyz")] == [503, 503]

    with serve(app_of(failing, tmp_path)) as url:
        try:
            asyncio.run(ask(url))
        finally:
            failing.fault = lambda: None


def test_broken_device_ends_the_process_with_70_for_whoever_starts_it_again(tmp_path: Path) -> None:
    state = tmp_path / "state"

    async def ask(url: str) -> list[Seen]:
        async with client_of(url) as client:
            image = (await upload(client, strip(1))).body["id"]
            before = await asyncio.gather(*(click(client, image) for _ in range(8)))
            assert {one.status for one in before} == {200}
            opened = asyncio.create_task(upload(client, _seventeen_high()))
            await _until(lambda: _exists(state / "at work"))
            waiting = [asyncio.create_task(click(client, image)) for _ in range(8)]
            await _until(lambda: _pending(client, 8))
            (state / "go").touch()
            broken = await opened
            after = await click(client, broken.body["id"]) if broken.body and "id" in broken.body else broken
            return [after, *await asyncio.gather(*waiting)]

    with serving(tmp_path, command=(sys.executable, "-c", BREAKING)) as served:
        after, *rest = asyncio.run(ask(served.url))
        began = time.monotonic()
        assert served.code() == 70
        assert time.monotonic() - began < 3 * 10
    assert after.status in (0, 410, 503), "there is no answer from a broken device"
    assert {one.status for one in rest} <= {200, 503}, "what was admitted is answered"


async def _until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not await holds():
            await asyncio.sleep(0.02)


async def _exists(file: Path) -> bool:
    return file.exists()


async def _pending(client: httpx.AsyncClient, count: int) -> bool:
    figures = (await client.get("/metrics")).text
    return f"clickmask_inference_pending_request_count {count:.1f}" in figures
