"""Routes about the server itself: models, sign-in, health, figures, and how to use it."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from ...models.variants import VARIANTS
from .access.callers import Callers
from .docs_page import render_docs
from .health import Health
from .openapi import errors, takes
from .receiving import json_answer, read, service_of
from .schemas import ModelAnswer, ModelsAnswer, SessionAnswer, SessionRequest

router = APIRouter()

_LONGEST_SIGN_IN = 32 << 10  # bytes: anybody may try


@router.get("/v1/models", tags=["server"], response_model=ModelsAnswer, responses=errors())
async def models(request: Request) -> Response:
    """The models there are, and which one this server has, with its settings."""
    served = service_of(request).provenance
    titles = {name: variant.title for name, variant in VARIANTS.items()}
    titles.setdefault(served["model"], "a checkpoint")
    known = [
        ModelAnswer(name=name, title=title, served=True, provenance=served)
        if name == served["model"]
        else ModelAnswer(name=name, title=title, served=False)
        for name, title in titles.items()
    ]
    return json_answer(ModelsAnswer(models=known))


@router.post(
    "/v1/session",
    tags=["server"],
    response_model=SessionAnswer,
    responses=errors(404, 422),
    openapi_extra=takes(SessionRequest),
)
async def sign_in(request: Request) -> Response:
    """A token becomes a sign-in cookie, for the page."""
    callers: Callers = request.app.state.callers
    wanted = await read(request, SessionRequest, _LONGEST_SIGN_IN)
    identity = await callers.sign_in(wanted.token, request.scope)
    response = json_answer(SessionAnswer(caller=identity.caller))
    if identity.cookie is not None:
        response.headers.append("set-cookie", identity.cookie)
    return response


@router.delete("/v1/session", tags=["server"], status_code=204, responses=errors(404))
async def sign_out(request: Request) -> Response:
    """End the sign-in of this browser."""
    callers: Callers = request.app.state.callers
    return Response(status_code=204, headers={"set-cookie": callers.sign_out(request.scope)})


@router.head("/livez", include_in_schema=False)
@router.get(
    "/livez", tags=["server"], response_class=Response, responses={503: {"description": "It must be replaced."}}
)
async def live(request: Request) -> Response:
    """Whether the process works at all: 200, or 503 when it must be replaced. Load does not matter."""
    health: Health = request.app.state.health
    return json_answer({"live": health.broken is None}, 200 if health.broken is None else 503)


@router.head("/readyz", include_in_schema=False)
@router.get("/readyz", tags=["server"], response_class=Response, responses={503: {"description": "Not now."}})
async def ready(request: Request) -> Response:
    """Whether new requests are welcome: 200, or 503 before the model has warmed up and from a wish to stop on."""
    health: Health = request.app.state.health
    is_ready = health.ready and not health.draining and health.broken is None
    return json_answer({"ready": is_ready}, 200 if is_ready else 503)


@router.get("/metrics", tags=["server"], response_class=Response, responses=errors())
async def metrics(request: Request) -> Response:
    """Figures for Prometheus."""
    body, content_type = request.app.state.metrics.render()
    return Response(body, headers={"content-type": content_type})


@router.get("/docs", include_in_schema=False)
async def docs(request: Request) -> Response:
    """How to use the API, as a page."""
    page, policy = render_docs(request.app.openapi())
    return HTMLResponse(page, headers={"Content-Security-Policy": policy})
