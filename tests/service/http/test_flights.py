"""Flights: equal work is done once, nobody's leaving or failing harms the others, and nothing is left behind."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from clickmask.service.http.flights import Flights


class _Work:
    """Counts how often it began, ended and was cancelled; ends when `go` is set."""

    def __init__(self, error: Exception | None = None) -> None:
        self.go, self.begun, self.ended, self.cancelled = asyncio.Event(), 0, 0, 0
        self._error = error

    async def start(self) -> str:
        self.begun += 1
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        self.ended += 1
        if self._error is not None:
            raise self._error
        return f"result {self.ended}"


def _run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run it, and see that it leaves no task behind and nothing for asyncio to complain about."""
    complaints: list[dict[str, Any]] = []

    async def watched() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: complaints.append(context))
        await scenario()
        await asyncio.sleep(0)
        gc.collect()  # tasks complain about an error nobody looked at as they are freed
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}, "tasks are left"

    asyncio.run(watched())
    assert complaints == []


async def _join(flights: Flights[str], work: _Work, count: int) -> list[asyncio.Task[str]]:
    tasks = [asyncio.create_task(flights.join("key", work.start)) for _ in range(count)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return tasks


def test_sixty_four_who_want_the_same_share_one_run() -> None:
    async def scenario() -> None:
        flights, work = Flights[str](), _Work()
        tasks = await _join(flights, work, 64)
        assert "key" in flights and work.begun == 1
        work.go.set()
        assert await asyncio.gather(*tasks) == ["result 1"] * 64
        assert "key" not in flights
        assert await flights.join("key", work.start) == "result 2", "results are not kept"

    _run(scenario)


def test_others_under_another_key_are_on_their_own() -> None:
    async def scenario() -> None:
        flights, work = Flights[str](), _Work()
        work.go.set()
        both = await asyncio.gather(flights.join("a", work.start), flights.join("b", work.start))
        assert sorted(both) == ["result 1", "result 2"]

    _run(scenario)


@pytest.mark.parametrize("leaving", [0, 1, 63])
def test_whoever_is_cancelled_the_others_get_the_result(leaving: int) -> None:
    async def scenario() -> None:
        flights, work = Flights[str](), _Work()
        tasks = await _join(flights, work, 64)
        left = tasks.pop(leaving)
        left.cancel()
        await asyncio.wait([left])
        assert left.cancelled()
        work.go.set()
        assert await asyncio.gather(*tasks) == ["result 1"] * 63
        assert (work.begun, work.cancelled) == (1, 0)

    _run(scenario)


def test_an_error_reaches_all_who_wait_and_is_not_kept() -> None:
    async def scenario() -> None:
        flights, failing, work = Flights[str](), _Work(OSError("no luck")), _Work()
        tasks = await _join(flights, failing, 64)
        failing.go.set()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(answer) for answer in answers] == [OSError] * 64 and failing.begun == 1
        work.go.set()
        assert await flights.join("key", work.start) == "result 1"

    _run(scenario)


def test_the_last_one_to_leave_cancels_the_work_and_the_next_begins_anew() -> None:
    async def scenario() -> None:
        flights, work, again = Flights[str](), _Work(), _Work()
        tasks = await _join(flights, work, 3)
        for number, task in enumerate(tasks):
            assert work.cancelled == 0, f"after {number} of 3 left"
            task.cancel()
            await asyncio.wait([task])
        assert "key" not in flights
        again.go.set()
        assert await flights.join("key", again.start) == "result 1"
        assert (work.cancelled, work.ended) == (1, 0)

    _run(scenario)


def test_an_error_that_comes_when_everybody_has_left_is_nobodys_business() -> None:
    async def scenario() -> None:
        async def stubborn() -> str:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                raise OSError("as it was cleaning up") from None
            return ""

        flights = Flights[str]()
        task = asyncio.create_task(flights.join("key", stubborn))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled() and "key" not in flights

    _run(scenario)


def test_an_error_after_the_one_who_began_it_left_is_looked_at_by_the_other() -> None:
    async def scenario() -> None:
        flights, work = Flights[str](), _Work(OSError("late"))
        first, second = await _join(flights, work, 2)
        first.cancel()
        await asyncio.wait([first])
        work.go.set()
        with pytest.raises(OSError, match="late"):
            await second

    _run(scenario)
