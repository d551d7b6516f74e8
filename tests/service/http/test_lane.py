"""The lane: what goes first, who gets how much, what is never done, and what it does not keep."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from clickmask.service.http import lane as lane_module
from clickmask.service.http.lane import OVERDUE_SHARE, PATIENCE, Done, Lane, Rank

PATIENCE_OF_TESTS = 10.0


class _Worker:
    """Does pieces of work: remembers them in their order, and waits while `gate` is closed."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.done: list[Any] = []
        self.batches: list[tuple[Hashable, list[Any]]] = []
        self.gate, self.begun = threading.Event(), threading.Event()
        self.gate.set()
        self._seconds = seconds

    def run(self, kind: Hashable, works: Sequence[Any]) -> list[Any]:
        self.begun.set()
        assert self.gate.wait(PATIENCE_OF_TESTS)
        time.sleep(self._seconds)
        self.batches.append((kind, list(works)))
        self.done += works
        return [work() if callable(work) else work for work in works]

    async def hold(self, lane: Lane) -> asyncio.Future[Done]:
        """Keep the lane busy with a first piece until `gate.set()`; what is handed in meanwhile waits."""
        self.gate.clear()
        self.begun.clear()
        first = lane.submit(Rank.CLICK, "holder", "hold", "first")
        await asyncio.to_thread(self.begun.wait, PATIENCE_OF_TESTS)
        return first


@contextmanager
def _lane(worker: _Worker, together: Callable[[Hashable], int] = lambda kind: 1) -> Iterator[Lane]:
    lane = Lane(worker.run, together)
    try:
        yield lane
    finally:
        worker.gate.set()
        lane.close()


def test_clicks_go_before_hovers_before_opening_before_prefetching_before_long_jobs() -> None:
    async def scenario() -> list[Any]:
        worker = _Worker()
        with _lane(worker) as lane:
            waiting = [await worker.hold(lane)]
            for round in range(3):
                waiting += [lane.submit(rank, f"caller {round}", "work", rank) for rank in reversed(Rank)]
            assert lane.waiting() == 15
            worker.gate.set()
            await asyncio.gather(*waiting)
            return worker.done[1:]

    assert asyncio.run(scenario()) == [rank for rank in Rank for _ in range(3)]


def test_a_click_waits_for_no_more_than_the_piece_that_runs() -> None:
    async def scenario() -> int:
        worker = _Worker(0.002)
        with _lane(worker) as lane:
            long = [lane.submit(Rank.LONG, "ann", "work", n) for n in range(50)]
            await long[5]
            before = len(worker.done)
            await lane.submit(Rank.CLICK, "bob", "work", "click")
            between = worker.done.index("click") - before
            await asyncio.gather(*long)
            return between

    assert asyncio.run(scenario()) <= 2, "the one that ran, and perhaps one begun before the click arrived"


async def _served(lane: Lane, worker: _Worker, rank: Rank, pieces: int) -> Counter[str]:
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
        worker = _Worker(0.002)
        with _lane(worker, lambda kind: most) as lane:
            return await _served(lane, worker, rank, 300)

    served = asyncio.run(scenario())
    fair = min(300 / 6, 300 / most / 2)  # whose one piece was in a batch comes back while the next one runs
    for n in range(5):
        assert served[f"small {n}"] >= 0.8 * fair, served


def test_in_the_order_of_arrival_they_would_be_crowded_out() -> None:
    async def scenario() -> Counter[str]:
        worker = _Worker(0.002)
        with _lane(worker) as lane:
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
        await asyncio.wait([waiting[-1]], timeout=PATIENCE_OF_TESTS)
        counted = served.copy()
        for future in waiting:
            future.cancel()
        await asyncio.to_thread(lane.close)
        return counted

    served = asyncio.run(scenario())
    assert served["quick"] == 60 and 10 <= served["slow"] <= 35, served


def test_what_nobody_waits_for_any_more_is_never_done() -> None:
    async def scenario() -> list[Any]:
        worker = _Worker()
        with _lane(worker) as lane:
            first = await worker.hold(lane)
            waiting = [lane.submit(Rank(n % 5), f"caller {n % 3}", "work", n) for n in range(30)]
            for future in waiting[::2]:
                future.cancel()
            await asyncio.sleep(0)
            assert lane.waiting() == 15
            worker.gate.set()
            await asyncio.gather(first, *waiting[1::2])
            return sorted(worker.done[1:])

    assert asyncio.run(scenario()) == list(range(1, 30, 2))


def test_cancelling_what_has_begun_harms_nobody() -> None:
    async def scenario() -> Any:
        worker = _Worker()
        with _lane(worker) as lane:
            first = await worker.hold(lane)
            second = lane.submit(Rank.CLICK, "bob", "work", "second")
            first.cancel()
            await asyncio.sleep(0)
            worker.gate.set()
            done = await second
            assert first.cancelled() and worker.done == ["first", "second"]
            return done.value

    assert asyncio.run(scenario()) == "second"


async def _flood(lane: Lane, worker: _Worker, seconds: float) -> Counter[str]:
    """Eight callers click without a pause; how many pieces of each kind were done meanwhile."""
    end = time.monotonic() + seconds

    async def click(caller: str) -> None:
        while time.monotonic() < end:
            await lane.submit(Rank.CLICK, caller, "work", "click")

    await asyncio.gather(*(click(f"clicker {n}") for n in range(8)))
    return Counter(worker.done)


@pytest.mark.parametrize("rank", [Rank.LONG, Rank.PREFETCH, Rank.OPEN])
def test_what_waited_too_long_goes_on_within_its_share(rank: Rank, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PATIENCE, rank, 0.1)

    async def scenario() -> Counter[str]:
        worker = _Worker(0.002)
        with _lane(worker) as lane:
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
        worker = _Worker(0.002)
        with _lane(worker) as lane:
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


def test_a_promoted_piece_goes_with_its_new_rank_and_is_done_once() -> None:
    async def scenario() -> list[Any]:
        worker = _Worker()
        with _lane(worker) as lane:
            waiting = [await worker.hold(lane)]
            waiting += [lane.submit(Rank.PREFETCH, "ann", "work", f"prefetch {n}") for n in range(3)]
            waiting += [lane.submit(Rank.OPEN, "bob", "work", "open")]
            lane.promote(waiting[2], Rank.CLICK)
            lane.promote(waiting[2], Rank.OPEN)  # never down
            lane.promote(asyncio.get_running_loop().create_future(), Rank.CLICK)  # of no lane
            lane.promote(waiting[0], Rank.CLICK)  # it runs
            dropped = lane.submit(Rank.LONG, "cem", "work", "dropped")
            lane.promote(dropped, Rank.HOVER)
            dropped.cancel()
            await asyncio.sleep(0)
            worker.gate.set()
            await asyncio.gather(*waiting)
            return worker.done[1:]

    assert asyncio.run(scenario()) == ["prefetch 1", "open", "prefetch 0", "prefetch 2"]


def test_only_pieces_of_one_kind_and_rank_run_together_and_no_more_than_allowed() -> None:
    async def scenario() -> list[tuple[Hashable, list[Any]]]:
        worker = _Worker()
        with _lane(worker, lambda kind: {"a": 3, "b": 2, "hold": 1}[kind]) as lane:  # type: ignore[index]
            waiting = [await worker.hold(lane)]
            for n in range(4):
                waiting += [lane.submit(Rank.CLICK, f"caller {n}", "a", ("a", n))]
                waiting += [lane.submit(Rank.CLICK, f"caller {n}", "b", ("b", n))]
                waiting += [lane.submit(Rank.HOVER, f"caller {n}", "a", ("a", 10 + n))]
            worker.gate.set()
            done = await asyncio.gather(*waiting)
            assert [one.value for one in done[1:4]] == [("a", 0), ("b", 0), ("a", 10)], "each gets its own value"
            return worker.batches[1:]

    batches = asyncio.run(scenario())
    for kind, works in batches:
        assert len(works) <= {"a": 3, "b": 2}[kind], batches  # type: ignore[index]
        assert {work[0] for work in works} == {kind} and len({work[1] >= 10 for work in works}) == 1
    assert len(batches[0][1]) == 3
    assert sorted(work for _, works in batches for work in works) == sorted(
        [("a", n) for n in (0, 1, 2, 3, 10, 11, 12, 13)] + [("b", n) for n in range(4)]
    )


def test_an_error_reaches_those_it_belongs_to_and_the_lane_goes_on() -> None:
    def run(kind: Hashable, works: Sequence[Any]) -> list[Any]:
        if kind == "all":
            raise OSError("none of them")
        if kind == "few":
            return []
        return [ValueError(work) if work == "bad" else work for work in works]

    async def scenario() -> list[Any]:
        lane = Lane(run, lambda kind: 4)
        waiting = [lane.submit(Rank.CLICK, "ann", "some", work) for work in ("good", "bad", "good")]
        waiting += [lane.submit(Rank.CLICK, "ann", "all", n) for n in range(2)]
        waiting += [lane.submit(Rank.CLICK, "ann", "few", 0), lane.submit(Rank.CLICK, "ann", "some", "good")]
        values = await asyncio.gather(*waiting, return_exceptions=True)
        await asyncio.to_thread(lane.close)
        return [value.value if isinstance(value, Done) else type(value) for value in values]

    assert asyncio.run(scenario()) == ["good", ValueError, "good", OSError, OSError, RuntimeError, "good"]


def test_closing_finishes_what_runs_and_cancels_what_waits() -> None:
    async def scenario() -> None:
        worker = _Worker()
        lane = Lane(worker.run)
        first = await worker.hold(lane)
        waiting = [lane.submit(Rank(n), "ann", "work", n) for n in range(5)]
        closing = asyncio.ensure_future(asyncio.to_thread(lane.close))
        await asyncio.sleep(0.02)
        assert not closing.done()
        worker.gate.set()
        await closing
        assert (await first).value == "first"
        await asyncio.wait(waiting, timeout=PATIENCE_OF_TESTS)
        assert all(future.cancelled() for future in waiting) and worker.done == ["first"]
        assert lane.waiting() == 0
        with pytest.raises(RuntimeError, match="closed"):
            lane.submit(Rank.CLICK, "ann", "work", "late")

    asyncio.run(scenario())


def test_a_lane_outlives_the_loop_of_those_who_asked() -> None:
    worker = _Worker()
    lane = Lane(worker.run)

    async def leave() -> None:
        await worker.hold(lane)
        lane.submit(Rank.CLICK, "ann", "work", "waits")

    asyncio.run(leave())
    worker.gate.set()
    lane.close()  # pytest would report an error in the lane's thread
    assert worker.done[0] == "first"


class _Large:
    """Stands for a picture or a tensor."""


@pytest.mark.parametrize("fails", [False, True])
def test_after_the_answer_neither_work_nor_value_is_held(fails: bool) -> None:
    held: list[weakref.ref[_Large]] = []

    def run(kind: Hashable, works: Sequence[Any]) -> list[Any]:
        pixels = _Large()
        held.append(weakref.ref(pixels))
        if fails:
            raise ValueError("a bad picture")
        return [pixels for _ in works]

    async def scenario() -> Exception | None:
        lane, error = Lane(run), None
        work = _Large()
        held.append(weakref.ref(work))
        future = lane.submit(Rank.CLICK, "ann", "work", work)
        del work
        try:
            await future
        except ValueError as caught:
            error = caught
        del future
        await asyncio.sleep(0.05)  # the lane is idle by now, and waits
        assert [ref() for ref in held] == [None, None]
        await asyncio.to_thread(lane.close)
        return error

    gc.disable()  # freed at once, not when the collector comes by
    try:
        error = asyncio.run(scenario())
    finally:
        gc.enable()
    assert (error is not None) == fails
    if error is not None:
        assert error.__traceback__ is not None, "where it came from can still be read"


def test_it_tells_how_long_pieces_waited_and_ran() -> None:
    seen: list[tuple[Hashable, int, float]] = []

    def watch(kind: Hashable, waits: Sequence[float], seconds: float) -> None:
        seen.append((kind, len(waits), seconds))

    async def scenario() -> Done:
        worker = _Worker(0.03)
        lane = Lane(worker.run, watch=watch)
        first, second = (lane.submit(Rank.CLICK, "ann", "work", n) for n in range(2))
        await first
        assert lane.running_since is not None or second.done()
        done = await second
        await asyncio.to_thread(lane.close)
        assert lane.running_since is None
        return done

    done = asyncio.run(scenario())
    assert done.waited >= 0.03 and done.ran >= 0.03
    assert [(kind, count) for kind, count, _ in seen] == [("work", 1), ("work", 1)]


def test_thousands_of_callers_leave_nothing_behind() -> None:
    async def scenario() -> int:
        worker = _Worker()
        with _lane(worker, lambda kind: 64) as lane:
            for start in range(0, 5000, 1000):
                names = [f"browser:{n}" for n in range(start, start + 1000)]
                await asyncio.gather(*(lane.submit(Rank.CLICK, name, "work", name) for name in names))
            await asyncio.sleep(0.05)
            return len(lane._used)

    assert asyncio.run(scenario()) == 0
