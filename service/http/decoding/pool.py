"""Decoder processes for the server: whatever an image does to its decoder costs one request and no more."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, repeat

from ....models.errors import ClickmaskError, ImageError
from ...image_headers import sniff
from ...images import Picture
from ..errors import ApiError
from ..settings import Decoders
from .process import Buffer, DecoderProcess, ProcessLost

_LOG = logging.getLogger("clickmask.decoding")
_START_SECONDS = 60.0  # to import OpenCV, half a second on an idle machine
_PAUSES = (0.1, 0.3, 1.0)  # seconds before another attempt to start one; the last repeats
_ANSWERS = 1000  # then a process is replaced, before whatever a decoder leaks amounts to anything
_GAVE_UP = {
    "crash": "the decoder broke down over it",
    "timeout": "the decoder did not come to an end in time",
    "memory": "it needs more memory than a decoder may take",
}


class DecoderError(ApiError):
    """The image broke its decoder. `reason`: "crash", "timeout" or "memory"."""

    def __init__(self, reason: str) -> None:
        message = f"the image could not be decoded: {_GAVE_UP[reason]}; open it in an image editor and save it anew"
        super().__init__(422, "bad_image", message)
        self.reason = reason


@dataclass(eq=False)
class _Job:
    data: Buffer
    result: asyncio.Future[Picture]

    def succeed(self, picture: Picture) -> None:
        if not self.result.done():  # nobody may wait any more
            self.result.set_result(picture)

    def fail(self, error: Exception) -> None:
        if not self.result.done():
            self.result.set_exception(error)


class DecodePool:
    """A few processes that decode images, one image each at a time; images wait in the order they came.

    An image that kills, hangs or overfills its process is answered with an error and never tried again; the process is
    replaced in the background, with one warning in the log. Of one event loop: start, use and close it there, from one
    and the same thread (on Linux the processes die with the thread that started them). Memory is limited on Linux
    alone, time everywhere.
    """

    def __init__(
        self, settings: Decoders, max_pixels: int, on_restart: Callable[[str], None] = lambda reason: None
    ) -> None:
        """`on_restart` is told the reason ("crash", "timeout", "memory") whenever a process is replaced."""
        self._settings, self._max_pixels, self._on_restart = settings, max_pixels, on_restart
        self._jobs: asyncio.Queue[_Job] = asyncio.Queue()
        self._open_jobs: set[_Job] = set()
        self._processes: set[DecoderProcess] = set()
        self._slots: list[asyncio.Task[None]] = []
        # A thread for each process: it waits for answers, and is let go by killing the process.
        self._threads = ThreadPoolExecutor(settings.count, thread_name_prefix="decoding")

    async def start(self) -> None:
        """Start the processes; when this returns, they can decode. Raises ClickmaskError when they do not run here."""
        try:
            first = await asyncio.gather(*(self._start_process() for _ in range(self._settings.count)))
        except ProcessLost:
            await self.close()
            raise ClickmaskError(
                f"a decoder process did not start within {_START_SECONDS:g} s: what it says stands above; try by hand "
                f"python -m {__package__}.worker {self._max_pixels} {self._settings.memory}"
            ) from None
        self._slots = [asyncio.create_task(self._keep(process)) for process in first]

    async def close(self) -> None:
        """End the processes; who still waits for an image gets 503. Closing twice is fine."""
        slots, self._slots = self._slots, []
        for slot in slots:
            slot.cancel()
        for process in self._processes:
            process.kill()
        await asyncio.gather(*slots, return_exceptions=True)
        await asyncio.to_thread(self._dismiss_all)
        for job in self._open_jobs:
            job.fail(_stopping())

    async def decode(self, data: Buffer, *, timeout: float | None = None) -> Picture:
        """The picture in the bytes of an image file, as `read_picture` gives it; waits for a free process.

        Raises ImageError for what is no image we take, DecoderError when decoding broke down, ran out of memory or took
        longer than the settings allow, TimeoutError after `timeout` seconds (waiting included), and ApiError (503) when
        the pool was closed. Who is cancelled or timed out leaves a decoder that has begun to finish on its own; one
        that has not, never begins.
        """
        sniff(bytes(data[:64]), "the image")  # most of what is no image goes no further
        if not self._slots:
            raise _stopping()
        job = _Job(data, asyncio.get_running_loop().create_future())
        self._open_jobs.add(job)
        self._jobs.put_nowait(job)
        try:
            async with asyncio.timeout(timeout):
                return await job.result
        finally:
            self._open_jobs.discard(job)
            job.data = b""  # it may stand in the queue for a while yet, but need not keep the bytes

    async def _keep(self, process: DecoderProcess) -> None:
        while True:
            process = await self._serve_next(process)

    async def _serve_next(self, process: DecoderProcess) -> DecoderProcess:
        """Give a process one job, and return it, or the one that had to replace it.

        A call for each job, so that no variable keeps the last picture while there is nothing to do.
        """
        job = await self._jobs.get()
        if not process.alive:  # somebody ended it since its last job, and this one is not to blame
            process = await self._replace(process, "crash")
        reason = None if job.result.done() else await self._run(process, job)
        if reason or process.answered >= _ANSWERS:
            process = await self._replace(process, reason)
        return process

    async def _run(self, process: DecoderProcess, job: _Job) -> str | None:
        """Decode one image; the answer is why the process is now of no use, or None."""
        loop, reason = asyncio.get_running_loop(), None
        timer = loop.call_later(self._settings.seconds, process.kill)
        try:
            job.succeed(await loop.run_in_executor(self._threads, process.decode, job.data))
        except ImageError as error:
            job.fail(error)
        except MemoryError:
            reason = "memory"
        except ProcessLost:
            reason = "crash"
        finally:
            timer.cancel()
        if loop.time() >= timer.when():  # it was killed for it, even where the answer was quicker
            reason = "timeout"
        if reason:
            job.fail(DecoderError(reason))
        return reason

    async def _replace(self, old: DecoderProcess, reason: str | None) -> DecoderProcess:
        if reason:
            _LOG.warning("a decoder process is replaced: %s", reason)
            asyncio.get_running_loop().call_soon(self._on_restart, reason)
        await self._dismiss(old)
        for pause in chain(_PAUSES, repeat(_PAUSES[-1])):
            try:
                return await self._start_process()
            except ProcessLost:
                _LOG.error("a decoder process did not start: the next attempt follows in %g s", pause)
                await asyncio.sleep(pause)
        raise AssertionError("attempts never end")

    async def _start_process(self) -> DecoderProcess:
        process = DecoderProcess(self._max_pixels, self._settings.memory)
        self._processes.add(process)
        loop = asyncio.get_running_loop()
        timer = loop.call_later(_START_SECONDS, process.kill)
        try:
            await loop.run_in_executor(self._threads, process.wait_ready)
        except ProcessLost:
            await self._dismiss(process)
            raise
        finally:
            timer.cancel()
        return process

    async def _dismiss(self, process: DecoderProcess) -> None:
        await asyncio.get_running_loop().run_in_executor(self._threads, process.dismiss)
        self._processes.discard(process)

    def _dismiss_all(self) -> None:
        self._threads.shutdown()
        for process in self._processes:
            process.dismiss()
        self._processes.clear()


def _stopping() -> ApiError:
    return ApiError(503, "draining", "the server is stopping: try again in a moment", retry_after=1)
