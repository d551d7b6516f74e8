"""All batches of a server: one is at work, others wait their turn, those that ended are remembered for a while."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import time
from collections.abc import AsyncIterable, Callable
from concurrent.futures import Future
from functools import partial
from pathlib import Path

from ....models.errors import ImageError
from ...batch.sources import Trouble
from ...threads import in_own_thread
from ..admission import SHARE
from ..errors import ApiError
from ..questions import parse
from ..secret import state_folder
from ..service import Service
from . import forms
from .job import CHECKING, QUEUED, RUNNING, STOPPED, STOPPING, Job
from .lane_model import Line
from .planning import Place, plan, scan_photos
from .roots import Roots
from .schemas import BatchRequest
from .spool import Spool

FOLDER = "batches"  # in the state folder
MOST_KEPT = 100  # batches that ended, of all callers
_MOST_UPLOADS = 4  # that arrive at a time
_LONGEST_RETRY = 60.0
_STOP_SECONDS = 5.0

_log = logging.getLogger("clickmask.batches")


class Board:
    """The batches; used from the event loop only."""

    def __init__(self, service: Service) -> None:
        """Raises SettingsError: a root is no folder."""
        self._service, self.settings = service, service.settings.batches
        self.roots = Roots(self.settings.roots)
        self._spool = Spool(state_folder(service.settings.storage.folder) / FOLDER, self.settings.disk)
        self._jobs: dict[str, Job] = {}
        self._waiting: list[Job] = []
        self._running: Job | None = None
        self._threads = set[Future[BaseException | None]]()
        self._arriving: dict[str, int] = {}  # caller -> bytes of the upload that is on its way
        self._tasks = set[asyncio.Task[None]]()

    async def start(self) -> None:
        """Clear away what servers before left behind."""
        await asyncio.to_thread(self._spool.open)

    async def close(self) -> None:
        """Stop everything; what is at work finishes the photo it is at."""
        for job in list(self._jobs.values()):
            self._stop(job)
        await self._ended(list(self._threads))
        await asyncio.to_thread(self._spool.close)

    def of(self, caller: str) -> list[Job]:
        """A caller's batches, the newest first."""
        self._expire()
        return [job for job in reversed(self._jobs.values()) if job.caller == caller]

    def find(self, key: str, caller: str) -> Job:
        """One of them. Raises ApiError 404, or 410 when it was forgotten."""
        job = self._jobs.get(key)
        if job is None or job.caller != caller:
            raise self._service.store.keys.check(key, caller, "batch_gone")
        return job

    def ahead(self, job: Job) -> int:
        """How many go before one that waits."""
        return self._waiting.index(job) + (self._running is not None) if job in self._waiting else 0

    async def begin(self, caller: str, request: BatchRequest) -> tuple[Job, bool]:
        """A batch on the server's folders, and whether it was begun, or goes on, by this. Raises ApiError."""
        for name in ("photos", "out"):
            if getattr(request, name) is None:
                raise ApiError(422, "bad_request", f"{name}: expected a folder, as /v1/folders names it", field=name)
        key = self._service.store.keys.batch(request.model_dump_json(exclude={"verify", "restart"}), caller)
        job = self._jobs.get(key)
        if job is not None and job.is_active:
            return job, False
        self._check_free(caller)
        job = await self._service.heavy(caller, partial(self._planned, caller, key, request))
        before = self._jobs.get(key)
        if before is not None and before.is_active:  # the same was asked meanwhile
            return before, False
        self._add(job)
        return job, True

    async def begin_upload(
        self, caller: str, parts: AsyncIterable[bytes], content_type: str, size: int | None, touch: Callable[[], object]
    ) -> Job:
        """A batch of photos that arrive as a form. size: bytes as announced. touch: called as they come.

        Raises ApiError.
        """
        if not self.settings.photos:
            raise ApiError(422, "bad_request", "photos: this server takes no uploads of batches", field="photos")
        self._check_free(caller)
        if caller in self._arriving:
            raise ApiError(429, "too_many_requests", "an upload of yours is on its way already", retry_after=5)
        if len(self._arriving) >= _MOST_UPLOADS:
            raise ApiError(503, "busy", "other uploads are on their way", retry_after=5)
        promised = min(size or self.settings.upload, self.settings.upload)
        left = await asyncio.to_thread(self._spool.left) - sum(self._arriving.values())
        if promised > left:
            raise ApiError(503, "no_room", "other uploads fill the server's room", retry_after=_LONGEST_RETRY)
        self._arriving[caller] = promised
        made = await asyncio.to_thread(self._spool.make)
        try:
            body = await forms.receive(
                parts, content_type, made / "photos", self.settings.photos, _Counter(self.settings.upload, touch)
            )
            job = await self._service.heavy(caller, partial(self._planned_upload, caller, body, made))
            self._check_free(caller)
        except BaseException:
            self._remove(made)
            raise
        finally:
            del self._arriving[caller]
        self._add(job)
        return job

    def go_on(self, job: Job) -> None:
        """Put one that has ended in line again; of one that is active nothing changes. Raises ApiError."""
        if not job.is_active:
            self._check_free(job.caller)
            self._add(job)

    async def stop(self, job: Job) -> None:
        """Stop one, and wait a moment until it has."""
        running = list(self._threads) if job is self._running else []
        self._stop(job)
        await self._ended(running)

    async def forget(self, job: Job) -> None:
        """Stop one, and forget it and what was uploaded for it. Results in the server's folders stay."""
        await self.stop(job)
        self._jobs.pop(job.id, None)
        if not job.is_active:
            self._clear(job)  # else when its thread has ended

    def _planned(self, caller: str, key: str, request: BatchRequest) -> Job:
        assert request.photos is not None and request.out is not None
        photos = self.roots.resolve(request.photos, "photos")
        place = Place(photos, self.roots.resolve_new(request.out, "out"), self.roots.hide)
        return Job(key, caller, request, place, plan(request, place, self._spool.prompts_path()))

    def _planned_upload(self, caller: str, body: bytes, made: Path) -> Job:
        request = parse(BatchRequest, body)
        for name in ("photos", "out"):
            if getattr(request, name) is not None:
                raise ApiError(422, "bad_request", f"{name}: not for uploads", field=name)
        place = Place(made / "photos", made / "out", lambda text: text.replace(f"{made}{os.sep}", ""))
        key = self._service.store.keys.batch(secrets.token_hex(16), caller)
        return Job(key, caller, request, place, plan(request, place, made / "prompts"), upload=made)

    def _check_free(self, caller: str) -> None:
        """Raise ApiError 429 or 503 when too many wait already."""
        own = sum(job.caller == caller for job in self._waiting)
        if own >= max(1, int(self.settings.queue * SHARE)):
            raise ApiError(429, "too_many_requests", f"{own} batches of yours wait already", retry_after=self._wait())
        if len(self._waiting) >= self.settings.queue:
            raise ApiError(503, "busy", "too many batches wait already", retry_after=self._wait())

    def _wait(self) -> float:
        left = self._running.told.values.get("seconds_left") if self._running else None
        return min(left or _LONGEST_RETRY, _LONGEST_RETRY)

    def _add(self, job: Job) -> None:
        self._jobs.pop(job.id, None)
        self._jobs[job.id] = job
        job.error = None
        job.move(QUEUED)
        self._waiting.append(job)
        self._expire()
        self._next()

    def _next(self) -> None:
        if self._running is not None or not self._waiting:
            return
        service, loop = self._service, asyncio.get_running_loop()
        job = self._running = self._waiting.pop(0)
        is_cpu = service.provenance["device"] == "cpu"
        job.line = Line(service.lanes, job.caller, loop, is_courteous=is_cpu)
        task = loop.create_task(self._run(job, job.line))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        for waiting in self._waiting:
            waiting.move()

    async def _run(self, job: Job, line: Line) -> None:
        error: BaseException | None = None
        try:
            if job.upload is not None:
                job.move(CHECKING)
                await self._check_photos(job, line)
            if line.stopped:
                raise KeyboardInterrupt
            job.move(RUNNING)
            segmenter = self._service.engines[0].segmenter
            loop = asyncio.get_running_loop()
            work = partial(_caught, partial(job.do, segmenter, line, loop, self._spool))
            thread = in_own_thread(work, "clickmask-batch")
            self._threads.add(thread)
            try:
                error = await asyncio.wrap_future(thread)
            finally:
                self._threads.discard(thread)
        except (Exception, KeyboardInterrupt) as caught:
            error = caught
        self._end(job, error)

    def _end(self, job: Job, error: BaseException | None) -> None:
        job.end(error)
        if job.state not in (STOPPED,) and error is not None:
            _log.error("a batch failed: %s", type(error).__name__, exc_info=error)
        self._running = None
        if job.id not in self._jobs or self._jobs[job.id] is not job:
            self._clear(job)
        self._next()

    async def _check_photos(self, job: Job, line: Line) -> None:
        """What a decoder process refuses is not given to the batch, which decodes in this process."""
        found = await asyncio.to_thread(scan_photos, job.place)
        for source in found.sources:
            if line.stopped:
                return
            path = Path(source.path)
            try:
                await self._service.decode(job.caller, await asyncio.to_thread(path.read_bytes))
            except (ImageError, ApiError) as error:
                if isinstance(error, ApiError) and error.status != 422:
                    raise
                job.refused.append(Trouble(source.name, type(error).__name__, str(error)))
                await asyncio.to_thread(path.unlink)

    def _stop(self, job: Job) -> None:
        if job in self._waiting:
            self._waiting.remove(job)
            job.end(KeyboardInterrupt())
            job.error = None
            job.move(STOPPED)
        elif job is self._running and job.line is not None:
            job.move(STOPPING)
            job.line.stop()

    async def _ended(self, threads: list[Future[BaseException | None]]) -> None:
        """Wait until they have ended, for a while."""
        if threads:
            await asyncio.wait([asyncio.wrap_future(thread) for thread in threads], timeout=_STOP_SECONDS)
        await asyncio.sleep(0)  # those who wait for them as well have seen it

    def _expire(self) -> None:
        now, ended = time.monotonic(), [job for job in self._jobs.values() if not job.is_active]
        ended.sort(key=lambda job: job.ended)
        for number, job in enumerate(ended):
            if now - job.ended > self.settings.keep or len(ended) - number > MOST_KEPT:
                del self._jobs[job.id]
                self._clear(job)

    def _clear(self, job: Job) -> None:
        if job.upload is not None:
            self._remove(job.upload)

    def _remove(self, made: Path) -> None:
        in_own_thread(lambda: self._spool.remove(made), "clickmask-clear")


def _caught(work: Callable[[], None]) -> BaseException | None:
    """What some work ended with; an interrupt, too, is only this batch's."""
    try:
        work()
    except BaseException as error:
        return error
    return None


class _Counter:
    """Told how many bytes came. Raises ApiError 413 when they are too many."""

    def __init__(self, most: int, touch: Callable[[], object]) -> None:
        self._left, self._most, self._touch = most, most, touch

    def __call__(self, size: int) -> None:
        self._touch()
        self._left -= size
        if self._left < 0:
            raise ApiError(413, "body_too_large", f"photos: expected at most {self._most} bytes in an upload")
