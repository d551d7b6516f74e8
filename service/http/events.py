"""Server-sent events: answers that tell how far the work is before they tell what came of it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

KIND = "text/event-stream"
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
HEARTBEAT = 10.0  # seconds, so that no proxy takes the line for dead

Open = Callable[[], AbstractAsyncContextManager[AsyncGenerator[bytes]]]


def wants_events(request: Request) -> bool:
    """Whether the client asks for events by its `Accept`."""
    return KIND in request.headers.get("accept", "")


def event(name: str, data: bytes) -> bytes:
    """An event on the wire; data: one line."""
    return b"event: " + name.encode() + b"\ndata: " + data + b"\n\n"


def comment(text: str) -> bytes:
    """What only keeps the line alive."""
    return b": " + text.encode() + b"\n\n"


class EventAnswer(Response):
    """Events that are made while they are sent.

    open: gives the events; entered before anything is sent, so that what it raises is an answer of its own, and left in
    any case, also when the client goes.
    """

    media_type = KIND

    def __init__(self, open: Open) -> None:
        super().__init__(headers=HEADERS)
        del self.headers["content-length"]
        self._open = open

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send them."""
        async with self._open() as events:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            async for piece in events:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
