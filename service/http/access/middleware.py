"""The layer that lets known callers through."""

from __future__ import annotations

from collections.abc import Collection

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..context import get_context
from ..errors import ApiError, send_error
from .callers import Callers, Identity
from .sign_in_page import send_sign_in, wants_page

HEALTH_PATHS = ("/livez", "/readyz")
SESSION_PATH = "/v1/session"

_CHALLENGE = (b"www-authenticate", b'Bearer realm="clickmask"')


class AccessMiddleware:
    """Puts the caller into the request's context, or answers 401: for unknown paths too, which so stay unknown.

    open_paths: exact paths, below the root path, that anybody may ask for; where callers sign in, anybody may try that
    too, and sign out. pages: exact paths that people open; there a browser that is refused is shown where to sign in.
    No WebSocket is let through: the service has none.
    """

    def __init__(
        self, app: ASGIApp, callers: Callers, open_paths: Collection[str] = HEALTH_PATHS, pages: Collection[str] = ()
    ) -> None:
        self._app, self._callers = app, callers
        self._open, self._pages = frozenset(open_paths), frozenset(pages)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Find out who calls, then pass the request on or refuse it."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        elif scope["type"] != "http" or self._is_open(scope):
            await self._app(scope, receive, send)
        else:
            await self._admit(scope, receive, send)

    def _is_open(self, scope: Scope) -> bool:
        path = path_below_root(scope)
        signing = self._callers.signs_in and path == SESSION_PATH and scope["method"] in ("POST", "DELETE")
        return path in self._open or signing

    async def _admit(self, scope: Scope, receive: Receive, send: Send) -> None:
        context = get_context(scope)
        try:
            identity = await self._callers.identify(scope)
        except ApiError as error:
            context.notes["code"] = error.code
            await self._refuse(scope, send, error)
            return
        context.caller = identity.caller
        await self._app(scope, receive, _with_cookie(send, identity))

    async def _refuse(self, scope: Scope, send: Send, error: ApiError) -> None:
        if error.status != 401:
            await send_error(send, error)
        elif self._callers.signs_in and path_below_root(scope) in self._pages and wants_page(scope):
            await send_sign_in(scope, send, self._callers.hint, _CHALLENGE)
        else:
            await send_error(send, error, (_CHALLENGE,))


def path_below_root(scope: Scope) -> str:
    """The path that the routes see: without the root path."""
    path, root = scope["path"], scope.get("root_path", "")
    return path[len(root) :] if root and path.startswith(root + "/") else path


def _with_cookie(send: Send, identity: Identity) -> Send:
    cookie = identity.cookie
    if cookie is None:
        return send

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).append("set-cookie", cookie)
        await send(message)

    return sending
