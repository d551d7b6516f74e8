"""The route for all objects of an image: one answer, or events while it is searched."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from fastapi import APIRouter, Request
from starlette.responses import Response

from .context import get_context
from .errors import ApiError
from .events import HEARTBEAT, KIND, EventAnswer, comment, event, wants_events
from .everything_schemas import EverythingAnswer, EverythingRequest
from .openapi import errors, takes
from .receiving import as_json, caller_of, compact_answer, enter, notes_of, read, service_of
from .search_options import Asked
from .searches import Searching

router = APIRouter(prefix="/v1/images", tags=["masks"])

_log = logging.getLogger("clickmask.requests")


@router.post(
    "/{id}/everything",
    response_model=EverythingAnswer,
    responses={
        200: {
            "content": {KIND: {}},
            "description": "With `Accept: text/event-stream`, or `stream`, events: `progress` with `done` and `total` "
            "points, then `result` with the answer, or `error` with what an error's body holds and its `status`.",
        },
        **errors(404, 410, 422),
    },
    openapi_extra=takes(EverythingRequest),
)
async def everything(request: Request, id: str) -> Response:
    """All objects of an image, the largest first. Clicks go before; a closed connection ends it."""
    with enter(request):
        wanted = await read(request, EverythingRequest)
    notes_of(request)["format"] = wanted.format
    asked = Asked.of(wanted)
    if wanted.stream or wants_events(request):
        return EventAnswer(partial(_open, request, id, asked))
    service = service_of(request)
    with service.searches.enter(caller_of(request), id, asked, _seconds(request)) as one:
        get_context(request.scope).deadline = one.deadline + service.settings.limits.deadline
        answer = await service.searches.answer(one, notes_of(request))
    return compact_answer(request, answer)


def _seconds(request: Request) -> float:
    """How long it may take: as long as this server lets it, or less where the client says so."""
    most, own = service_of(request).settings.limits.everything, get_context(request.scope).timeout
    return most if own is None else min(own, most)


@asynccontextmanager
async def _open(request: Request, id: str, asked: Asked) -> AsyncIterator[AsyncGenerator[bytes]]:
    service = service_of(request)
    with service.searches.enter(caller_of(request), id, asked, _seconds(request)) as one:
        moved = asyncio.Event()
        work = asyncio.create_task(_end(request, one, moved))
        try:
            yield _events(one, moved, work)
        finally:
            work.cancel()
            await asyncio.wait([work])


async def _events(one: Searching, moved: asyncio.Event, work: asyncio.Task[bytes]) -> AsyncGenerator[bytes]:
    """How far it is, whenever that has changed, and the end."""
    told = -1
    while not work.done():
        waiting = asyncio.create_task(moved.wait())
        try:
            done, _ = await asyncio.wait([work, waiting], timeout=HEARTBEAT, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        moved.clear()
        if one.total and one.done > told:
            told = one.done
            yield event("progress", as_json({"done": one.done, "total": one.total}))
        elif not done:
            yield comment("still at work")
    yield work.result()


async def _end(request: Request, one: Searching, moved: asyncio.Event) -> bytes:
    """The last event."""
    try:
        return event("result", as_json(await service_of(request).searches.answer(one, notes_of(request), moved.set)))
    except ApiError as error:
        found = error
        if error.__cause__ is not None and error.status >= 500:
            _log_failure(request, error.__cause__)
    except Exception as error:  # nothing can be told of it by a status any more
        found = ApiError(500, "internal", "the server could not do this; its log, under this request's id, says why")
        _log_failure(request, error)
    notes_of(request)["code"] = found.code
    return event("error", as_json({**found.as_json(), "status": found.status}))


def _log_failure(request: Request, cause: BaseException) -> None:
    _log.error("request %s: %s", get_context(request.scope).id, type(cause).__name__, exc_info=cause)
