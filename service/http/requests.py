"""The outermost layer: whatever happens within, one answer, one line in the log, one count."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from .access.middleware import HEALTH_PATHS, path_below_root
from .context import Context, put_context
from .errors import ApiError, send_error
from .exchange import Exchange
from .health import Health
from .log import log_request
from .metrics import UNKNOWN_ROUTE, Metrics

CLIENT_CLOSED = 499  # the status, in log and metrics alone, of a request whose client left before its answer

_DRAINING = ApiError(503, "draining", "the server is stopping; another one may answer", retry_after=1)
_INTERNAL = ApiError(500, "internal", "the server could not do this; its log, under this request's id, says why")
_log = logging.getLogger("clickmask.requests")


class RequestMiddleware:
    """Gives each request its `Context` and id, answers when nothing else does, and tells what became of it.

    Args:
        app: all the rest.
        health: while it is `draining`, everything but the probes is refused.
        metrics: counts each request.
        largest_body: bytes; of a refused request no more than that is read (and dropped).
        hash_caller: what the log knows a caller by; its first 12 characters are written.
    """

    def __init__(
        self, app: ASGIApp, health: Health, metrics: Metrics, *, largest_body: int, hash_caller: Callable[[str], str]
    ) -> None:
        self._app, self._health, self._metrics = app, health, metrics
        self._largest_body, self._hash_caller = largest_body, hash_caller

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        began = time.perf_counter()
        context = Context(id=secrets.token_urlsafe(12))
        put_context(scope, context)
        exchange = Exchange(
            scope,
            receive,
            send,
            id=context.id,
            largest_body=self._largest_body,
            is_stopping=lambda: self._health.draining,
        )
        try:
            await self._answer(scope, context, exchange)
        finally:
            self._tell(scope, context, exchange, (exchange.answered_at or time.perf_counter()) - began)

    async def _answer(self, scope: Scope, context: Context, exchange: Exchange) -> None:
        if self._health.draining and path_below_root(scope) not in HEALTH_PATHS:
            return await _refuse(context, exchange, _DRAINING)
        try:
            await self._app(scope, exchange.receive, exchange.send)
            if exchange.status is None and not exchange.gone:
                raise RuntimeError("the app returned without an answer")
        except ApiError as error:
            await _refuse(context, exchange, error)
        except ClientDisconnect:
            exchange.gone = True
        except asyncio.CancelledError:  # the time to stop in is over
            await _refuse(context, exchange, _DRAINING)
            raise
        except Exception:
            _log.exception("a request failed", extra={"fields": {"id": context.id}})
            await _refuse(context, exchange, _INTERNAL)

    def _tell(self, scope: Scope, context: Context, exchange: Exchange, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", None) or UNKNOWN_ROUTE
        status = exchange.status or CLIENT_CLOSED
        code = context.notes.pop("code", None) or ("client_closed" if exchange.gone else None)
        self._metrics.answered(route=route, method=scope["method"], status=status, code=code, seconds=seconds)
        fields = {
            "id": context.id,
            "method": scope["method"],
            "route": route,
            "status": status,
            "code": code,
            "bytes_in": exchange.bytes_in,
            "bytes_out": exchange.bytes_out,
            "ms": round(seconds * 1000, 1),
            "caller": self._hash_caller(context.caller)[:12] if context.caller is not None else None,
        }
        log_request({**fields, **{name: value for name, value in context.notes.items() if name not in fields}})


async def _refuse(context: Context, exchange: Exchange, error: ApiError) -> None:
    """Answer with an error, unless an answer has begun or nobody is there to read it."""
    context.notes["code"] = error.code
    if exchange.status is None and not exchange.gone:
        await send_error(exchange.send, error, [(b"connection", b"close")] if error is _DRAINING else ())
