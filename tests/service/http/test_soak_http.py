"""The long forms: minutes of load, thousands of images, many stops. `make soak` runs them and logs their figures."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from itertools import count
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import psutil
import pytest
from load import (
    PLAIN,
    HeldSegmenter,
    Seen,
    Served,
    app_of,
    click,
    client_of,
    closed_loop,
    figure,
    note,
    send,
    serving,
    strip,
    upload,
)
from serving import serve, wait_until
from stopping import check_stop

from clickmask.service.http.settings import Limits

if TYPE_CHECKING:
    from torch import Tensor

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory and files are counted as on Linux")

MIB = 1 << 20
SLOPE = 1.0  # MiB per 1,000 requests
SAMPLES = 200
WARM_UP = 800  # requests: each image twice
LEAK = 10 << 10  # bytes a request, of the negative control
NAMED = ("--identity-header", "X-User", "--proxy", "127.0.0.1")

# A server that leaks with every request.
LEAKING = f"""
import logging, sys
from clickmask.service.http.health import Health
from clickmask.service.http.listener import address, bind
from clickmask.service.http.log import configure_logging
from clickmask.service.http.server import run
from clickmask.service.http.settings import ServeSettings

lost = []

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        for end in ("startup", "shutdown"):
            await receive()
            await send({{"type": f"lifespan.{{end}}.complete"}})
        return
    lost.append(b"x" * {LEAK} + bytes(len(lost) % 2))
    await send({{"type": "http.response.start", "status": 200, "headers": []}})
    await send({{"type": "http.response.body", "body": b""}})

configure_logging()
settings = ServeSettings(port=0)
sockets = bind(settings.host, settings.port)
told = f"clickmask serves at {{address(settings.host, sockets)}} "
sys.exit(run(app, settings, Health(), sockets, lambda: logging.getLogger("clickmask").info(told)))
"""

Ask = Callable[[httpx.AsyncClient, int], Awaitable[Seen]]


class _Watched:
    """The memory, files and threads of a server's process while requests are sent to it."""

    def __init__(self, served: Served, ask: Ask) -> None:
        self._served, self._ask, self._process = served, ask, psutil.Process(served.process.pid)
        self.seen: Counter[int] = Counter()
        self.sizes: list[tuple[int, int]] = []  # (requests, bytes)

    def send(self, requests: int) -> None:
        """Send so many, from four clients."""
        asyncio.run(self._send(requests))
        wait_until(lambda: not self._process.net_connections("tcp")[1:])  # until the server has closed them, too

    def held(self) -> tuple[int, int]:
        """Open files, and threads."""
        return self._process.num_fds(), self._process.num_threads()

    def slope(self) -> float:
        """MiB per 1,000 requests, by least squares over the second half."""
        half = self.sizes[len(self.sizes) // 2 :]
        requests, sizes = np.array(half, float).T
        return float(np.polyfit(requests, sizes, 1)[0]) * 1000 / MIB

    async def _send(self, requests: int) -> None:
        every = max(1, requests // SAMPLES)
        async with client_of(self._served.url, connections=4) as client:
            for first in range(0, requests, every):
                numbers = iter(range(first, min(first + every, requests)))
                await asyncio.gather(*(self._work(client, numbers) for _ in range(4)))
                self.sizes.append((first, self._process.memory_info().rss))  # while nothing is worked on

    async def _work(self, client: httpx.AsyncClient, numbers: Iterator[int]) -> None:
        for number in numbers:
            self.seen[(await self._ask(client, number)).status] += 1


async def _mixed(client: httpx.AsyncClient, number: int) -> Seen:
    """An upload in ten and clicks, each behind an upload of the same, of forty images in turn: more than are kept."""
    if number % 10 == 0:
        return await upload(client, strip(number // 10 % 40))
    image = (await upload(client, strip(number // 10 % 40))).body.get("id")
    return await click(client, image) if image else Seen(503, None, 0.0)


async def _light(client: httpx.AsyncClient, number: int) -> Seen:
    """An upload and a click in twenty, else what costs the server little."""
    if number % 20 < 2:
        return await _mixed(client, number // 20 * 10 + number % 20)
    if number % 4 == 0:
        return await send(client, "POST", f"/v1/images/img_{number}/masks", json={"objects": [{"points": [[number]]}]})
    return await send(client, "GET", ("/livez", f"/v1/images/{number}", "/v1/models", "/metrics")[number % 4])


def _check_flat(served: Served, ask: Ask, requests: int) -> _Watched:
    """Warm up, then send requests, and see that nothing grew."""
    watched = _Watched(served, ask)
    watched.send(WARM_UP)
    watched.sizes.clear()
    before = watched.held()
    watched.send(requests)
    after = watched.held()
    note("answers", str(dict(watched.seen)))
    note("MiB per 1,000 requests", watched.slope())
    note("files and threads before, after", str((before, after)))
    assert all(abs(now - then) <= 2 for now, then in zip(after, before, strict=True)), (before, after)
    assert set(watched.seen) <= {200, 201, 404, 410, 422, 503}
    return watched


@pytest.fixture
def exact_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let servers give back every large block at once: what they have is what they hold, and a leak is no guess."""
    monkeypatch.setenv("MALLOC_MMAP_THRESHOLD_", str(256 << 10))


@pytest.mark.soak
@pytest.mark.usefixtures("exact_memory")
def test_two_thousand_requests_to_the_real_model_leave_nothing_behind(tmp_path: Path) -> None:
    words = (*PLAIN, "--store-memory", "100MiB", "--mask-memory", "16MiB", "--max-body", "1MiB")
    with serving(tmp_path, words) as served:
        assert _check_flat(served, _mixed, 2000).slope() <= SLOPE


@pytest.mark.soak
@pytest.mark.usefixtures("exact_memory")
def test_twenty_thousand_requests_to_a_small_model_leave_nothing_behind(
    tmp_path: Path, tiny_sam_state: dict[str, Tensor]
) -> None:
    from safetensors.torch import save_file

    save_file({name: tensor.contiguous() for name, tensor in tiny_sam_state.items()}, tmp_path / "tiny.safetensors")
    words = ("--devices", "cpu", "--precision", "float32", "--decoders", "1", "--model", "tiny.safetensors")
    words += ("--store-memory", "100MiB", "--mask-memory", "16MiB", "--max-body", "1MiB")
    with serving(tmp_path, words) as served:
        assert _check_flat(served, _light, 20_000).slope() <= SLOPE


@pytest.mark.soak
@pytest.mark.usefixtures("exact_memory")
def test_leak_of_ten_kilobytes_a_request_is_noticed(tmp_path: Path) -> None:
    async def live(client: httpx.AsyncClient, number: int) -> Seen:
        return await send(client, "GET", "/livez")

    with serving(tmp_path, command=(sys.executable, "-c", LEAKING)) as served:
        assert _check_flat(served, live, 2000).slope() > 3 * SLOPE


@pytest.mark.soak
def test_sixty_four_clients_for_a_minute(tmp_path: Path) -> None:
    users = [f"user-{n % 8}" for n in range(64)]
    numbers = count(1000)

    async def load(url: str, clients: int) -> list[list[Seen]]:
        async with client_of(url) as client:
            left = {user: await upload(client, strip(1), headers={"X-User": user}) for user in sorted(set(users))}
        steps: list[tuple[str, Any]] = [
            (user, lambda client: upload(client, strip(next(numbers))))
            if n % 8 == 0
            else (user, lambda client, image=left[user].body["id"]: click(client, image))
            for n, user in enumerate(users[:clients])
        ]
        return await closed_loop(url, 60 if clients == 64 else 15, steps, obey=True)

    with serving(tmp_path, (*PLAIN, *NAMED, "--queue", "48", "--store-memory", "400MiB")) as served:
        few = [one for own in asyncio.run(load(served.url, 8)) for one in own]
        many = [one for own in asyncio.run(load(served.url, 64)) for one in own]
    statuses = Counter(one.status for one in many)
    refused = sorted(one.seconds for one in many if one.status in (429, 503))
    done = [sum(one.status in (200, 201) for one in seen) for seen in (few, many)]
    note("statuses", str(dict(statuses)))
    note("done a second with 8 and 64 clients", str((done[0] / 15, done[1] / 60)))
    note("refusals: count, p50, p99 seconds", str((len(refused), *np.quantile(refused or [0], [0.5, 0.99]))))
    assert set(statuses) <= {200, 201, 409, 410, 429, 503}, statuses
    assert all(one.retry_after for one in many if one.status in (429, 503))
    assert done[1] / 60 >= 0.9 * done[0] / 15, "more clients get less done"


@pytest.mark.soak
def test_five_thousand_images_never_exceed_the_stores_budget(cache_folder: Path, tmp_path: Path) -> None:
    budget = 64 * MIB
    app = app_of(HeldSegmenter(cache_folder), tmp_path, limits=Limits(body=MIB), images=budget, named=True)
    sizes: list[float] = []
    seen: Counter[int] = Counter()

    async def fill(url: str) -> None:
        numbers = iter(range(5000))

        async def work(client: httpx.AsyncClient, user: int) -> None:
            for number in numbers:
                status = 0
                while status != 201 and sum(seen.values()) < 100_000:
                    status = (await upload(client, strip(number), headers={"X-User": str(user % 3)})).status
                    seen[status] += 1
                    await asyncio.sleep(0 if status == 201 else 0.1)
                sizes.append(sum(figure(app, "cache_bytes", store=store) for store in ("images", "pixels")))

        async with client_of(url, connections=4) as client:
            await asyncio.gather(*(work(client, user) for user in range(4)))

    with serve(app) as url:
        asyncio.run(fill(url))
        wait_until(lambda: app.state.service.opens.inside == 0)
        evictions = figure(app, "cache_num_evictions_total", store="images")
    strip.cache_clear()
    note("answers", str(dict(seen)))
    note("MiB at most, and evictions", str((max(sizes) / MIB, evictions)))
    assert max(sizes) <= budget and set(seen) <= {201, 429, 503} and seen[201] == 5000


@pytest.mark.soak
def test_twenty_stops_at_random_moments_lose_nothing(tmp_path: Path) -> None:
    draw, total = Random(23), Counter[int]()
    for number in range(20):
        folder = tmp_path / str(number)
        folder.mkdir()
        total += check_stop(folder, draw.uniform(0.05, 2.0))
    note("statuses", str(dict(total)))
    assert total[200] > 0 and total[503] > 0
