"""What is told about the page: to browsers what it may load and how long they may keep it, to the log its name."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..service.http.access.middleware import path_below_root

# Gradio makes functions of texts and styles elements one by one; its scripts come from here all the same.
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' blob: data:",
        "media-src 'self' blob:",
        "font-src 'self' data:",
        "connect-src 'self' blob:",
        "worker-src 'self' blob:",
        "manifest-src 'self'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
_PAGE = {
    "Content-Security-Policy": _POLICY,
    "Permissions-Policy": "camera=(self), geolocation=(), microphone=()",
}
_FOREVER = "public, max-age=31536000, immutable"  # Gradio's files carry their digest in their names
_REVALIDATE = "no-cache"


@dataclass(frozen=True)
class _Part:
    """Stands for a route in log and figures: what is mounted has none of its own."""

    path: str


_PARTS = {"/ui/": _Part("/ui/"), "/page/": _Part("/page/")}


class PageHeaders:
    """Adds them to the answers under /ui and /page; the rest, Gradio's calls included, keeps the service's own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; add to the answer."""
        path = path_below_root(scope) if scope["type"] == "http" else ""
        if not path.startswith(tuple(_PARTS)) or path.startswith("/ui/gradio_api/"):
            await self._app(scope, receive, send)
            return
        scope["route"] = next(part for start, part in _PARTS.items() if path.startswith(start))

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(_PAGE)
                if path.startswith("/page/"):
                    headers["Cache-Control"] = _REVALIDATE
                elif path.startswith("/ui/assets/") and message["status"] == 200:
                    headers["Cache-Control"] = _FOREVER
            await send(message)

        await self._app(scope, receive, sending)
