"""Routes about batches: begin one, see how far it is, fetch what came of it, stop it; and which folders there are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.concurrency import iterate_in_threadpool
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ..admission import Ticket
from ..context import get_context
from ..errors import ApiError
from ..events import HEARTBEAT, KIND, EventAnswer, comment, event, wants_events
from ..exchange import body_length
from ..openapi import errors, takes_batch
from ..receiving import as_json, caller_of, enter, json_answer, read, service_of
from .archive import stream_zip
from .board import Board
from .job import Job
from .preview import small_picture
from .schemas import BatchAnswer, BatchList, BatchRequest, FolderAnswer, FolderRow

router = APIRouter(prefix="/v1", tags=["batches"])

PATH = "/v1/batches"
_LOOK_EVERY = 1.0  # seconds after which a listener sees that the server stops


@router.get("/folders", response_model=FolderAnswer, responses=errors(422))
async def list_folders(
    request: Request, path: Annotated[str, Query(max_length=4096, description="empty: the server's own")] = ""
) -> Response:
    """Folders that a batch may be about, a level at a time."""
    board, service = _board_of(request), service_of(request)
    with enter(request):
        rows, complete = await service.heavy(caller_of(request), partial(board.roots.folders, path))
        photos = (await service.heavy(caller_of(request), partial(board.roots.folder, path))).photos if path else 0
    listed = [FolderRow(**vars(row)) for row in rows]
    return json_answer(FolderAnswer(path=path, photos=photos, folders=listed, complete=complete))


@router.post(
    "/batches",
    status_code=202,
    response_model=BatchAnswer,
    responses={
        200: {"model": BatchAnswer, "description": "It waits, or is at work, already."},
        **errors(422),
    },
    openapi_extra=takes_batch(),
)
async def begin_batch(request: Request) -> Response:
    """Segment many photos: a folder at the server, or an upload. Asked again, it goes on where it was stopped."""
    board = _board_of(request)
    if request.headers.get("content-type", "").lower().startswith("multipart/"):
        job, new = await _begin_upload(request, board), True
    else:
        with enter(request):
            job, new = await board.begin(caller_of(request), await read(request, BatchRequest))
    answer = json_answer(_said(board, job), 202 if new else 200)
    answer.headers["location"] = f"{request.scope.get('root_path', '')}{PATH}/{job.id}"
    return answer


async def _begin_upload(request: Request, board: Board) -> Job:
    """Its time begins anew with whatever arrives of it."""
    service, context, loop = service_of(request), get_context(request.scope), asyncio.get_running_loop()

    def touch() -> None:
        context.deadline = max(context.deadline, loop.time() + service.settings.limits.deadline)

    with _enter(request):
        size = body_length(dict(request.scope["headers"]))
        kind = request.headers["content-type"]
        return await board.begin_upload(caller_of(request), request.stream(), kind, size, touch)


@router.get("/batches", response_model=BatchList, responses=errors())
async def list_batches(request: Request) -> Response:
    """Your batches, the newest first, until they are forgotten."""
    board = _board_of(request)
    rows = [job.describe(board.ahead(job)) for job in board.of(caller_of(request))]
    settings = board.settings
    most = {"upload": settings.upload, "upload_photos": settings.photos}
    return json_answer(BatchList(batches=rows, has_folders=bool(board.roots), **most).model_dump())


@router.get(
    "/batches/{id}",
    response_model=BatchAnswer,
    responses={
        200: {
            "content": {KIND: {}},
            "description": "With `Accept: text/event-stream` events: `progress` whenever it has changed, then the end.",
        },
        **errors(404, 410),
    },
)
async def show_batch(request: Request, id: str) -> Response:
    """How far a batch is."""
    board = _board_of(request)
    job = board.find(id, caller_of(request))
    if wants_events(request):
        return EventAnswer(partial(_open, request, job))
    return json_answer(_said(board, job))


@router.post(
    "/batches/{id}/stop", status_code=200, response_model=BatchAnswer, responses=errors(404, 410), name="stop_batch"
)
async def stop_batch(request: Request, id: str) -> Response:
    """Stop a batch, and keep it: it can go on."""
    board = _board_of(request)
    job = board.find(id, caller_of(request))
    await board.stop(job)
    return json_answer(_said(board, job))


@router.post(
    "/batches/{id}/resume", status_code=202, response_model=BatchAnswer, responses=errors(404, 410), name="resume_batch"
)
async def resume_batch(request: Request, id: str) -> Response:
    """Let a batch go on: what is done is not done twice, what failed is tried again."""
    board = _board_of(request)
    job = board.find(id, caller_of(request))
    board.go_on(job)
    return json_answer(_said(board, job), 202)


@router.get(
    "/batches/{id}/results",
    response_class=Response,
    responses={
        200: {"content": {"application/zip": {}}, "description": "A zip, made while it is sent."},
        **errors(404, 409, 410),
    },
)
async def fetch_results(request: Request, id: str) -> Response:
    """What came of a batch that has ended, or was stopped."""
    job = _board_of(request).find(id, caller_of(request))
    if job.is_active:
        raise ApiError(409, "at_work", "the batch is still at work: stop it, or wait until it has ended")
    if not job.place.out.is_dir():
        raise ApiError(409, "no_results", "the batch has no results yet")
    return _ZipAnswer(job, _enter(request))


@router.get(
    "/batches/{id}/preview",
    response_class=Response,
    responses={200: {"content": {"image/png": {}}}, **errors(404, 410, 422)},
)
async def preview_result(
    request: Request, id: str, file: Annotated[str, Query(max_length=4096, description="a file of `newest`")]
) -> Response:
    """A small picture of one of the newest results."""
    job = _board_of(request).find(id, caller_of(request))
    if file not in {name for result in job.told.newest for name in result.files}:
        raise ApiError(404, "not_found", "none of the newest results is called so")
    with enter(request):
        work = partial(small_picture, job.place.out / file)
        data = await service_of(request).heavy(caller_of(request), work)
    return Response(data, media_type="image/png", headers={"Cache-Control": "private, max-age=60"})


@router.delete("/batches/{id}", status_code=204, responses=errors(404, 410))
async def forget_batch(request: Request, id: str) -> Response:
    """Stop a batch and forget it, with what was uploaded for it; results in the server's folders stay."""
    board = _board_of(request)
    await board.forget(board.find(id, caller_of(request)))
    return Response(status_code=204)


class _ZipAnswer(Response):
    """A batch's results; the ticket is given back at the end."""

    media_type = "application/zip"

    def __init__(self, job: Job, ticket: Ticket) -> None:
        name = (job.request.out or "results").rpartition("/")[2]
        plain = "".join(letter if letter.isalnum() and letter.isascii() or letter in "-_. " else "_" for letter in name)
        super().__init__(headers={"Content-Disposition": f'attachment; filename="{plain}.zip"'})
        del self.headers["content-length"]
        self._job, self._ticket = job, ticket

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send them."""
        pieces = stream_zip(self._job.place.out)
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            async for piece in iterate_in_threadpool(pieces):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            self._ticket.give_back()
            with suppress(ValueError):  # a thread is still at a piece: the files are closed with it
                pieces.close()


@asynccontextmanager
async def _open(request: Request, job: Job) -> AsyncIterator[AsyncGenerator[bytes]]:
    with _enter(request):
        yield _events(request, job)


async def _events(request: Request, job: Job) -> AsyncGenerator[bytes]:
    board, health, told, quiet = _board_of(request), service_of(request).health, b"", 0.0
    while True:
        moved, is_active = job.moved, job.is_active
        data = as_json(_said(board, job))
        if data != told:
            told, quiet = data, 0.0
            yield event("progress", data)
        if not is_active or health.draining:
            return
        try:
            async with asyncio.timeout(_LOOK_EVERY):
                await moved.wait()
        except TimeoutError:
            quiet += _LOOK_EVERY
            if quiet >= HEARTBEAT:
                quiet = 0.0
                yield comment("nothing new")


def _said(board: Board, job: Job) -> dict[str, Any]:
    """How far it is, with all fields."""
    return job.describe(board.ahead(job)).model_dump()


def _enter(request: Request) -> Ticket:
    """A place inside, whatever the size of the body: that goes to the disk."""
    service = service_of(request)
    if not service.health.ready or service.health.broken is not None:
        raise ApiError(503, "not_ready", "the server is not ready", retry_after=5)
    return service.gate.enter(caller_of(request))


def _board_of(request: Request) -> Board:
    return request.app.state.batches
