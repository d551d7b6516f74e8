"""Places that callers take in turns."""

from __future__ import annotations

import asyncio

import pytest

from clickmask.service.http.turns import Turns


async def _run(turns: Turns, order: list[str], caller: str) -> None:
    async with turns.turn(caller):
        order.append(caller)
        await asyncio.sleep(0)


def test_who_has_much_to_do_delays_others_by_one_turn() -> None:
    async def work() -> list[str]:
        turns, order = Turns(1), []
        tasks = [asyncio.create_task(_run(turns, order, "ann")) for _ in range(5)]
        await asyncio.sleep(0)
        tasks += [asyncio.create_task(_run(turns, order, caller)) for caller in ("bob", "bob", "cid")]
        await asyncio.gather(*tasks)
        return order

    assert asyncio.run(work()) == ["ann", "ann", "bob", "cid", "ann", "bob", "ann", "ann"]


def test_no_more_are_inside_than_there_are_places() -> None:
    async def work() -> int:
        turns, inside, most = Turns(2), 0, 0

        async def one(caller: str) -> None:
            nonlocal inside, most
            async with turns.turn(caller):
                inside += 1
                most = max(most, inside)
                await asyncio.sleep(0.001)
                inside -= 1

        await asyncio.gather(*(one(str(number % 3)) for number in range(20)))
        return most

    assert asyncio.run(work()) == 2


@pytest.mark.parametrize("at_its_turn", [False, True])
def test_who_leaves_keeps_no_place(at_its_turn: bool) -> None:
    async def work() -> None:
        turns = Turns(1)
        await turns.take("ann")
        leaving = asyncio.create_task(turns.take("bob"))
        await asyncio.sleep(0)
        if at_its_turn:
            turns.give_back()
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        if not at_its_turn:
            turns.give_back()
        await asyncio.wait_for(turns.take("cid"), 5)

    asyncio.run(work())


def test_a_place_does_not_get_lost_on_one_who_leaves_at_that_moment() -> None:
    async def work() -> None:
        turns = Turns(1)
        await turns.take("ann")
        leaving = asyncio.create_task(turns.take("bob"))
        await asyncio.sleep(0)
        leaving.cancel()
        turns.give_back()  # before the task has noticed
        with pytest.raises(asyncio.CancelledError):
            await leaving
        await asyncio.wait_for(turns.take("cid"), 5)

    asyncio.run(work())
