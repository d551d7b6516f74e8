"""The lane's shares: who gets how much of it, and that nothing waits for ever."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Hashable, Sequence
from typing import Any

import pytest
from lanes import PATIENCE, Worker, running

from clickmask.service.http import lane as lane_module
from clickmask.service.http.lane import OVERDUE_SHARE, Done, Lane, Rank


async def _served(lane: Lane, worker: Worker, rank: Rank, pieces: int) -> Counter[str]:
    """How often each was served: one caller with fifty pieces at a time against five with one."""

    async def ask(caller: str) -> None:
        while len(worker.done) < pieces:
            await lane.submit(rank, caller, "work", caller)

    await asyncio.gather(*(ask("big") for _ in range(50)), *(ask(f"small {n}") for n in range(5)))
    return Counter(worker.done[:pieces])


@pytest.mark.parametrize("most", [1, 8])
@pytest.mark.parametrize("rank", [Rank.CLICK, Rank.LONG])
def test_one_with_fifty_pieces_does_not_crowd_out_five_with_one(most: int, rank: Rank) -> None:
    async def scenario() -> Counter[str]:
        worker = Worker(0.002)
        with running(worker, lambda kind: most) as lane:
            return await _served(lane, worker, rank, 300)

    served = asyncio.run(scenario())
    fair = min(300 / 6, 300 / most / 2)  # whose one piece was in a batch comes back while the next one runs
    for n in range(5):
        assert served[f"small {n}"] >= 0.8 * fair, served


def test_in_the_order_of_arrival_they_would_be_crowded_out() -> None:
    async def scenario() -> Counter[str]:
        worker = Worker(0.002)
        with running(worker) as lane:
            one_line = _OneLine(lane)
            return await _served(one_line, worker, Rank.CLICK, 300)  # type: ignore[arg-type]

    served = asyncio.run(scenario())
    assert max(served[f"small {n}"] for n in range(5)) < 0.8 * 300 / 6, served


class _OneLine:
    """A lane that does not know who asks."""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane

    def submit(self, rank: Rank, caller: str, kind: Hashable, work: Any) -> asyncio.Future[Done]:
        return self._lane.submit(rank, "everybody", kind, work)


def test_time_counts_not_pieces() -> None:
    async def scenario() -> Counter[str]:
        served: Counter[str] = Counter()

        def run(kind: Hashable, works: Sequence[Any]) -> list[Any]:
            time.sleep(0.006 if works[0] == "slow" else 0.002)
            served[works[0]] += 1
            return list(works)

        lane = Lane(run)
        waiting = [lane.submit(Rank.CLICK, who, "work", who) for who in ("slow", "quick") for _ in range(60)]
        await asyncio.wait([waiting[-1]], timeout=PATIENCE)
        counted = served.copy()
        for future in waiting:
            future.cancel()
        await asyncio.to_thread(lane.close)
        return counted

    served = asyncio.run(scenario())
    assert served["quick"] == 60 and 10 <= served["slow"] <= 35, served


async def _flood(lane: Lane, worker: Worker, seconds: float) -> Counter[str]:
    """Eight callers click without a pause; how many pieces of each kind were done meanwhile."""
    end = time.monotonic() + seconds

    async def click(caller: str) -> None:
        while time.monotonic() < end:
            await lane.submit(Rank.CLICK, caller, "work", "click")

    await asyncio.gather(*(click(f"clicker {n}") for n in range(8)))
    return Counter(worker.done)


@pytest.mark.parametrize("rank", [Rank.LONG, Rank.PREFETCH, Rank.OPEN])
def test_what_waited_too_long_goes_on_within_its_share(rank: Rank, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(lane_module.PATIENCE, rank, 0.1)

    async def scenario() -> Counter[str]:
        worker = Worker(0.002)
        with running(worker) as lane:
            await worker.hold(lane)
            long = [lane.submit(rank, "patient", "work", "late") for _ in range(1000)]
            asyncio.get_running_loop().call_later(0.01, worker.gate.set)
            served = await _flood(lane, worker, 1.0)
            for future in long:
                future.cancel()
            return served

    served = asyncio.run(scenario())
    share = served["late"] / served.total()
    assert 0.4 * OVERDUE_SHARE <= share <= 1.4 * OVERDUE_SHARE, served


def test_without_patience_running_out_it_would_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane_module, "PATIENCE", {})

    async def scenario() -> Counter[str]:
        worker = Worker(0.002)
        with running(worker) as lane:
            await lane.submit(Rank.CLICK, "clicker 0", "work", "click")
            flood = asyncio.ensure_future(_flood(lane, worker, 0.5))
            await asyncio.sleep(0.05)
            long = [lane.submit(Rank.LONG, "patient", "work", "late") for _ in range(100)]
            served = await flood
            for future in long:
                future.cancel()
            return served

    served = asyncio.run(scenario())
    assert served["late"] <= 2, "but for a moment in which no click waited"


def test_thousands_of_callers_leave_nothing_behind() -> None:
    async def scenario() -> int:
        worker = Worker()
        with running(worker, lambda kind: 64) as lane:
            for start in range(0, 5000, 1000):
                names = [f"browser:{n}" for n in range(start, start + 1000)]
                await asyncio.gather(*(lane.submit(Rank.CLICK, name, "work", name) for name in names))
            await asyncio.sleep(0.05)
            return sum(len(queue.used) for queue in lane._queues.values())

    assert asyncio.run(scenario()) == 0
