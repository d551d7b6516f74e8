"""The lane: what goes first, what is never done, and what it does not keep."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Hashable, Sequence
from typing import Any

import pytest
from lanes import PATIENCE, Worker, running

from clickmask.service.http.lane import Done, Lane, Rank


def test_clicks_go_before_hovers_before_opening_before_prefetching_before_long_jobs() -> None:
    async def scenario() -> list[Any]:
        worker = Worker()
        with running(worker) as lane:
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
        worker = Worker(0.002)
        with running(worker) as lane:
            long = [lane.submit(Rank.LONG, "ann", "work", n) for n in range(50)]
            await long[5]
            before = len(worker.done)
            await lane.submit(Rank.CLICK, "bob", "work", "click")
            between = worker.done.index("click") - before
            await asyncio.gather(*long)
            return between

    assert asyncio.run(scenario()) <= 2, "the one that ran, and perhaps one begun before the click arrived"


def test_what_nobody_waits_for_any_more_is_never_done() -> None:
    async def scenario() -> list[Any]:
        worker = Worker()
        with running(worker) as lane:
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


def test_what_is_dropped_after_it_has_begun_is_answered_all_the_same() -> None:
    async def scenario() -> tuple[bool, list[Any]]:
        worker = Worker()
        with running(worker) as lane:
            begun = await worker.hold(lane)
            waiting = lane.submit(Rank.HOVER, "ann", "work", "never")
            for future in (begun, waiting):
                lane.drop(future)
            worker.gate.set()
            await begun
            return waiting.cancelled(), worker.done

    assert asyncio.run(scenario()) == (True, ["first"])


def test_cancelling_what_has_begun_harms_nobody() -> None:
    async def scenario() -> Any:
        worker = Worker()
        with running(worker) as lane:
            first = await worker.hold(lane)
            second = lane.submit(Rank.CLICK, "bob", "work", "second")
            first.cancel()
            await asyncio.sleep(0)
            worker.gate.set()
            done = await second
            assert first.cancelled() and worker.done == ["first", "second"]
            return done.value

    assert asyncio.run(scenario()) == "second"


def test_a_promoted_piece_goes_with_its_new_rank_and_is_done_once() -> None:
    async def scenario() -> list[Any]:
        worker = Worker()
        with running(worker) as lane:
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
        worker = Worker()
        with running(worker, lambda kind: {"a": 3, "b": 2, "hold": 1}[kind]) as lane:  # type: ignore[index]
            waiting = [await worker.hold(lane)]
            for n in range(4):
                waiting += [lane.submit(Rank.CLICK, f"caller {n}", "a", ("a", n))]
                waiting += [lane.submit(Rank.CLICK, f"caller {n}", "b", ("b", n))]
                waiting += [lane.submit(Rank.HOVER, f"caller {n}", "a", ("a", 10 + n))]
            worker.gate.set()
            done = await asyncio.gather(*waiting)
            assert [one.value for one in done][1:4] == [("a", 0), ("b", 0), ("a", 10)], "each gets its own value"
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
        async with asyncio.timeout(PATIENCE):  # a lane whose thread died would never answer
            values = await asyncio.gather(*waiting, return_exceptions=True)
        await asyncio.to_thread(lane.close)
        return [type(value) if isinstance(value, BaseException) else value.value for value in values]

    assert asyncio.run(scenario()) == ["good", ValueError, "good", OSError, OSError, RuntimeError, "good"]


def test_closing_finishes_what_runs_and_cancels_what_waits() -> None:
    async def scenario() -> None:
        worker = Worker()
        lane = Lane(worker.run)
        first = await worker.hold(lane)
        waiting = [lane.submit(Rank(n), "ann", "work", n) for n in range(5)]
        closing = asyncio.ensure_future(asyncio.to_thread(lane.close))
        await asyncio.sleep(0.02)
        assert not closing.done()
        worker.gate.set()
        await closing
        assert (await first).value == "first"
        await asyncio.wait(waiting, timeout=PATIENCE)
        assert all(future.cancelled() for future in waiting) and worker.done == ["first"]
        assert lane.waiting() == 0
        with pytest.raises(RuntimeError, match="closed"):
            lane.submit(Rank.CLICK, "ann", "work", "late")

    asyncio.run(scenario())


def test_a_lane_outlives_the_loop_of_those_who_asked() -> None:
    worker = Worker()
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
        worker = Worker(0.03)
        lane = Lane(worker.run, watch=watch)
        await worker.hold(lane)
        assert lane.running_since is not None
        second = lane.submit(Rank.CLICK, "ann", "work", "second")
        worker.gate.set()
        done = await second
        await asyncio.to_thread(lane.close)
        assert lane.running_since is None
        return done

    done = asyncio.run(scenario())
    assert done.waited >= 0.03 and done.ran >= 0.03
    assert [(kind, count) for kind, count, _ in seen] == [("hold", 1), ("work", 1)]
