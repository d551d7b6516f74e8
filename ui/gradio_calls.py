"""The endpoints `/segment` and `/everything` in Gradio's protocol, answered by the service; Gradio runs nothing.

A file that is uploaded becomes an image of the caller's, as by `POST /v1/images`: in memory, within the same limits,
for nobody else. Its `path` is that image's id, and no other path, address or data is ever looked at. A call is noted
by `queue/join` and done while its caller listens to `queue/data`, so that it ends when the caller leaves. Masks stay
here for a while, in memory too, to be fetched by `file=`.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any, TypeVar

import numpy as np
from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response, StreamingResponse

from ..models.errors import ClickmaskError
from ..service import rle
from ..service.formats.encoding import encode_png
from ..service.http.context import get_context
from ..service.http.errors import ApiError, from_clickmask
from ..service.http.events import HEARTBEAT
from ..service.http.everything_schemas import EverythingRequest
from ..service.http.questions import parse
from ..service.http.receiving import as_json, caller_of, enter, json_answer, notes_of, read, read_form, service_of
from ..service.http.schemas import MasksRequest, ObjectPrompt
from ..service.http.search_options import Asked
from ..service.http.settings import MIB
from ..service.http.shelf import Shelf
from .endpoint import EVERYTHING, SEGMENT
from .waiting import Call, Waiting

PATH = "/ui/gradio_api"
MASKS = 32 * MIB  # bytes of mask files kept
FETCH_WITHIN = 600.0  # seconds

_LONGEST = 256 << 10  # bytes of JSON: a prompt with an earlier mask's logits
_TITLES = {SEGMENT: "No mask", EVERYTHING: "No masks"}
_STREAM = {"media_type": "text/event-stream", "headers": {"X-Accel-Buffering": "no"}}
_SANDBOX = "default-src 'none'; sandbox; frame-ancestors 'none'"
_LOG = logging.getLogger("clickmask.requests")

router = APIRouter(prefix=PATH, include_in_schema=False)
Wanted = TypeVar("Wanted", bound=BaseModel)
Session = Annotated[str, Field(min_length=1, max_length=64)]


@dataclass(frozen=True, eq=False)
class Desk:
    """What is remembered between the requests of a call. endpoints: their names, by the numbers Gradio gave them."""

    endpoints: Mapping[int, str]
    calls: Waiting = field(default_factory=Waiting)
    masks: Shelf[bytes] = field(default_factory=lambda: Shelf(MASKS))


class _Join(BaseModel):
    fn_index: int
    session_hash: Session
    data: Annotated[list[Any], Field(min_length=2, max_length=2)]


class _File(BaseModel):
    path: Annotated[str, Field(max_length=80)]


class _Photo(BaseModel):
    """What came for the endpoint's file, under the name it has there."""

    image: _File


@router.post("/upload")
async def upload(request: Request) -> Response:
    """A file becomes an image of the caller's; the answer is its path, in a list."""
    with enter(request):
        form = await read_form(request, "files")
        entry, _ = await service_of(request).open_image(caller_of(request), form.file)
    return json_answer([entry.key])


@router.get("/upload_progress")
async def tell_progress() -> Response:
    """That is all: an upload is there when its answer is."""
    return Response(_event({"msg": "done"}), **_STREAM)


@router.post("/queue/join")
async def join(request: Request) -> Response:
    """Note a call."""
    with enter(request):
        wanted = await read(request, _Join, _LONGEST)
    endpoint = _desk(request).endpoints.get(wanted.fn_index)
    if endpoint is None:
        raise ApiError(404, "not_found", "there is no such function", field="fn_index")
    call = _desk(request).calls.add(caller_of(request), wanted.session_hash, endpoint, wanted.data)
    return json_answer({"event_id": call})


@router.get("/queue/data")
async def listen(request: Request, session_hash: Annotated[Session, Query()]) -> Response:
    """Do a session's calls one after the other, and tell what becomes of them."""
    return StreamingResponse(_do_calls(request, session_hash), **_STREAM)


@router.get("/file={path:path}")
async def fetch(request: Request, path: str) -> Response:
    """A mask of an earlier call, or an image as it was uploaded; the caller's own, and to be shown as nothing else."""
    caller = caller_of(request)
    mask = _desk(request).masks.get(path, caller)
    if mask is not None:
        return _as_file(mask, "image/png", "inline")
    image = service_of(request).store.find(path, caller).root
    assert image.data is not None, "an image has its file"
    return _as_file(image.data, "application/octet-stream", "attachment")


def _desk(request: Request) -> Desk:
    return request.app.state.desk


def _as_file(data: bytes, kind: str, disposition: str) -> Response:
    headers = {"Content-Disposition": disposition, "Content-Security-Policy": _SANDBOX}
    return Response(data, media_type=kind, headers=headers)


async def _do_calls(request: Request, session: str) -> AsyncGenerator[bytes]:
    take = partial(_desk(request).calls.take, caller_of(request), session)
    call = take()
    while call is not None:
        yield _event({"msg": "process_starts", "event_id": call.id})
        work = asyncio.create_task(_do(request, call))
        try:
            while not (await asyncio.wait([work], timeout=HEARTBEAT))[0]:
                yield _event({"msg": "heartbeat"})
        finally:
            work.cancel()
            await asyncio.wait([work])
        done = work.result()
        call = take()
        yield done if call is not None else done + _event({"msg": "close_stream"})  # at once: see `Client.send_data`
        if call is None:
            return
    yield _event({"msg": "close_stream"})


async def _do(request: Request, call: Call) -> bytes:
    """One call's last event, whatever happens."""
    try:
        async with asyncio.timeout(_seconds(request, call)):
            data = await (_segment if call.endpoint == SEGMENT else _everything)(request, call)
        output = {"data": data, "is_generating": False}
    except Exception as error:
        told = _as_api_error(request, error)
        notes_of(request)["code"] = told.code
        output = {"error": told.message, "title": _TITLES[call.endpoint], "visible": True, "duration": 10}
    succeeded = "error" not in output
    return _event({"msg": "process_completed", "event_id": call.id, "success": succeeded, "output": output})


def _as_api_error(request: Request, error: Exception) -> ApiError:
    if isinstance(error, ApiError):
        return error
    if isinstance(error, TimeoutError):
        return ApiError(504, "deadline", "no answer within the request's time")
    _LOG.error("a call failed", exc_info=error, extra={"fields": {"id": get_context(request.scope).id}})
    return from_clickmask(error if isinstance(error, ClickmaskError) else ClickmaskError())


def _seconds(request: Request, call: Call) -> float:
    """How long it may take; a search ends by itself before, with what it has found."""
    limits = service_of(request).settings.limits
    return limits.deadline + (limits.everything if call.endpoint == EVERYTHING else 0)


async def _segment(request: Request, call: Call) -> list[Any]:
    """What goes to the endpoint's components: the mask's file, and what is known about it."""
    service, caller = service_of(request), caller_of(request)
    image, wanted = _image(call), MasksRequest(objects=[_read(ObjectPrompt, call.data[1])], limit=1)
    with enter(request) as ticket:
        answer = await service.ask(caller, image, wanted, ticket, notes_of(request))
        mask = answer["objects"][0][0]
        data = await service.heavy(caller, lambda: encode_png(rle.decode(mask["rle"]) * np.uint8(255)))
    return [_keep(request, data), mask]


async def _everything(request: Request, call: Call) -> list[Any]:
    """The same of all masks: what `POST /v1/images/{id}/everything` answers."""
    service, caller = service_of(request), caller_of(request)
    image, asked = _image(call), Asked.of(_read(EverythingRequest, call.data[1] or {}))
    with service.searches.enter(caller, image, asked, service.settings.limits.everything) as one:
        return [await service.searches.answer(one, notes_of(request))]


def _image(call: Call) -> str:
    """The id of the call's photo."""
    return parse(_Photo, as_json({"image": call.data[0]})).image.path


def _read(kind: type[Wanted], value: Any) -> Wanted:
    """JSON as a text, or read already."""
    return parse(kind, value.encode("utf-8", "replace") if isinstance(value, str) else as_json(value))


def _keep(request: Request, data: bytes) -> dict[str, Any]:
    """A mask's file where its caller, and nobody else, finds it."""
    path, masks = f"{secrets.token_hex(16)}/mask.png", _desk(request).masks
    masks.expire(FETCH_WITHIN)
    if not masks.put(path, data, len(data), caller_of(request)):
        raise ApiError(507, "no_room", "the mask's file is too large to be kept; use POST /v1/segment")
    url = f"{service_of(request).settings.root_path}{PATH}/file={path}"
    meta = {"_type": "gradio.FileData"}
    return {
        "path": path,
        "url": url,
        "size": len(data),
        "orig_name": "mask.png",
        "mime_type": "image/png",
        "meta": meta,
    }


def _event(value: Any) -> bytes:
    return b"data: " + as_json(value) + b"\n\n"
