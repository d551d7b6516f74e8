"""A decoder that dies, hangs or eats memory costs exactly the request it worked for."""

from __future__ import annotations

import asyncio
import io
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import psutil
import pytest
from decoders import decoders
from mutations import KINDS, mutate, seeds
from PIL import Image

from clickmask.models.errors import ImageError
from clickmask.service.http.decoding.pool import DecodePool, DecoderError
from clickmask.service.http.settings import GIB, MIB, Decoders
from clickmask.service.images import MAX_PIXELS, Picture

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are stopped and limited as on Linux")


class _Trial:
    """A running pool of `count` processes, and the reasons for which some were replaced."""

    def __init__(
        self, use: Callable[[_Trial], Awaitable[Any]], settings: Decoders, max_pixels: int = MAX_PIXELS
    ) -> None:
        self.restarts: list[str] = []
        self.pool = DecodePool(settings, max_pixels, self.restarts.append)
        self.result = asyncio.run(self._run(use))

    async def _run(self, use: Callable[[_Trial], Awaitable[Any]]) -> Any:
        await self.pool.start()
        try:
            return await use(self)
        finally:
            await self.pool.close()

    @property
    def workers(self) -> list[psutil.Process]:
        return decoders()

    async def begin(self, count: int) -> list[asyncio.Task[Picture]]:
        """Requests that have come to the (stopped) processes, or stand behind those that have."""
        tasks = [asyncio.create_task(self.pool.decode(seeds()["png"])) for _ in range(count)]
        await asyncio.sleep(0.1)
        return tasks


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT])
def test_a_crash_costs_the_one_request(blow: signal.Signals) -> None:
    async def crash(trial: _Trial) -> list[Any]:
        first, second = trial.workers
        first.suspend()
        second.suspend()
        tasks = await trial.begin(6)  # two in the decoders, four waiting
        first.send_signal(blow)
        first.resume()
        second.resume()
        return await asyncio.gather(*tasks, return_exceptions=True)

    trial = _Trial(crash, Decoders(count=2))
    lost = [answer for answer in trial.result if not isinstance(answer, Picture)]
    assert [(type(error), error.status, error.code, error.reason) for error in lost] == [
        (DecoderError, 422, "bad_image", "crash")
    ]
    assert lost[0] in trial.result[:2]
    assert trial.restarts == ["crash"]


def test_a_hang_costs_the_one_request_and_no_more_than_its_time() -> None:
    async def hang(trial: _Trial) -> tuple[Any, float, Picture]:
        trial.workers[0].suspend()
        started = time.perf_counter()
        (answer,) = await asyncio.gather(trial.pool.decode(seeds()["png"]), return_exceptions=True)
        return answer, time.perf_counter() - started, await trial.pool.decode(seeds()["png"])

    trial = _Trial(hang, Decoders(count=1, seconds=1))
    answer, seconds, after = trial.result
    assert answer.reason == "timeout"
    assert 1 <= seconds <= 3
    assert after.size == (48, 36)
    assert trial.restarts == ["timeout"]


def test_a_caller_who_waits_no_longer_leaves_the_decoder_alone() -> None:
    """The control of the test before: a stopped decoder is not replaced but by its own time limit."""

    async def lose_patience(trial: _Trial) -> Picture:
        (worker,) = trial.workers
        worker.suspend()
        with pytest.raises(TimeoutError):
            await trial.pool.decode(seeds()["png"], timeout=0.5)
        worker.resume()
        picture = await trial.pool.decode(seeds()["gif"])
        assert trial.workers == [worker]
        return picture

    trial = _Trial(lose_patience, Decoders(count=1, seconds=60))
    assert trial.result.size == (48, 36)
    assert trial.restarts == []


def _bomb() -> bytes:
    """A valid PNG of 12 KB and 100 megapixels: 100 MB of grey, 300 MB of colour."""
    buffer = io.BytesIO()
    Image.new("1", (10_000, 10_000)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(("memory", "restarts"), [(256 * MIB, ["memory"]), (GIB, [])])
def test_a_memory_bomb_costs_the_one_request(memory: int, restarts: list[str]) -> None:
    """With enough memory the same image is none: its second run is the control."""

    async def explode(trial: _Trial) -> list[Any]:
        tasks = (trial.pool.decode(data) for data in (seeds()["png"], _bomb(), seeds()["png"]))
        return await asyncio.gather(*tasks, return_exceptions=True)

    trial = _Trial(explode, Decoders(count=1, memory=memory))
    before, bomb, after = trial.result
    assert before.size == after.size == (48, 36)
    assert trial.restarts == restarts
    assert bomb.reason == "memory" if restarts else bomb.size == (10_000, 10_000)


def test_a_cancelled_request_that_waits_is_never_begun() -> None:
    async def cancel(trial: _Trial, *, really: bool) -> list[Any]:
        (worker,) = trial.workers
        worker.suspend()
        tasks = await trial.begin(1)
        tasks.append(asyncio.create_task(trial.pool.decode(_bomb())))
        tasks += await trial.begin(1)
        if really:
            tasks[1].cancel()
        worker.resume()
        return await asyncio.gather(*tasks, return_exceptions=True)

    settings = Decoders(count=1, memory=256 * MIB)
    trial = _Trial(lambda trial: cancel(trial, really=True), settings)
    assert [type(answer) for answer in trial.result] == [Picture, asyncio.CancelledError, Picture]
    assert trial.restarts == []
    control = _Trial(lambda trial: cancel(trial, really=False), settings)
    assert control.restarts == ["memory"]


def test_a_cancelled_request_in_a_decoder_holds_it_until_it_is_done() -> None:
    async def cancel(trial: _Trial) -> list[Any]:
        (worker,) = trial.workers
        worker.suspend()
        tasks = await trial.begin(2)
        tasks[0].cancel()
        await asyncio.sleep(0.1)
        assert not tasks[1].done()
        worker.resume()
        return await asyncio.gather(*tasks, return_exceptions=True)

    trial = _Trial(cancel, Decoders(count=1))
    assert [type(answer) for answer in trial.result] == [asyncio.CancelledError, Picture]
    assert trial.restarts == []


def test_images_are_decoded_in_the_order_they_came() -> None:
    async def note_order(trial: _Trial) -> list[int]:
        order: list[int] = []

        async def decode(number: int) -> None:
            await trial.pool.decode(seeds()["bmp"])
            order.append(number)

        await asyncio.gather(*(decode(number) for number in range(30)))
        return order

    assert _Trial(note_order, Decoders(count=1)).result == list(range(30))


def test_signals_to_the_whole_group_leave_the_decoders_to_the_server() -> None:
    async def signal_all(trial: _Trial) -> Picture:
        for worker in trial.workers:
            for name in (signal.SIGINT, signal.SIGTERM):
                worker.send_signal(name)
        return await trial.pool.decode(seeds()["png"])

    trial = _Trial(signal_all, Decoders(count=1))
    assert trial.result.size == (48, 36)
    assert trial.restarts == []


def _damage_many(count: int) -> None:
    rng, kinds, files = Random(11), list(KINDS), list(seeds().values())
    answers: dict[type, int] = {}

    async def decode(trial: _Trial, number: int) -> None:
        data = mutate(files[number % len(files)], kinds[number % len(kinds)], rng)
        try:
            answer: object = await trial.pool.decode(data)
        except (ImageError, DecoderError) as error:
            answer = error
        answers[type(answer)] = answers.get(type(answer), 0) + 1

    async def damage_all(trial: _Trial) -> list[int]:
        sizes = []
        for start in range(0, count, 50):
            await asyncio.gather(*(decode(trial, number) for number in range(start, min(start + 50, count))))
            sizes.append(psutil.Process().memory_info().rss)
        await trial.pool.decode(seeds()["png"])
        assert len(trial.workers) == 2
        return sizes

    sizes = _Trial(damage_all, Decoders(count=2), 4_000_000).result
    assert sum(answers.values()) == count
    assert answers[Picture] > count / 10  # some damage shows in no decoder, and some only in pixels
    assert answers[ImageError] > count / 4
    assert max(sizes) - sizes[0] < 64 * MIB


def test_damaged_images_give_a_picture_or_a_refusal() -> None:
    _damage_many(2000)


@pytest.mark.soak
def test_many_damaged_images_give_a_picture_or_a_refusal() -> None:
    _damage_many(100_000)
