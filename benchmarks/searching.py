"""One person clicks while another's search for everything runs, and before it, in turns."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable

from http_driver import Connection, Server, Times

CLICK_EVERY = 0.4  # seconds

Upload = Callable[[Connection, int], Awaitable[str]]


async def searching(server: Server, seconds: float, upload: Upload) -> list[str]:
    """Click times without and with a search, three turns each."""
    hand, other = Connection(server.port), Connection(server.port)
    key, theirs = await upload(hand, 0), await upload(other, 1)
    alone, beside, searches = Times(), Times(), list[float]()
    for _ in range(3):
        await _click(hand, key, time.perf_counter() + seconds / 3, alone)
        end = time.perf_counter() + seconds / 3
        searching = asyncio.create_task(_search(other, theirs, end, searches))
        await _click(hand, key, end, beside)
        await searching
    rows = [
        f"| {name} | {len(times.seconds)} | {times.at(0.5):.0f} | {times.at(0.95):.0f} | {times.at(1.0):.0f} |"
        for name, times in (("nothing", alone), ("everything, 32 x 32", beside))
    ]
    note = f"\nA search beside these clicks took {sum(searches) / len(searches):.1f} s."
    return ["| runs beside | clicks | p50 ms | p95 ms | most ms |", "|---|---|---|---|---|", *rows, note]


async def _click(hand: Connection, key: str, end: float, times: Times) -> None:
    rng = random.Random(7)
    while time.perf_counter() < end:
        body = {"objects": [{"points": [[rng.randrange(680), rng.randrange(1000)]]}], "scale": "model", "limit": 1}
        answer = await hand.post(f"/v1/images/{key}/masks", body)
        assert answer.status == 200, answer.body
        times.add(answer)
        await asyncio.sleep(CLICK_EVERY * rng.uniform(0.8, 1.2))


async def _search(other: Connection, key: str, end: float, seconds: list[float]) -> None:
    """Searches, one after the other, each for other candidates than those that were kept."""
    while time.perf_counter() < end:
        body = {"points_per_side": 32, "stability_score_offset": 1.0 + 0.001 * len(seconds)}
        answer = await other.post(f"/v1/images/{key}/everything", body)
        assert answer.status == 200, answer.body
        seconds.append(answer.seconds)
