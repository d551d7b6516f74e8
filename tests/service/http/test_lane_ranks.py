"""The lane's ranks side by side: what one caller gets in one rank is not taken from others in another."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from lanes import Worker, running

from clickmask.service.http import lane as lane_module
from clickmask.service.http.lane import Rank

CLICKERS = [f"clicker {n}" for n in range(6)]


@pytest.mark.parametrize("rank", [None, Rank.OPEN, Rank.LONG], ids=["alone", "beside uploads", "beside a long job"])
def test_callers_who_click_without_a_pause_get_equal_shares(rank: Rank | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Overdue work of one caller, with more of the lane than any of these, once put off the last of them for ever."""
    if rank is not None:
        monkeypatch.setitem(lane_module.PATIENCE, rank, 0.0)

    async def scenario() -> Counter[str]:
        worker = Worker(0.003)
        with running(worker) as lane:
            await worker.hold(lane)
            clicks = [lane.submit(Rank.CLICK, who, "work", who) for who in CLICKERS for _ in range(60)]
            late = [] if rank is None else [lane.submit(rank, "patient", "work", "late") for _ in range(200)]
            worker.gate.set()
            while sum(click.done() for click in clicks) < 180:
                await asyncio.sleep(0.005)
            served = Counter(worker.done)
            for future in (*clicks, *late):
                future.cancel()
            return served

    served = asyncio.run(scenario())
    shares = [served[who] for who in CLICKERS]
    assert min(shares) >= 0.8 * sum(shares) / len(shares), served
    assert (served["late"] > 0) == (rank is not None)


def test_caller_whose_long_job_goes_on_clicks_as_quickly_as_others() -> None:
    async def scenario() -> list[str]:
        worker = Worker(0.01)  # long beside what a busy machine adds, which counts too
        with running(worker) as lane:
            long = [lane.submit(Rank.LONG, "busy", "work", "long") for _ in range(50)]
            await asyncio.wait(long)
            await worker.hold(lane)
            more = [lane.submit(Rank.LONG, "busy", "work", "long") for _ in range(20)]
            clicks = [lane.submit(Rank.CLICK, who, "work", who) for who in ("other", "busy") for _ in range(10)]
            worker.gate.set()
            await asyncio.wait(clicks)
            for future in more:
                future.cancel()
            return [done for done in worker.done if done in ("other", "busy")]

    order = asyncio.run(scenario())
    assert 4 <= order[:10].count("busy") <= 6, order
