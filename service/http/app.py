"""The front door of the service: `create_app` puts service, routes and layers together."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from ...models.errors import ClickmaskError
from ..segmenter import Segmenter
from ..version import version
from . import attention_routes, everything_routes, image_routes, mask_routes, project_routes, server_routes
from .access.middleware import AccessMiddleware
from .access.proxies import ProxyMiddleware
from .access.ways import open_callers
from .batches import routes as batch_routes
from .batches.board import Board
from .context import get_context
from .encoders import Encoders
from .errors import ApiError, from_clickmask
from .front_door import FrontDoor
from .health import Health
from .limits import LimitsMiddleware
from .metrics import Metrics
from .openapi import describe_api
from .project import Project
from .requests import RequestMiddleware
from .secret import sign
from .security_headers import SecurityHeaders
from .service import Service
from .settings import ServeSettings


class AppMaker(Protocol):
    """What makes an app: `create_app`, or one that adds to it."""

    def __call__(
        self, segmenters: Sequence[Segmenter], settings: ServeSettings, *, encoders: Encoders | None = None
    ) -> FastAPI:
        """See `create_app`."""
        ...


_log = logging.getLogger("clickmask.requests")
_HTTP_CODES = {404: "not_found", 405: "method_not_allowed"}


def create_app(
    segmenters: Sequence[Segmenter],
    settings: ServeSettings,
    attach: Callable[[FastAPI], object] | None = None,
    *,
    encoders: Encoders | None = None,
) -> FastAPI:
    """The service as an ASGI app, for one segmenter a device (all of one model).

    attach: adds what else is to be answered, as the click page; it comes inside all layers, as the routes do.
    encoders: who encodes what callers open, instead of the segmenters' devices.

    Its `state` has `service`, `health` and `metrics`, and `pages`: the paths that people open, for `attach` to add to.
    Raises SettingsError: a setting, or a file it names, is no good.
    """
    health, metrics = Health(), Metrics()
    service = Service(segmenters, settings, health, metrics, encoders)
    app = FastAPI(
        title="clickmask",
        version=version(),
        summary="Cut any object out of any photo with a click.",
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=lambda route: route.name,  # what generated clients call their functions
        servers=[{"url": settings.root_path}] if settings.root_path else None,
        lifespan=_lifespan,
    )
    app.state.service, app.state.health, app.state.metrics = service, health, metrics
    app.state.callers = open_callers(settings.access, service.secret)
    app.state.pages = ["/docs"]  # paths that people open
    app.state.batches = Board(service)
    for routes in (image_routes, mask_routes, attention_routes, everything_routes, batch_routes, server_routes):
        app.include_router(routes.router)
    if settings.project is not None:
        app.state.project = Project(settings.project, service.secret)
        app.include_router(project_routes.router)
    for kind in (ApiError, HTTPException, RequestValidationError, ClickmaskError):
        app.add_exception_handler(kind, _answer_error)
    app.openapi = lambda: describe_api(app)
    if attach is not None:
        attach(app)
    _add_layers(app, service, settings)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncGenerator[None]:
    service: Service = app.state.service
    batches: Board = app.state.batches
    await batches.start()
    await service.start()
    try:
        yield
    finally:
        await batches.close()
        await service.close()


def _add_layers(app: FastAPI, service: Service, settings: ServeSettings) -> None:
    """The innermost first: each one added is put around those before."""
    app.add_middleware(AccessMiddleware, callers=app.state.callers, pages=app.state.pages)
    uploads = {batch_routes.PATH: settings.batches.upload if settings.batches.photos else 0}
    app.add_middleware(LimitsMiddleware, limits=settings.limits, uploads=uploads)
    app.add_middleware(FrontDoor, settings=settings)
    app.add_middleware(
        RequestMiddleware,
        health=app.state.health,
        metrics=app.state.metrics,
        largest_body=max(settings.limits.body, settings.batches.upload),
        hash_caller=lambda caller: sign(service.secret, "log", caller).hex(),
    )
    app.add_middleware(SecurityHeaders)
    app.add_middleware(ProxyMiddleware, proxies=settings.access.proxies, root_path=settings.root_path)


async def _answer_error(request: Request, error: Exception) -> Response:
    found = _as_api_error(request, error)
    get_context(request.scope).notes["code"] = found.code
    headers = {name.decode(): value.decode() for name, value in found.headers()}
    if isinstance(error, HTTPException):
        headers |= error.headers or {}
    return Response(found.body(), found.status, headers)


def _as_api_error(request: Request, error: Exception) -> ApiError:
    if isinstance(error, ApiError):
        if error.__cause__ is not None and error.status >= 500:  # one of ours: the log tells which
            _log_cause(request, error.__cause__)
        return error
    if isinstance(error, ClickmaskError):
        found = from_clickmask(error)
        if found.status >= 500:
            _log_cause(request, error)
        return found
    if isinstance(error, RequestValidationError):
        first: dict[str, Any] = error.errors()[0]
        field = str(first["loc"][-1])
        return ApiError(422, "bad_request", f"{field}: {first['msg']}", field=field)
    assert isinstance(error, HTTPException)
    code = _HTTP_CODES.get(error.status_code, "bad_request")
    messages = {404: "there is nothing at this path", 405: "this path has no such method"}
    return ApiError(error.status_code, code, messages.get(error.status_code, "the request cannot be read"))


def _log_cause(request: Request, cause: BaseException) -> None:
    _log.error("request %s: %s", get_context(request.scope).id, type(cause).__name__, exc_info=cause)
