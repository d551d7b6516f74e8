"""Routes about images: leave one here, look at a part of it, ask how it is, take it back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response, StreamingResponse

from ..formats.encoding import encode_for_screen
from .errors import ApiError
from .events import HEADERS, HEARTBEAT, KIND, comment, event, wants_events
from .openapi import errors, takes, takes_image
from .receiving import as_json, caller_of, enter, json_answer, notes_of, read, read_image, service_of
from .schemas import ImageAnswer, WindowRequest
from .service import Service
from .store import Entry

router = APIRouter(prefix="/v1/images", tags=["images"])

Model = Annotated[str | None, Query(max_length=100, description="the served model; another one is refused")]
Prefetch = Annotated[bool, Query(description="not looked at yet: let others go first, push out nothing in use")]


@router.post(
    "",
    status_code=201,
    response_model=ImageAnswer,
    responses={200: {"model": ImageAnswer, "description": "It was here already."}, **errors(422)},
    openapi_extra=takes_image(),
)
async def open_image(request: Request, model: Model = None, prefetch: Prefetch = False) -> Response:
    """Leave an image here: JPEG, PNG, WebP, BMP, GIF or TIFF. Its encoding goes on after the answer."""
    service, caller = service_of(request), caller_of(request)
    if model not in (None, service.provenance["model"]):
        message = f"model: this server has {service.provenance['model']}"
        raise ApiError(422, "unknown_model", message, field="model")
    with enter(request):
        entry, new = await service.open_image(caller, await read_image(request), ahead=prefetch)
    return _answer(request, entry, new)


@router.post(
    "/{id}/windows",
    status_code=201,
    response_model=ImageAnswer,
    responses={200: {"model": ImageAnswer, "description": "It was here already."}, **errors(404, 410, 422)},
    openapi_extra=takes(WindowRequest),
)
async def open_window(request: Request, id: str) -> Response:
    """Look at a part of an image more closely. Prompts and masks stay in the image's frame."""
    service, caller = service_of(request), caller_of(request)
    with enter(request) as ticket:
        wanted = await read(request, WindowRequest)
        entry, new = await service.open_window(caller, id, wanted.box, ticket)
    return _answer(request, entry, new)


@router.get(
    "/{id}",
    response_model=ImageAnswer,
    responses={200: {"content": {KIND: {}}}, **errors(404, 410)},
)
async def show_image(request: Request, id: str) -> Response:
    """How an image is; with `Accept: text/event-stream` an event now and one when it is ready, then the end."""
    service = service_of(request)
    entry = service.store.find(id, caller_of(request))
    if wants_events(request):
        return StreamingResponse(_events(service, entry), media_type=KIND, headers=HEADERS)
    return json_answer(_describe(service, entry))


@router.get(
    "/{id}/picture",
    response_class=Response,
    responses={200: {"content": {"image/jpeg": {}, "image/png": {}}}, **errors(404, 410)},
)
async def show_picture(request: Request, id: str) -> Response:
    """The image itself as the server sees it: upright, and in a format that every browser shows."""
    service = service_of(request)
    with enter(request) as ticket:
        entry = service.store.find(id, caller_of(request))
        picture = await service.picture(entry, ticket)
        data, kind = await service.heavy(entry.caller, lambda: encode_for_screen(picture.pixels))
    return Response(data, media_type=kind, headers={"Cache-Control": "private, max-age=3600"})


@router.delete("/{id}", status_code=204, responses=errors(404, 410))
async def forget_image(request: Request, id: str) -> Response:
    """Forget an image, its windows and its masks."""
    service = service_of(request)
    service.store.forget(service.store.find(id, caller_of(request)))
    return Response(status_code=204)


@router.delete("", status_code=204, responses=errors())
async def forget_images(request: Request) -> Response:
    """Forget everything of this caller's."""
    service_of(request).store.forget_all(caller_of(request))
    return Response(status_code=204)


def _answer(request: Request, entry: Entry, new: bool) -> Response:
    notes_of(request).update(cache="miss" if new else "hit", width=entry.frame.width, height=entry.frame.height)
    return json_answer(_describe(service_of(request), entry), 201 if new else 200)


def _describe(service: Service, entry: Entry) -> ImageAnswer:
    place = {} if entry.parent is None else {"parent": entry.parent.key, "box": entry.frame.window}
    return ImageAnswer(
        id=entry.key,
        width=entry.frame.width,
        height=entry.frame.height,
        orientation=entry.root.orientation,
        model=service.provenance["model"],
        state="ready" if entry.image.done() else "encoding",
        provenance=service.provenance,
        hover_ms=service.hover_ms(entry),
        **place,
    )


async def _events(service: Service, entry: Entry) -> AsyncGenerator[bytes]:
    yield event("state", as_json(_describe(service, entry)))
    if entry.image.done():
        return
    while not (await asyncio.wait([entry.image], timeout=HEARTBEAT))[0]:
        yield comment("still encoding")
    if entry.image.cancelled() or entry.image.exception() is not None:
        yield event("gone", as_json({"id": entry.key}))
    else:
        yield event("state", as_json(_describe(service, entry)))
