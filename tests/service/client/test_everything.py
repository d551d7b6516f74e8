"""All objects by the client: those of the segmenter in process, with its options, and given up when nobody waits."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from stand_in import StandIn, broken, refusal

from clickmask import ClosedError, OpenImage, Segmenter, ServiceError, SettingsError
from clickmask.service.client import AsyncClient, Client, RemoteFound, RemoteImage
from clickmask.service.client.events import HearingError, Listener
from clickmask.service.client.transport import Unreachable
from clickmask.service.everything.found import Found
from clickmask.service.http.app import create_app
from clickmask.service.http.settings import Decoders, ServeSettings, Storage

sys.path.append(str(Path(__file__).parents[1] / "http"))

from serving import serve, wait_until

PATIENCE = 60.0  # seconds
LOW: dict[str, Any] = {"points_per_side": 6, "pred_iou_thresh": 0.75, "stability_score_thresh": 0.85}
LONG: dict[str, Any] = {"points_per_side": 200}  # 40,000 points, which take minutes


@pytest.fixture(scope="module")
def app(strip_segmenter: Segmenter, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("state")
    settings = ServeSettings(storage=Storage(images=128 << 20, folder=folder), decoders=Decoders(count=1))
    return create_app([strip_segmenter], settings)


@pytest.fixture(scope="module")
def url(app: Any) -> Iterator[str]:
    with serve(app) as url:
        yield url


@pytest.fixture(scope="module")
def far(url: str, strip: np.ndarray) -> Iterator[RemoteImage]:
    with Client(url) as client:
        yield client.open(strip)


@pytest.fixture(scope="module")
def near(strip_segmenter: Segmenter, strip: np.ndarray) -> OpenImage:
    return strip_segmenter.open(strip)


def _same(there: RemoteFound[Any], here: Found) -> None:
    assert len(here) > 3 and there.parents == here.parents and there.size == here.size
    assert there.is_complete and there.points == here.points
    for mask, expected in zip(there, here, strict=True):
        assert np.array_equal(mask.pixels, expected.pixels)
        assert (mask.box, mask.area, mask.index, mask.frame) == (
            expected.box, expected.area, expected.index, expected.frame)  # fmt: skip
        assert mask.score == pytest.approx(expected.score, abs=1e-5)
        assert mask.stability == pytest.approx(expected.stability, abs=1e-5)
        assert mask.prompt.points == expected.prompt.points


@pytest.mark.soak
@pytest.mark.parametrize(
    "options",
    [
        LOW,
        {**LOW, "dedup": "mask", "min_area": np.int64(100)},
        {**LOW, "points_per_side": None, "point_grids": [np.array([[x / 9, 0.4] for x in range(10)])]},
        {**LOW, "points_per_side": 2, "tiles": 300},
    ],
    ids=["thresholds", "numpy", "grids", "tiles"],
)
def test_everything_is_that_of_the_segmenter(far: RemoteImage, near: OpenImage, options: dict[str, Any]) -> None:
    _same(far.everything(**options), near.everything(**options))


def test_masks_go_on_as_others_do(far: RemoteImage, near: OpenImage) -> None:
    """Also those found in a tile, whose logits lie in that tile."""
    options: dict[str, Any] = {**LOW, "points_per_side": 2, "tiles": 300}
    there, here = far.everything(**options), near.everything(**options)
    numbers = {mask.frame.is_whole: number for number, mask in enumerate(here)}
    assert set(numbers) == {True, False}
    for number in numbers.values():
        np.testing.assert_allclose(there[number].logits, here[number].logits, rtol=1e-3, atol=1e-3)
        asked = {"points": [(600, 20), (500, 40)], "labels": [1, 0]}
        again = far.segment(**asked, previous=there[number])
        expected = near.segment(**asked, previous=here[number])
        assert np.count_nonzero(again.pixels != expected.pixels) <= 0.002 * max(1000, expected.area)


def test_progress_counts_up_and_errors_of_it_come_through(far: RemoteImage, app: Any) -> None:
    told: list[tuple[int, int]] = []
    far.everything(progress=lambda done, total: told.append((done, total)), points_per_side=7)
    assert len(told) > 3 and told == sorted(set(told)) and {total for _, total in told} == {49}

    def stop(done: int, total: int) -> None:
        raise TimeoutError("enough")

    with pytest.raises(TimeoutError, match="enough"):
        far.everything(progress=stop, **LONG)
    _wait_until_idle(app)


def test_time_that_is_over_gives_what_was_found(far: RemoteImage) -> None:
    found = far.everything(timeout=2.0, **LONG)
    assert not found.is_complete and 0 < found.points < 40_000


def test_task_that_is_cancelled_ends_the_search(url: str, strip: np.ndarray, app: Any, near: OpenImage) -> None:
    async def main() -> RemoteFound[Any]:
        async with AsyncClient(url) as client:
            image = await client.open(strip)
            begun = asyncio.Event()
            task = asyncio.create_task(image.everything(progress=lambda done, total: begun.set(), **LONG))
            await asyncio.wait_for(begun.wait(), PATIENCE)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return await image.everything(**LOW)  # asked again while the first may still be ending

    _same(asyncio.run(main()), near.everything(**LOW))
    _wait_until_idle(app)


def _wait_until_idle(app: Any) -> None:
    own = app.state.service
    wait_until(lambda: not own.searches._running and own.gate.inside == 0, PATIENCE)


def test_image_that_was_forgotten_is_sent_again(url: str, strip: np.ndarray, app: Any, near: OpenImage) -> None:
    with Client(url) as client, client.open(strip[:, :800]) as image:
        expected = image.everything(**LOW)
        app.state.service.store.forget_all("local")
        assert [mask.rle() for mask in image.everything(**LOW)] == [mask.rle() for mask in expected]
    with pytest.raises(ClosedError):
        image.everything(**LOW)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"pred_iou_thresh": float("nan")}, "pred_iou_thresh"),
        ({"tiles": 63}, "tiles"),
        ({"points_per_side": 8, "point_grids": [np.zeros((1, 2))]}, "points_per_side, point_grids"),
        ({"pred_iou": 0.5}, "pred_iou: there is no such option"),
        ({"max_memory": 1 << 30}, "max_memory"),
        ({"timeout": 0}, "timeout"),
    ],
)
def test_wrong_options_are_named_before_anything_is_sent(
    server: StandIn, client: Client, png: bytes, options: dict[str, Any], named: str
) -> None:
    image = client.open(png)
    with pytest.raises(SettingsError, match=f"^{named}"):
        image.everything(**options)
    assert not server.asked(ending="/everything")


RESULT = {"masks": [], "complete": True, "points": 4}


def _events(*told: tuple[str, Any]) -> Callable[[httpx.Request], httpx.Response]:
    """A reply in events, after which the connection ends."""
    text = "".join(f": alive\n\nevent: {name}\ndata: {json.dumps(data)}\n\n" for name, data in told)
    return lambda request: httpx.Response(200, text=text, headers={"content-type": "text/event-stream; charset=utf-8"})


def _error(status: int, code: str) -> tuple[str, Any]:
    return "error", {"error": {"code": code, "message": f"told to say {code}"}, "status": status}


@pytest.mark.parametrize(
    "first",
    [
        refusal(429, "too_many_requests", retry_after="0"),
        broken,
        _events(("progress", {"done": 1, "total": 4})),
        _events(_error(503, "draining")),
        _events(("progress", {"done": 1, "total": 4}), _error(410, "image_gone")),
    ],
    ids=["busy", "broken", "ended", "draining", "gone"],
)
def test_what_passes_is_asked_again(server: StandIn, client: Client, png: bytes, first: Any) -> None:
    image = client.open(png)
    server.first = [first]
    if first.__name__ == "<lambda>" and b"image_gone" in first(httpx.Request("GET", "http://h")).content:
        server.first += [server._own]  # the upload
    server.first += [_events(("result", RESULT))]
    found = image.everything()
    assert list(found) == [] and (found.points, found.parents) == (4, [])


@pytest.mark.parametrize("told", [_events(_error(422, "too_many")), _events(("error", 7)), _events(("result", {}))])
def test_what_does_not_pass_is_raised(server: StandIn, client: Client, png: bytes, told: Any) -> None:
    image = client.open(png)
    server.first = [told]
    with pytest.raises(ServiceError):
        image.everything()
    assert len(server.asked(ending="/everything")) == 1


def test_events_are_heard_wherever_the_pieces_end() -> None:
    text = (
        b': alive\n\nevent: progress\ndata: {"done": 1}\n\nevent: progress\ndata: a: b\n\nevent: result\ndata: {}\n\n'
    )
    for length in range(1, len(text) + 1):
        heard: list[tuple[str, bytes]] = []
        listener = Listener(200, {"content-type": "text/event-stream"}, lambda *told: heard.append(told))  # noqa: B023
        for start in range(0, len(text), length):
            listener.take(text[start : start + length])
        assert heard == [("progress", b'{"done": 1}'), ("progress", b"a: b")] and listener.reply().body == b"{}"


def test_answer_without_events_is_a_reply_and_half_an_answer_is_none() -> None:
    def fail(name: str, data: bytes) -> None:
        raise KeyError(name)

    plain = Listener(429, {"content-type": "application/json"}, fail)
    plain.take(b"{}\n\n")
    assert (plain.reply().status, plain.reply().body) == (429, b"{}\n\n")
    half = Listener(200, {"content-type": "text/event-stream"}, fail)
    with pytest.raises(HearingError):
        half.take(b"event: progress\ndata: 1\n\n")
    with pytest.raises(Unreachable):
        half.reply()
