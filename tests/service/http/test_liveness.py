"""Liveness answers quickly while the largest of images are decoded: nothing that takes long is on the event loop."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import cv2
import numpy as np
from load import HeldSegmenter, Seen, app_of, client_of, note, send, upload
from serving import serve
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from clickmask.service.http.settings import Limits
from clickmask.service.images import read_picture

PROMISED = 0.3  # seconds for liveness under load
IMAGES = 6


def _fifty_megapixels() -> bytes:
    """A JPEG file of 50,000 x 1,000 pixels, quickly encoded by the network since it is so low."""
    row = np.tile(np.arange(256, dtype=np.uint8), 50_000 // 250)[None, :50_000]
    pixels = np.repeat(np.repeat(row, 1000, axis=0)[..., None], 3, axis=2)
    return cv2.imencode(".jpg", pixels)[1].tobytes()


async def _slowest_while_uploading(url: str, images: int) -> tuple[float, list[Seen]]:
    """Seconds of the slowest answer of /livez while images are decoded, and what became of those."""
    image = _fifty_megapixels()
    async with client_of(url) as client, client_of(url) as prober:
        sent = asyncio.gather(*(upload(client, image + bytes([n])) for n in range(images)))
        slowest, asked = 0.0, 0
        while not sent.done():
            began = time.perf_counter()
            assert (await send(prober, "GET", "/livez")).status == 200
            slowest, asked = max(slowest, time.perf_counter() - began), asked + 1
            await asyncio.sleep(0.01)
        assert asked > 0
        return slowest, await sent


def test_liveness_is_answered_while_images_of_fifty_megapixels_are_decoded(cache_folder: Path, tmp_path: Path) -> None:
    app = app_of(HeldSegmenter(cache_folder), tmp_path, limits=Limits(queue_bytes=2 << 30), images=1 << 30, decoders=2)
    with serve(app) as url:
        slowest, seen = asyncio.run(_slowest_while_uploading(url, IMAGES))
    note("slowest liveness, seconds", slowest)
    assert {one.status for one in seen} == {201} and seen[0].body["width"] == 50_000
    assert slowest < 3 * PROMISED


def test_decoding_on_the_event_loop_would_be_noticed() -> None:
    async def live(request: Request) -> Response:
        return Response(status_code=200)

    async def decode(request: Request) -> Response:
        body = await request.body()
        end = time.perf_counter() + 5 * PROMISED
        while time.perf_counter() < end:
            read_picture(body)
        return Response(status_code=201)

    routes = [Route("/livez", live), Route("/v1/images", decode, methods=["POST"])]
    with serve(Starlette(routes=routes)) as url:
        slowest, _ = asyncio.run(_slowest_while_uploading(url, 1))
    assert slowest > 3 * PROMISED
