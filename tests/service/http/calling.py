"""A small app behind the access layer, and requests to it from any address, without a network."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from clickmask.service.http.access.callers import Callers
from clickmask.service.http.access.middleware import AccessMiddleware
from clickmask.service.http.access.proxies import ProxyMiddleware
from clickmask.service.http.context import Context, get_context, put_context
from clickmask.service.http.errors import ApiError

PATHS = ("/livez", "/readyz", "/v1/me", "/v1/images", "/metrics", "/docs", "/v1/session")


class WithContext:
    """What the outermost middleware does for those within; keeps the contexts for the test to look at."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.contexts: list[Context] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self.contexts.append(Context("id"))
            put_context(scope, self.contexts[-1])
        await self._app(scope, receive, send)


def routes_of(callers: Callers | None = None) -> Starlette:
    """An app that tells who it takes the caller for, and signs in and out."""

    async def tell(request: Request) -> Response:
        url = {"scheme": request.url.scheme, "host": request.url.netloc, "client": request.scope["client"][0]}
        return JSONResponse({"caller": get_context(request.scope).caller, **url})

    async def sign_in(request: Request) -> Response:
        assert callers is not None
        try:
            identity = await callers.sign_in((await request.json())["token"], request.scope)
        except ApiError as error:
            return Response(error.body(), error.status, {k.decode(): v.decode() for k, v in error.headers()})
        return JSONResponse({"caller": identity.caller}, headers={"set-cookie": identity.cookie or ""})

    async def sign_out(request: Request) -> Response:
        assert callers is not None
        return Response(status_code=204, headers={"set-cookie": callers.sign_out(request.scope)})

    told = [Route(path, tell, methods=["GET", "POST"]) for path in PATHS if path != "/v1/session"]
    signing = [
        Route("/v1/session", sign_in, methods=["POST"]),
        Route("/v1/session", sign_out, methods=["DELETE"]),
    ]
    return Starlette(routes=[*told, *signing])


def app_behind(callers: Callers, *, proxies: Any = (), root_path: str = "") -> ProxyMiddleware:
    """The app with the layers that find out who calls."""
    return ProxyMiddleware(WithContext(AccessMiddleware(routes_of(callers), callers)), proxies, root_path)


def ask(
    app: Any,
    path: str = "/v1/me",
    *,
    method: str = "GET",
    headers: Mapping[str, str] | list[tuple[str, str]] | None = None,
    peer: str = "127.0.0.1",
    json: Any = None,
    url: str = "http://127.0.0.1:7860",
) -> httpx.Response:
    """One request from the address `peer`."""

    async def asking() -> httpx.Response:
        transport = httpx.ASGITransport(app, client=(peer, 1234))
        async with httpx.AsyncClient(transport=transport, base_url=url) as client:
            return await client.request(method, path, headers=headers, json=json)

    return asyncio.run(asking())


def bearer(token: str) -> dict[str, str]:
    """The header that carries a token."""
    return {"Authorization": f"Bearer {token}"}


def cookie_of(answer: httpx.Response) -> dict[str, str]:
    """The header with which a browser sends back the cookie it was given."""
    return {"Cookie": answer.headers["set-cookie"].split(";")[0]}
