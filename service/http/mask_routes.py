"""Routes about masks: ask for them, write them to files, or everything in one call."""

from __future__ import annotations

import base64

from fastapi import APIRouter, Request
from starlette.responses import Response

from .admission import Ticket
from .errors import ApiError
from .exports import headers_of, prepare
from .openapi import errors, takes, takes_image_and_prompts
from .questions import parse
from .receiving import caller_of, compact_answer, enter, notes_of, read, read_form, service_of
from .schemas import ExportRequest, MasksAnswer, MasksRequest, SegmentAnswer
from .settings import Limits

router = APIRouter(prefix="/v1", tags=["masks"])


@router.post(
    "/images/{id}/masks",
    response_model=MasksAnswer,
    responses=errors(404, 409, 410, 422),
    openapi_extra=takes(MasksRequest),
)
async def ask(request: Request, id: str) -> Response:
    """For each object a list of masks, best first."""
    with enter(request) as ticket:
        wanted = await read(request, MasksRequest)
        notes_of(request)["format"] = wanted.format
        if wanted.stream is not None:
            service_of(request).gate.check_hover(caller_of(request))
        answer = await service_of(request).ask(caller_of(request), id, wanted, ticket, notes_of(request))
    return compact_answer(request, answer)


@router.post(
    "/images/{id}/export",
    response_class=Response,
    responses={
        200: {
            "description": "One file as it is, several in a zip.",
            "content": {kind: {} for kind in ("application/zip", "application/json", "image/png", "image/jpeg")},
        },
        **errors(404, 410, 422),
    },
    openapi_extra=takes(ExportRequest),
)
async def export_image(request: Request, id: str) -> Response:
    """Finished objects of an image, in one format or several; png and cutout are one file an object."""
    service = service_of(request)
    with enter(request) as ticket:
        entry = service.store.find(id, caller_of(request))
        wanted = await read(request, ExportRequest)
        picture = await service.picture(entry, ticket)
        export = await service.heavy(entry.caller, lambda: prepare(picture, wanted, service.provenance))
        _take_room(ticket, export.room, service.settings.limits)
        file = await service.heavy(entry.caller, export.write)
    return Response(file.data, headers=headers_of(file))


def _take_room(ticket: Ticket, size: int, limits: Limits) -> None:
    """For an export's files, and what they are made from."""
    if size > limits.queue_bytes:
        message = f"objects: their files may take {size} bytes, at most {limits.queue_bytes} in a request: send fewer"
        raise ApiError(422, "too_many", message, field="objects")
    ticket.add(size)


@router.post(
    "/segment",
    response_model=SegmentAnswer,
    responses={
        200: {
            "content": {"image/png": {}},
            "description": "With `Accept: image/png` the best mask, or cut-out, itself.",
        },
        **errors(404, 409, 410, 422),
    },
    openapi_extra=takes_image_and_prompts(),
)
async def segment(request: Request) -> Response:
    """An image and its prompts in, masks out."""
    service, caller, notes = service_of(request), caller_of(request), notes_of(request)
    with enter(request) as ticket:
        form = await read_form(request)
        if "prompts" not in form.texts:
            raise ApiError(422, "bad_request", "prompts: expected JSON in the form", field="prompts")
        wanted = parse(MasksRequest, form.texts["prompts"].encode("utf-8", "replace"))
        as_png = request.headers.get("accept", "").startswith("image/png")
        if as_png:
            wanted = _for_png(wanted)
        entry, new = await service.open_image(caller, form.file)
        notes |= {"cache": "miss" if new else "hit", "width": entry.frame.width, "height": entry.frame.height}
        answer = await service.ask(caller, entry.key, wanted, ticket, notes)
    if as_png:
        data = answer["objects"][0][0][wanted.format]
        if data is None:
            raise ApiError(422, "empty_mask", "nothing was found there, so there is nothing to cut out")
        return Response(base64.b64decode(data), media_type="image/png")
    return compact_answer(request, {"id": entry.key, **answer})


def _for_png(wanted: MasksRequest) -> MasksRequest:
    if len(wanted.objects) != 1:
        message = "objects: expected one, since the answer is one picture; ask for JSON to get more"
        raise ApiError(422, "bad_request", message, field="objects")
    shape = "cutout" if wanted.format == "cutout" else "png"
    return wanted.model_copy(update={"format": shape, "limit": 1})
