"""What of Gradio can be reached: the page as it is, and nothing that runs, uploads, fetches or remembers anything."""

from __future__ import annotations

import re

from starlette.types import ASGIApp, Receive, Scope, Send

from ..service.http.access.middleware import path_below_root
from ..service.http.errors import ApiError

_PAGES = frozenset(("/", "/config", "/theme.css", "/gradio_api/info"))
_FILE = re.compile(r"/(?:assets|static)(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)+")

# Gradio believes X-Forwarded-Host and X-Gradio-Server from anybody, and answers every Origin as a friend.
_HEADERS = frozenset((b"host", b"accept-encoding", b"if-none-match", b"if-modified-since"))


class Doorway:
    """Lets through reads of the page's own parts, stripped to what they need; all else is 404.

    What makes Gradio run a function or keep a file is answered by `gradio_calls`, before anything gets here.
    """

    def __init__(self, gradio: ASGIApp) -> None:
        self.gradio = gradio

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on. Raises ApiError 404."""
        path = path_below_root(scope)
        if scope["method"] not in ("GET", "HEAD") or not (path in _PAGES or _FILE.fullmatch(path)):
            raise ApiError(404, "not_found", "there is nothing at this path")
        headers = [(name, value) for name, value in scope["headers"] if name in _HEADERS]
        await self.gradio({**scope, "headers": headers, "query_string": b""}, receive, send)
