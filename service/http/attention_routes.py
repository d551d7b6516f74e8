"""The route for what was looked at."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from .attention_schemas import AttentionAnswer, AttentionRequest
from .openapi import errors, takes
from .receiving import caller_of, compact_answer, enter, notes_of, read, service_of

router = APIRouter(prefix="/v1/images", tags=["masks"])

_FILE = {"Content-Type": "application/zip", "Content-Disposition": 'attachment; filename="attention.npz"'}


@router.post(
    "/{id}/attention",
    response_model=AttentionAnswer,
    responses={
        200: {"content": {"application/zip": {}}, "description": "With `format` npz the arrays as a file of NumPy's."},
        **errors(404, 410, 422),
    },
    openapi_extra=takes(AttentionRequest),
)
async def attention(request: Request, id: str) -> Response:
    """What the decoder's tokens look at for a prompt, or a patch inside the encoder, layer by layer, head by head."""
    with enter(request) as ticket:
        wanted = await read(request, AttentionRequest)
        notes_of(request)["format"] = wanted.format
        answer = await service_of(request).attending.ask(caller_of(request), id, wanted, ticket, notes_of(request))
    return Response(answer, headers=_FILE) if isinstance(answer, bytes) else compact_answer(request, answer)
