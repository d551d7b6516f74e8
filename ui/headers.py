"""What browsers are told about the page: what it may load, and for how long they may keep its parts."""

from __future__ import annotations

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


class PageHeaders:
    """Adds them to the answers under /ui and /page; the rest, Gradio's calls included, keeps the service's own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; add to the answer."""
        path = path_below_root(scope) if scope["type"] == "http" else ""
        if not path.startswith(("/ui/", "/page/")) or path.startswith("/ui/gradio_api/"):
            await self._app(scope, receive, send)
            return

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
