"""A company login's keys: fetched when needed, once for all who wait, and kept while the login is away."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from clickmask.service.http.access.key_sets import KeySet, parse_keys
from clickmask.service.http.errors import ApiError


@pytest.mark.parametrize("document", [None, [], {}, {"keys": []}, {"keys": [{"kty": "oct", "k": "AA", "use": "enc"}]}])
def test_what_is_no_key_set_is_told_so(document: Any) -> None:
    with pytest.raises(ValueError):
        parse_keys(document)


def test_keys_are_renewed_as_often_as_is_decent_and_kept_while_the_login_is_away() -> None:
    now, loads, answers = [0.0], [0], [{"a": 1}]

    def load() -> Any:
        loads[0] += 1
        if not answers:
            raise OSError("away")
        return answers[0]

    async def run() -> None:
        keys = KeySet(load, lambda: now[0])
        assert await keys.find("a") == 1
        assert await keys.find("b") is None and loads == [1]  # asked a moment ago
        answers[0] = {"a": 1, "b": 2}
        now[0] += 60
        assert await keys.find("b") == 2 and loads == [2]
        answers.clear()
        now[0] += 300
        assert await keys.find("a") == 1  # renewed meanwhile, without making anybody wait
        assert await keys.find("c") is None and loads == [3]
        assert await keys.find("b") == 2

    asyncio.run(run())


def test_many_at_once_wait_for_one_fetch_and_one_that_leaves_does_not_end_it() -> None:
    started, loads = threading.Event(), []

    def load() -> Any:
        loads.append(1)
        started.wait(10)
        return {"a": 1}

    async def run() -> list[Any]:
        keys = KeySet(load)
        waiting = [asyncio.create_task(keys.find("a")) for _ in range(50)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.sleep(0)
        started.set()
        return await asyncio.gather(*waiting[1:])

    assert asyncio.run(run()) == [1] * 49
    assert loads == [1]


def test_a_login_that_is_away_at_first_is_asked_again_after_five_seconds() -> None:
    now, loads = [0.0], [0]

    def load() -> Any:
        loads[0] += 1
        if loads[0] == 1:
            raise OSError("away")
        return {"a": 1}

    async def run() -> None:
        keys = KeySet(load, lambda: now[0])
        for _ in range(3):
            with pytest.raises(ApiError, match="cannot be had"):
                await keys.find("a")
        assert loads == [1]
        now[0] += 5
        assert await keys.find("a") == 1

    asyncio.run(run())
