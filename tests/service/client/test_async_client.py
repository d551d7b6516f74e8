"""The same verbs, awaited: one loop, many tasks."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable

import httpx
import numpy as np
import pytest
from stand_in import StandIn, broken, refusal

from clickmask import ClickmaskError, ClosedError, ImageError, Prompt, PromptError
from clickmask.models.errors import ServiceUnavailableError
from clickmask.service.client import AsyncClient, AsyncRemoteImage, AsyncRemoteMask, Client

Work = Callable[[AsyncClient, AsyncRemoteImage], Awaitable[None]]


def _with_image(server: StandIn, png: bytes, work: Work) -> None:
    async def main() -> None:
        async with (
            AsyncClient("http://clickmask.test", transport=server.transport(), timeout=5) as client,
            await client.open(png) as image,
        ):
            await work(client, image)

    asyncio.run(main())


def test_verbs_ask_what_the_blocking_ones_ask(server: StandIn, png: bytes) -> None:
    async def work(client: AsyncClient, image: AsyncRemoteImage) -> None:
        mask = await image.click(3, 4)
        assert isinstance(mask, AsyncRemoteMask) and image.size == (90, 60)
        await image.segment([(3, 4)], previous=mask)
        await image.candidates([(3, 4)])
        await image.segment_many([Prompt([(3, 4)]), Prompt(box=(0, 0, 9, 9))])
        await (await image.window((10, 10, 50, 50))).click(20, 20)
        assert (await client.models())[0]["name"] == "stand_in"

    _with_image(server, png, work)
    other = StandIn()
    with Client("http://clickmask.test", transport=other.transport()) as client, client.open(png) as image:
        image.segment([(3, 4)], previous=image.click(3, 4))
        image.candidates([(3, 4)])
        image.segment_many([Prompt([(3, 4)]), Prompt(box=(0, 0, 9, 9))])
        image.window((10, 10, 50, 50)).click(20, 20)
        client.models()
    assert [(r.method, r.url, r.content) for r in server.seen] == [(r.method, r.url, r.content) for r in other.seen]


def test_thing_is_clicked_edited_and_undone(server: StandIn, png: bytes) -> None:
    async def work(client: AsyncClient, image: AsyncRemoteImage) -> None:
        thing = image.start()
        first = await thing.add(3, 4)
        assert len(thing.candidates) == 3 and thing.candidates[0] is first
        second = await thing.add(50, 20, label=0)
        expected = await image.segment([(3, 4), (50, 20)], [1, 0], previous=first)
        assert np.array_equal(second.pixels, expected.pixels)
        await thing.set_box(0, 0, 60, 50)
        await thing.move(1, 51, 21)
        assert thing.points == [(3, 4), (51, 21)] and thing.box == (0, 0, 60, 50)
        await thing.clear_box()
        await thing.delete(1)
        assert thing.box is None and await thing.delete(0) is None and thing.mask is None
        with pytest.raises(PromptError, match="outside"):
            await thing.add(500, 4)
        assert thing.undo() is not None

    _with_image(server, png, work)


def test_tasks_that_notice_a_forgotten_image_upload_once(server: StandIn, png: bytes) -> None:
    async def work(client: AsyncClient, image: AsyncRemoteImage) -> None:
        all_asked = asyncio.Barrier(16)

        async def gone_for_all(request: httpx.Request) -> httpx.Response:
            await all_asked.wait()
            return refusal(410, "image_gone")(request)

        server.first = [gone_for_all] * 16
        await asyncio.gather(*(image.click(n, 4) for n in range(16)))

    _with_image(server, png, work)
    assert server.uploads == 2


def test_chain_is_found_out_again(server: StandIn, png: bytes) -> None:
    async def work(client: AsyncClient, image: AsyncRemoteImage) -> None:
        mask = await image.segment([(5, 6)], previous=await image.click(3, 4))
        expected = await image.segment([(9, 9)], previous=mask)
        server.masks.clear()
        assert np.array_equal((await image.segment([(9, 9)], previous=mask)).pixels, expected.pixels)

    _with_image(server, png, work)


def test_logits_are_fetched_by_name(server: StandIn, png: bytes) -> None:
    async def work(client: AsyncClient, image: AsyncRemoteImage) -> None:
        mask = await image.click(3, 4)
        with pytest.raises(ClickmaskError, match=r"await mask\.fetch_logits"):
            _ = mask.logits
        logits = await mask.fetch_logits()
        assert logits.shape == (256, 256) and mask.logits is logits

    _with_image(server, png, work)


def test_refusals_and_hitches_are_waited_out(server: StandIn, png: bytes) -> None:
    async def work(client: AsyncClient, image: AsyncRemoteImage) -> None:
        server.first = [broken, refusal(429, "busy", retry_after="1")]
        start = time.monotonic()
        await image.click(3, 4)
        assert time.monotonic() - start >= 1

    _with_image(server, png, work)


def test_server_that_never_answers_costs_the_time_out(png: bytes) -> None:
    async def main(port: int) -> None:
        async with AsyncClient(f"http://127.0.0.1:{port}", timeout=0.5) as client:
            with pytest.raises(ServiceUnavailableError, match=r"within 0\.5 s"):
                await client.open(png)

    with socket.create_server(("127.0.0.1", 0)) as silent:
        start = time.monotonic()
        asyncio.run(main(silent.getsockname()[1]))
    assert 0.4 < time.monotonic() - start < 1.5


def test_cancelled_verb_is_cancelled(server: StandIn, png: bytes) -> None:
    async def work(client: AsyncClient, image: AsyncRemoteImage) -> None:
        server.always = refusal(503, "busy", retry_after="3")
        task = asyncio.create_task(image.click(3, 4))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        server.always = None

    _with_image(server, png, work)


def test_open_many_keeps_the_order_and_uploads_one_ahead(server: StandIn, png: bytes) -> None:
    sources = [np.full((20, 20 + n, 3), n, np.uint8) for n in range(5)]

    async def work(client: AsyncClient, image: AsyncRemoteImage) -> None:
        widths = []
        async for opened in client.open_many(sources):
            widths.append(opened.size[0])
            assert server.uploads <= len(widths) + 2
        assert widths == [20, 21, 22, 23, 24]
        left_out: list[object] = []
        mixed = client.open_many([b"1", sources[0], b"2"], on_error=lambda source, error: left_out.append(source))
        assert len([opened async for opened in mixed]) == 1 and left_out == [b"1", b"2"]
        with pytest.raises(ImageError):
            _ = [opened async for opened in client.open_many([sources[0], b"1"])]

    _with_image(server, png, work)


def test_what_was_closed_answers_no_more(server: StandIn, png: bytes) -> None:
    async def work(client: AsyncClient, image: AsyncRemoteImage) -> None:
        await image.close()
        with pytest.raises(ClosedError, match="this image was closed"):
            await image.click(3, 4)
        await client.close()
        with pytest.raises(ClosedError, match="this client was closed"):
            await client.open(png)

    _with_image(server, png, work)
    assert server.images == {}
