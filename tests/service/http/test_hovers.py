"""Hovers over HTTP: only the latest counts, none holds up a click, and pages are told when to slow down."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from load import CLICK, HeldSegmenter, Seen, app_of, click, client_of, closed_loop, figure, strip, upload
from serving import serve, wait_until

from clickmask.service.http.settings import Limits

ROUNDS = 20  # tries of what a busy machine may spoil


@pytest.fixture(scope="module")
def segmenter(cache_folder: Path) -> HeldSegmenter:
    return HeldSegmenter(cache_folder)


@pytest.fixture(scope="module")
def app(segmenter: HeldSegmenter, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return app_of(segmenter, tmp_path_factory.mktemp("state"), limits=Limits(queue=1000))


@pytest.fixture(scope="module")
def url(app: Any) -> Iterator[str]:
    with serve(app) as url:
        yield url


@pytest.fixture(scope="module")
def image(url: str) -> str:
    async def leave() -> str:
        async with client_of(url) as client:
            image = (await upload(client, strip(1))).body["id"]
            assert (await click(client, image)).status == 200  # so that it is encoded
            return image

    return asyncio.run(leave())


def _hover(stream: str, seq: int) -> dict[str, Any]:
    return {**CLICK, "limit": 1, "stream": stream, "seq": seq}


def _ask(url: str, image: str, questions: list[dict[str, Any]]) -> list[Seen]:
    """All of them at once, on connections that are made in their order."""

    async def ask() -> list[Seen]:
        async with client_of(url) as client:
            return await asyncio.gather(*(click(client, image, question) for question in questions))

    return asyncio.run(ask())


@pytest.mark.parametrize("streams", [1, 12], ids=["one page", "pages apart"])
def test_of_one_pages_hovers_the_latest_wins(url: str, app: Any, image: str, streams: int) -> None:
    decoded = figure(app, "inference_count_total", kind="decode")
    seen = _ask(url, image, [_hover(f"{streams}-{n % streams}", n) for n in range(12)])
    wait_until(lambda: app.state.service.gate.inside == 0)
    decoded = figure(app, "inference_count_total", kind="decode") - decoded
    late = [one for one in seen if one.status == 409]
    assert {one.code for one in late} <= {"superseded"}
    if streams == 1:
        assert len(late) >= 8 and decoded < 12 - 4, (Counter(one.status for one in seen), decoded)
    else:
        assert not late  # the negative control: nobody takes another's place


def test_hover_keeps_nothing_and_a_click_does(url: str, app: Any, image: str) -> None:
    masks = app.state.service.store.masks
    kept = masks.counts().things
    answered = [one for n in range(ROUNDS) for one in _ask(url, image, [_hover("alone", n)]) if one.status == 200]
    assert answered, "not one hover was answered in time"
    results = [result for one in answered for results in one.body["objects"] for result in results]
    assert all("mask_id" not in result for result in results) and masks.counts().things == kept
    (clicked,) = _ask(url, image, [{"objects": [{"points": [[77, 7]]}]}])
    assert all(result["mask_id"] for result in clicked.body["objects"][0])
    assert masks.counts().things == kept + 3


def test_pages_are_told_to_hover_less_when_others_click_and_hover_too_and_then_to_stop(
    url: str, app: Any, image: str
) -> None:
    wait_until(lambda: app.state.service.streams.pages() == 0)
    alone = _ask(url, image, [_hover("a", 1), CLICK])[1].body["hover_ms"]
    assert alone is not None
    numbers = count(1)

    def beside(pages: int) -> list[int | None]:
        """What four clients that click are told while so many pages hover."""
        hovers = [lambda client, n=n: click(client, image, _hover(f"b{n}", next(numbers))) for n in range(pages)]
        steps = [*[lambda client: click(client, image)] * 4, *hovers]
        seen = asyncio.run(closed_loop(url, 1.5, [(None, step) for step in steps]))
        return [one.body["hover_ms"] for own in seen[:4] for one in own]

    assert any(one is None or alone < one for one in beside(4)), "pages were never told to slow down"
    assert None in beside(24), "nor to stop"


def test_clicks_go_before_hovers(url: str, app: Any, segmenter: HeldSegmenter, image: str) -> None:
    gate = app.state.service.gate

    async def ask() -> list[Seen]:
        async with client_of(url) as client:
            questions = [*(_hover(f"d{n}", 1) for n in range(30)), *([CLICK] * 4)]
            asked = [asyncio.create_task(click(client, image, question)) for question in questions]
            await asyncio.to_thread(wait_until, lambda: gate.inside + sum(one.done() for one in asked) >= len(asked))
            segmenter.gate.set()
            return await asyncio.gather(*asked)

    with segmenter.holding(url, strip(2)):
        seen = asyncio.run(ask())
    assert [one.status for one in seen[30:]] == [200] * 4
    hovers = seen[:30]
    assert {one.status for one in hovers} <= {200, 503}
    assert all(one.code == "busy" and one.retry_after for one in hovers if one.status == 503)
    last_click = max(one.at for one in seen[30:])
    assert sum(one.status == 200 and one.at < last_click for one in hovers) < 10, "hovers went first"
