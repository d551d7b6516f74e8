"""Streams: of each page the latest hover counts, and a million pages take no more room than ten thousand."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from clickmask.service.http import streams as streams_module
from clickmask.service.http.errors import ApiError
from clickmask.service.http.streams import MOST_STREAMS, Streams


def _futures(count: int) -> list[asyncio.Future[Any]]:
    return [asyncio.get_running_loop().create_future() for _ in range(count)]


def test_a_newer_hover_drops_the_one_before() -> None:
    async def scenario() -> None:
        streams = Streams()
        old = streams.turn("ann", "page", 1)
        work = _futures(3)
        old.hold(work, asyncio.Future.cancel)
        new = streams.turn("ann", "page", 2)
        assert old.superseded and not new.superseded
        assert all(future.cancelled() for future in work)

    asyncio.run(scenario())


def test_one_overtaken_before_its_work_is_queued_is_dropped_as_it_comes() -> None:
    async def scenario() -> None:
        streams = Streams()
        old = streams.turn("ann", "page", 1)
        streams.turn("ann", "page", 2)
        work = _futures(1)
        old.hold(work, asyncio.Future.cancel)
        assert work[0].cancelled()

    asyncio.run(scenario())


@pytest.mark.parametrize("seq", [5, 4, 0])
def test_an_equal_or_older_one_is_late(seq: int) -> None:
    streams = Streams()
    latest = streams.turn("ann", "page", 5)
    with pytest.raises(ApiError) as raised:
        streams.turn("ann", "page", seq)
    assert (raised.value.status, raised.value.code) == (409, "superseded")
    assert streams.dropped == 1 and not latest.superseded


def test_pages_and_callers_do_not_disturb_one_another() -> None:
    streams = Streams()
    turns = [streams.turn(caller, page, 7) for caller in ("ann", "bob") for page in ("one", "two")]
    assert not any(turn.superseded for turn in turns)
    assert streams.pages() == 4


def test_an_answered_hover_holds_its_work_no_more() -> None:
    async def scenario() -> None:
        streams = Streams()
        turn = streams.turn("ann", "page", 1)
        work = _futures(1)
        turn.hold(work, asyncio.Future.cancel)
        turn.done()
        streams.turn("ann", "page", 2)
        assert not work[0].cancelled()
        assert turn._work == ()

    asyncio.run(scenario())


def test_a_page_counts_as_hovering_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    streams = Streams()
    streams.turn("ann", "page", 1)
    streams.turn("ann", "page", 2)
    assert streams.pages() == 1
    monkeypatch.setattr(streams_module, "RECENT", -1.0)
    assert streams.pages() == 0


def test_only_so_many_pages_are_remembered_the_latest_ones() -> None:
    streams = Streams()
    for number in range(MOST_STREAMS + 500):
        streams.turn("ann", f"page {number}", 1)
    assert len(streams._latest) == MOST_STREAMS
    streams.turn("ann", "page 0", 1)  # long forgotten, so it begins anew
    with pytest.raises(ApiError):
        streams.turn("ann", f"page {MOST_STREAMS + 499}", 1)
