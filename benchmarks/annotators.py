"""People at work: mice that move, clicks now and then, and a long job beside them; pages do what the server tells."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable

from http_driver import Connection, Server, Times

HOVER_EVERY = 0.1  # seconds, as fast as a page would like
CLICK_EVERY = 4.0
STOPPED = 5.0  # seconds a page that was told to stop hovering waits before it tries again

Upload = Callable[[Connection, int], Awaitable[str]]


async def annotators(server: Server, users: list[int], seconds: float, upload: Upload) -> list[str]:
    """A row for each number of users."""
    pages = [(Connection(server.port), Connection(server.port)) for _ in range(max(users))]
    keys = []
    for number, (mouse, hand) in enumerate(pages):
        keys.append(await upload(hand, number))
        mouse._cookie = hand._cookie  # the same browser
    rows = []
    for count in users:
        rows.append(await _work(server, pages[:count], keys, seconds))
    head = (
        "| people | clicks answered | p50 ms | p95 ms | p99 ms | hovers a second | dropped "
        "| long job, objects a second | server, cores |"
    )
    return [head, "|---|---|---|---|---|---|---|---|---|", *rows]


async def _work(server: Server, pages: list[tuple[Connection, Connection]], keys: list[str], seconds: float) -> str:
    clicks, hovers, job = Times(), Times(), Times()
    end, cpu = time.perf_counter() + seconds, server.cpu()
    people = [
        task
        for number, ((mouse, hand), key) in enumerate(zip(pages, keys, strict=False))
        for task in (_hover(mouse, key, number, end, hovers), _click(hand, key, number, end, clicks))
    ]
    await asyncio.gather(_long_job(server, end, job), *people)
    refused = sum(count for status, count in hovers.statuses.items() if status != 200)
    failed = {status: count for status, count in clicks.statuses.items() if status != 200}
    return (
        f"| {len(pages)} | {len(clicks.seconds)}{f' ({failed})' if failed else ''} | {clicks.at(0.5):.0f} | "
        f"{clicks.at(0.95):.0f} | {clicks.at(0.99):.0f} | {len(hovers.seconds) / seconds:.1f} | {refused} | "
        f"{64 * len(job.seconds) / seconds:.1f} | {(server.cpu() - cpu) / seconds:.2f} |"
    )


async def _hover(mouse: Connection, key: str, number: int, end: float, times: Times) -> None:
    rng, seq, pause = random.Random(number), int(time.time() * 1000), HOVER_EVERY
    await asyncio.sleep(rng.random() * HOVER_EVERY)
    while time.perf_counter() < end:
        seq += 1
        point = [rng.randrange(680), rng.randrange(1000)]
        body = {"objects": [{"points": [point]}], "scale": "model", "limit": 1, "stream": f"p{number}", "seq": seq}
        answer = await mouse.post(f"/v1/images/{key}/masks", body)
        times.add(answer)
        if answer.status == 200:
            told = answer.json()["hover_ms"]
            pause = STOPPED if told is None else max(HOVER_EVERY, told / 1000)
        elif answer.status in (429, 503):
            pause = STOPPED
        await asyncio.sleep(max(0.0, pause * rng.uniform(0.8, 1.2) - answer.seconds))


async def _click(hand: Connection, key: str, number: int, end: float, times: Times) -> None:
    rng = random.Random(1000 + number)
    await asyncio.sleep(rng.random() * CLICK_EVERY)
    while time.perf_counter() < end:
        point = [rng.randrange(680), rng.randrange(1000)]
        body = {"objects": [{"points": [point]}], "scale": "model"}
        answer = await hand.post(f"/v1/images/{key}/masks", body)
        times.add(answer)
        await asyncio.sleep(max(0.0, CLICK_EVERY * rng.uniform(0.8, 1.2) - answer.seconds))


async def _long_job(server: Server, end: float, times: Times) -> None:
    connection = Connection(server.port)
    from serve import upload

    key = await upload(connection, 999_999)
    objects = [{"points": [[20 + 10 * n, 20 + 15 * n]]} for n in range(64)]
    while time.perf_counter() < end:
        times.add(await connection.post(f"/v1/images/{key}/masks", {"objects": objects, "scale": "model", "limit": 1}))
