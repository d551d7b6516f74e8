"""Equal uploads at one time are one piece of work, whatever becomes of some of them; the store keeps to its budget."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from decoders import decoders
from load import HeldSegmenter, Seen, app_of, click, client_of, figure, send, strip, upload
from serving import serve, wait_until

from clickmask.service.http.settings import MIB, Limits

T = TypeVar("T")
BODY = 1 << 20


@pytest.fixture(scope="module")
def segmenter(cache_folder: Path) -> HeldSegmenter:
    return HeldSegmenter(cache_folder)


@pytest.fixture(scope="module")
def app(segmenter: HeldSegmenter, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return app_of(segmenter, tmp_path_factory.mktemp("state"), limits=Limits(queue=128))


@pytest.fixture(scope="module")
def url(app: Any) -> Iterator[str]:
    with serve(app) as url:
        yield url


def _with_client(url: str, use: Callable[[httpx.AsyncClient], Awaitable[T]]) -> T:
    async def run() -> T:
        async with client_of(url) as client:
            return await use(client)

    return asyncio.run(run())


def _encodes(app: Any) -> float:
    wait_until(lambda: app.state.service.opens.inside == 0)
    return figure(app, "inference_count_total", kind="encode")


@contextmanager
def _decoders_held() -> Iterator[Callable[[], None]]:
    """No image is decoded within, until what this gives is called."""
    workers = decoders()

    def release() -> None:
        for worker in workers:
            worker.resume()

    for worker in workers:
        worker.suspend()
    try:
        yield release
    finally:
        release()


@pytest.mark.parametrize("equal", [True, False], ids=["equal", "different"])
def test_sixty_four_equal_uploads_are_encoded_once(url: str, app: Any, equal: bool) -> None:
    count = 64 if equal else 6
    before = _encodes(app)

    async def all_at_once(client: httpx.AsyncClient) -> list[Seen]:
        return await asyncio.gather(*(upload(client, strip(10 if equal else 11 + n)) for n in range(count)))

    seen = _with_client(url, all_at_once)
    assert {one.status for one in seen} <= {200, 201}
    ids = {one.body["id"] for one in seen}
    assert len(ids) == _encodes(app) - before == (1 if equal else count)


def test_leader_that_leaves_does_not_harm_those_who_came_after(url: str, app: Any) -> None:
    before = _encodes(app)

    async def leave(client: httpx.AsyncClient) -> list[Seen]:
        gate = app.state.service.gate
        leader = asyncio.create_task(upload(client, strip(20)))
        await asyncio.to_thread(wait_until, lambda: gate.inside == 1)
        rest = [asyncio.create_task(upload(client, strip(20))) for _ in range(15)]
        await asyncio.to_thread(wait_until, lambda: gate.inside == 16)
        leader.cancel()
        await asyncio.to_thread(wait_until, lambda: gate.inside == 15)
        release()
        return await asyncio.gather(*rest)

    with _decoders_held() as release:
        seen = _with_client(url, leave)
    assert {one.status for one in seen} <= {200, 201} and len({one.body["id"] for one in seen}) == 1
    assert _encodes(app) - before == 1


def test_error_is_everybodys_and_is_not_remembered(url: str, app: Any) -> None:
    broken = strip(30)[:-9000]
    before, things = _encodes(app), app.state.service.store.images.counts().things

    async def all_at_once(client: httpx.AsyncClient) -> list[Seen]:
        return await asyncio.gather(*(upload(client, broken) for _ in range(8)))

    for _ in range(2):
        assert Counter((one.status, one.code) for one in _with_client(url, all_at_once)) == {(422, "bad_image"): 8}
    assert _encodes(app) == before and app.state.service.store.images.counts().things == things


@pytest.mark.soak
@pytest.mark.parametrize("budget", [16 * MIB, 256 * MIB], ids=["small", "large"])
def test_store_is_never_larger_than_its_budget(segmenter: HeldSegmenter, tmp_path: Path, budget: int) -> None:
    app = app_of(segmenter, tmp_path, limits=Limits(body=BODY), images=budget, named=True)
    sizes: list[float] = []

    async def fill(client: httpx.AsyncClient) -> dict[tuple[int, int], str]:
        ids: dict[tuple[int, int], str] = {}
        for number in range(8):
            for user in range(3):
                seen = await upload(client, strip(number), headers={"X-User": str(user)})
                assert seen.status == 201 or (seen.status, seen.code) == (503, "store_full")
                if seen.body.get("id"):
                    ids[number, user] = seen.body["id"]
                stores = ("images", "pixels")
                sizes.append(sum(figure(app, "cache_bytes", store=store) for store in stores))
        return ids

    with serve(app) as url:
        ids = _with_client(url, fill)
        wait_until(lambda: app.state.service.opens.inside == 0)
        headers = [({"X-User": str(user)}, id) for (_, user), id in ids.items()]
        seen = [httpx.get(f"{url}/v1/images/{id}", headers=user).status_code for user, id in headers]
        others = {httpx.get(f"{url}/v1/images/{id}", headers={"X-User": "eve"}).status_code for _, id in headers}
        assert others == {404}
    if budget == 16 * MIB:
        assert max(sizes) <= budget and seen[-1] == 200 and seen.count(410) >= len(seen) - 3
    else:  # the negative control: it all fits, and is more than the small one
        assert max(sizes) > 16 * MIB and set(seen) == {200}


def test_image_fetched_ahead_pushes_out_nothing_in_use(segmenter: HeldSegmenter, tmp_path: Path) -> None:
    app = app_of(segmenter, tmp_path, limits=Limits(body=BODY), images=16 * MIB, named=True)
    ann, bob = {"X-User": "ann"}, {"X-User": "bob"}

    async def use(client: httpx.AsyncClient) -> None:
        images = [(await upload(client, strip(n), headers=ann)).body["id"] for n in range(2)]
        for image in images:
            assert (await click(client, image, headers=ann)).status == 200
        ahead = await send(client, "POST", "/v1/images?prefetch=true", content=strip(9), headers=bob)
        assert (ahead.status, ahead.code) == (503, "store_full") and ahead.retry_after
        assert [(await click(client, image, headers=ann)).status for image in images] == [200, 200]
        assert (await upload(client, strip(9), headers=bob)).status == 201  # the control: one that is wanted now
        assert {(await click(client, image, headers=ann)).status for image in images} == {200, 410}

    with serve(app) as url:
        _with_client(url, use)
