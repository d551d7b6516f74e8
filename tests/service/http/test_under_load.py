"""More than can be done: what is too much is refused in order, and everybody else is served, and served fairly."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from decoders import decoders
from load import HeldSegmenter, Seen, Step, app_of, click, client_of, closed_loop, figure, strip, upload
from serving import serve, wait_until

from clickmask.service.http.settings import Limits

MANY = {"objects": [{"points": [[20 * n + 9, 8]]} for n in range(16)], "scale": "model"}


@pytest.fixture(scope="module")
def segmenter(cache_folder: Path) -> HeldSegmenter:
    return HeldSegmenter(cache_folder)


@pytest.fixture(scope="module")
def app(segmenter: HeldSegmenter, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return app_of(segmenter, tmp_path_factory.mktemp("state"), limits=Limits(queue=24), named=True)


@pytest.fixture(scope="module")
def url(app: Any) -> Iterator[str]:
    with serve(app) as url:
        yield url


def _leave(url: str, *numbers: int, user: str = "ann") -> list[str]:
    """Ids of images that a user left."""
    headers = {"X-User": user}
    answers = [httpx.post(f"{url}/v1/images", content=strip(n), headers=headers, timeout=60) for n in numbers]
    return [answer.raise_for_status().json()["id"] for answer in answers]


def _clicks(image: str) -> Step:
    return lambda client: click(client, image)


def _uploads(first: int) -> Step:
    numbers = iter(range(first, first + 10_000))
    return lambda client: upload(client, strip(next(numbers)))


def _is_told_when(seen: Seen) -> bool:
    return seen.retry_after is not None and seen.retry_after.isdigit() and int(seen.retry_after) >= 1


def test_sixty_four_clients_are_answered_or_told_when_to_come_again(url: str, app: Any) -> None:
    users = [f"user-{n % 8}" for n in range(64)]
    images = {user: _leave(url, 1, user=user)[0] for user in sorted(set(users))}
    steps = [_uploads(1000 + 100 * n) if n % 16 == 0 else _clicks(images[user]) for n, user in enumerate(users)]
    seen = asyncio.run(closed_loop(url, 4, zip(users, steps, strict=True)))
    statuses = Counter(one.status for own in seen for one in own)
    assert set(statuses) <= {200, 201, 410, 429, 503} and statuses[200] > 8, statuses
    assert statuses[429] + statuses[503] > 0, "there was never too much to do"
    assert all(_is_told_when(one) for own in seen for one in own if one.status in (429, 503))
    wait_until(lambda: app.state.service.gate.inside == 0)


@pytest.mark.parametrize("bound", [8, 1000])
def test_more_than_can_be_done_never_fills_the_queue_beyond_its_bound(
    segmenter: HeldSegmenter, tmp_path: Path, bound: int
) -> None:
    app = app_of(segmenter, tmp_path, limits=Limits(queue=bound), named=True)
    depths: list[float] = []

    async def open_loop(url: str, images: dict[str, str]) -> list[Seen]:
        async with client_of(url) as client:
            sent = []
            for n in range(45):  # a hundred a second, three times what can be done
                user = f"user-{n % 3}"
                sent.append(asyncio.create_task(click(client, images[user], headers={"X-User": user})))
                await asyncio.sleep(0.01)
                depths.append(figure(app, "inference_pending_request_count"))
            return await asyncio.gather(*sent)

    with serve(app) as url:
        images = {user: _leave(url, 1, user=user)[0] for user in ("user-0", "user-1", "user-2")}
        seen = asyncio.run(open_loop(url, images))
        wait_until(lambda: figure(app, "inference_pending_request_count") == 0)
        assert httpx.get(f"{url}/readyz").status_code == 200
    statuses = Counter(one.status for one in seen)
    if bound == 1000:  # the negative control: with no bound in the way all of it waits
        assert max(depths) > 8 and statuses == {200: 45}
    else:
        assert max(depths) <= bound and set(statuses) == {200, 429, 503} - ({429} - set(statuses))


@pytest.mark.parametrize("leave", [True, False], ids=["leaving", "staying"])
def test_clicks_of_clients_that_left_are_never_decoded(
    url: str, app: Any, segmenter: HeldSegmenter, leave: bool
) -> None:
    (image,) = _leave(url, 2)
    loop = app.state.service.store.images.things_of("header:ann")[0][1].image.get_loop()

    async def ask() -> tuple[list[Any], int]:
        async with client_of(url, user="ann") as client:
            asked = [asyncio.create_task(click(client, image)) for _ in range(16)]
            await asyncio.to_thread(wait_until, lambda: app.state.service.gate.inside == 16)
            for task in asked[::2] if leave else ():
                task.cancel()
            left = 8 if leave else 16
            await asyncio.to_thread(wait_until, lambda: app.state.service.gate.inside == left)
            segmenter.gate.set()
            return await asyncio.gather(*asked, return_exceptions=True), left

    wait_until(lambda: figure(app, "inference_pending_request_count") == 0)
    before, decoded = len(asyncio.all_tasks(loop)), figure(app, "inference_count_total", kind="decode")
    with segmenter.holding(url, strip(200 + leave), {"X-User": "ann"}):
        answers, left = asyncio.run(ask())
    assert [one.status for one in answers if isinstance(one, Seen)] == [200] * left
    assert figure(app, "inference_count_total", kind="decode") - decoded == left
    wait_until(lambda: app.state.service.gate.inside == app.state.service.opens.inside == 0)
    wait_until(lambda: len(asyncio.all_tasks(loop)) <= before)


@pytest.mark.parametrize("leave", [True, False], ids=["leaving", "staying"])
def test_uploads_of_clients_that_left_are_never_encoded(
    url: str, app: Any, segmenter: HeldSegmenter, leave: bool
) -> None:
    service = app.state.service
    workers = decoders()
    encoded, things = figure(app, "inference_count_total", kind="encode"), service.store.images.counts().things

    async def send() -> None:
        async with client_of(url, user="ann") as client:
            sent = [asyncio.create_task(upload(client, strip(300 + 10 * leave + n))) for n in range(6)]
            await asyncio.to_thread(wait_until, lambda: service.opens.inside == 6)
            for task in sent if leave else ():
                task.cancel()
            if leave:
                await asyncio.to_thread(wait_until, lambda: service.opens.inside == service.gate.inside == 0)
            for worker in workers:
                worker.resume()
            await asyncio.gather(*sent, return_exceptions=True)

    for worker in workers:
        worker.suspend()
    asyncio.run(send())
    wait_until(lambda: service.opens.inside == service.gate.inside == 0)
    expected = 0 if leave else 6
    assert figure(app, "inference_count_total", kind="encode") - encoded == expected
    assert service.store.images.counts().things - things <= expected
    assert service.opens.size == service.gate.size == 0


def test_deadlines_are_kept_under_load(url: str, segmenter: HeldSegmenter) -> None:
    (image,) = _leave(url, 3)
    deadlines = [0.05 * n for n in range(1, 13)]

    async def ask() -> tuple[list[Seen], Seen]:
        async with client_of(url, user="ann") as client:
            patient = asyncio.create_task(click(client, image))  # the control: it asks for nothing and waits
            asked = [click(client, image, headers={"X-Request-Timeout": f"{limit:.2f}"}) for limit in deadlines]
            seen = await asyncio.gather(*asked)
            assert not patient.done()
            segmenter.gate.set()
            return seen, await patient

    with segmenter.holding(url, strip(400), {"X-User": "ann"}):
        seen, patient = asyncio.run(ask())
    assert {(one.status, one.code) for one in seen} == {(504, "deadline")}
    assert all(limit - 0.01 <= one.seconds <= limit + 0.75 for limit, one in zip(deadlines, seen, strict=True))
    assert patient.status == 200


@pytest.mark.parametrize("apart", [True, False], ids=["callers", "one caller"])
def test_caller_with_fifty_connections_leaves_others_their_share(
    segmenter: HeldSegmenter, tmp_path: Path, apart: bool
) -> None:
    users = ["big"] * 50 + [f"small-{n}" if apart else "big" for n in range(5)]
    with serve(app_of(segmenter, tmp_path, limits=Limits(queue=128), named=True)) as url:
        images = {user: _leave(url, 1, user=user)[0] for user in sorted(set(users))}
        steps = [(user, _clicks(images[user])) for user in users]
        asyncio.run(closed_loop(url, 0.1, steps[:1] + steps[50:]))  # until all images are encoded
        seen = asyncio.run(closed_loop(url, 4, steps, leave=True))
    counts = [sum(one.status == 200 for one in own) for own in seen]
    fair = sum(counts) / 6
    if apart:
        assert min(counts[50:]) >= 0.8 * fair - 1, counts
    else:  # the negative control: all of them one caller, the small ones get what a connection gets
        assert max(counts[50:]) < 0.8 * fair - 1, counts


def test_clicks_are_answered_while_a_long_request_runs(url: str) -> None:
    (image,) = _leave(url, 4)

    async def ask() -> list[Seen]:
        async with client_of(url, user="ann") as client:
            long = asyncio.create_task(click(client, image, MANY))
            while not long.done():
                if (answer := await click(client, image)).status == 200 and not long.done():
                    assert (await long).status == 200
                    return [answer]
            return []

    assert asyncio.run(ask()), "the long request went first"


def test_time_of_retry_grows_with_the_queue(url: str, app: Any, segmenter: HeldSegmenter) -> None:
    (image,) = _leave(url, 5)

    async def fill() -> list[Seen]:
        async with client_of(url, user="ann") as client:
            waiting = [asyncio.create_task(click(client, image)) for _ in range(18)]
            await asyncio.to_thread(wait_until, lambda: app.state.service.gate.inside == 18)
            began = time.perf_counter()
            refused = await click(client, image)
            assert time.perf_counter() - began < 1.5
            segmenter.gate.set()
            return [refused, *await asyncio.gather(*waiting)]

    with segmenter.holding(url, strip(401), {"X-User": "ann"}):
        refused, *answered = asyncio.run(fill())
    assert (refused.status, refused.code) == (429, "too_many_requests") and _is_told_when(refused)
    assert {one.status for one in answered} == {200}
