"""How routes get at a request: the service, who calls, a place inside, and the body; all of it in memory."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel
from pydantic_core import to_json
from python_multipart.exceptions import FormParserError
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request
from starlette.responses import Response

from .admission import Ticket
from .context import get_context
from .errors import ApiError
from .exchange import body_length
from .questions import parse
from .service import Service

M = TypeVar("M", bound=BaseModel)

_MOST_FIELDS = 4
_LONGEST_JSON = 12 << 20  # bytes: 64 objects with their logits
_SMALLEST_ZIPPED, _LARGEST_ZIPPED = 1024, 1 << 18  # bytes; more would hold up the event loop


@dataclass(frozen=True, eq=False)
class Form:
    """What a multipart body brought: one file, and named texts."""

    file: bytes
    texts: dict[str, str]


def service_of(request: Request) -> Service:
    """The service."""
    return request.app.state.service


def caller_of(request: Request) -> str:
    """Who calls."""
    caller = get_context(request.scope).caller
    assert caller is not None, "the access layer lets nobody through without a name"
    return caller


def notes_of(request: Request) -> dict[str, Any]:
    """What the log line will tell."""
    return get_context(request.scope).notes


def enter(request: Request) -> Ticket:
    """A place inside for this request, with room for its body as announced. Raises ApiError 429 or 503."""
    service = service_of(request)
    if not service.health.ready or service.health.broken is not None:
        raise ApiError(503, "not_ready", "the server is not ready", retry_after=5)
    length = body_length(dict(request.scope["headers"]))
    return service.gate.enter(caller_of(request), service.settings.limits.body if length is None else length)


async def read(request: Request, model: type[M], longest: int = _LONGEST_JSON) -> M:
    """The JSON body, of at most so many bytes. Raises ApiError 400, 413 or 422."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > longest:
            raise ApiError(413, "body_too_large", f"expected at most {longest} bytes of JSON")
    return parse(model, bytes(body))


async def read_image(request: Request) -> bytes:
    """The image's bytes, from a raw body or a form's `file`. Raises ApiError 400 or 422."""
    if _is_form(request):
        return (await read_form(request)).file
    return await request.body()


async def read_form(request: Request, name: str = "file") -> Form:
    """A multipart body, whose file is called `name`. Raises ApiError 400 or 422."""
    if not _is_form(request):
        raise ApiError(415, "bad_request", "expected multipart/form-data", field="Content-Type")
    parser = _InMemory(request.headers, request.stream(), max_files=1, max_fields=_MOST_FIELDS)
    parser.max_part_size = _LONGEST_JSON
    parser.spool_max_size = service_of(request).settings.limits.body + 1
    try:
        form = await parser.parse()
    except (MultiPartException, FormParserError, KeyError, UnicodeDecodeError) as error:
        reason = error.message if isinstance(error, MultiPartException) else "it is damaged"
        raise ApiError(400, "bad_form", f"the form cannot be read: {reason}") from None
    try:
        file = form.get(name)
        if file is None or isinstance(file, str):
            raise ApiError(422, "bad_request", f"{name}: expected the image as a file of the form", field=name)
        texts = {field: value for field, value in form.items() if isinstance(value, str)}
        return Form(await file.read(), texts)
    finally:
        await form.close()


class _InMemory(MultiPartParser):
    """Starlette's parser, whose files never touch the disk: its spool is larger than any body that gets here."""


def _is_form(request: Request) -> bool:
    return request.headers.get("content-type", "").lower().startswith("multipart/form-data")


def json_answer(value: Any, status: int = 200) -> Response:
    """A JSON answer from plain values or a schema; of a schema what was not set is left out."""
    return Response(as_json(value), status, media_type="application/json")


def as_json(value: Any) -> bytes:
    """The same, but for the answer around it."""
    return value.model_dump_json(exclude_unset=True).encode() if isinstance(value, BaseModel) else to_json(value)


def compact_answer(request: Request, value: Any) -> Response:
    """A JSON answer, gzipped where the client takes that: run lengths shrink to half in a third of a millisecond."""
    response = json_answer(value)
    response.headers["vary"] = "Accept-Encoding"
    if _SMALLEST_ZIPPED <= len(response.body) <= _LARGEST_ZIPPED and _takes_gzip(request):
        response.body = gzip.compress(response.body, compresslevel=1, mtime=0)
        response.headers["content-encoding"] = "gzip"
        response.headers["content-length"] = str(len(response.body))
    return response


def _takes_gzip(request: Request) -> bool:
    offers = [part.replace(" ", "") for part in request.headers.get("accept-encoding", "").lower().split(",")]
    return any(offer == "gzip" or (offer.startswith("gzip;q=") and offer[7:].strip("0.")) for offer in offers)
