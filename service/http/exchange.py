"""One request and its answer, as they pass between the server and everything inside.

An answer may come before its request was read: a refusal, mostly. A server that closes a connection with bytes of the
client still unread resets it, and the client, busy sending, never sees the answer. So what still comes is read and
dropped, within bounds, before the answer ends.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

from starlette.types import Message, Receive, Scope, Send

_SMALL = 1 << 16  # bytes: so much is always read to the end, and so little is read when enough has come already
_ENOUGH = (408, 413)  # answers that say that the body is too slow or too large
_PATIENCE, _LITTLE_PATIENCE = 5.0, 1.0  # seconds a client has for sending what will be dropped


class Exchange:
    """Counts bytes, names the request in the answer, ends connections decently.

    status: the answer's, None before it begins. answered_at: when the app had handed over the last of it, in seconds of
    `time.perf_counter`. gone: the client left before that. bytes_in, bytes_out: of the bodies.

    Args:
        scope, receive, send: of ASGI, as the server gives them.
        id: goes out as `X-Request-Id`.
        largest_body: bytes; no more than that is read of a request, and little more dropped.
        is_stopping: whether the connection should end with this answer: a client that goes on using it might send its
            next request into the closing of idle connections, and would get no answer.
    """

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        *,
        id: str,
        largest_body: int,
        is_stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self._receive, self._send, self._is_stopping = receive, send, is_stopping
        self._id, self._largest = id.encode(), largest_body
        headers = dict(scope["headers"])
        self._length = body_length(headers)
        self._unread = self._length != 0
        # Such a client sends its body when asked for it, and asks are made by the first call of the server's `receive`.
        self._waits_to_be_asked = headers.get(b"expect", b"").lower() == b"100-continue"
        self.status: int | None = None
        self.answered_at: float | None = None
        self.gone = False
        self.bytes_in = self.bytes_out = 0

    async def receive(self) -> Message:
        """The next part of the request."""
        self._waits_to_be_asked = False
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self.gone = self.gone or self.answered_at is None
        else:
            self.bytes_in += len(message.get("body", b""))
            self._unread = message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        """The next part of the answer."""
        if message["type"] == "http.response.start":
            await self._begin(message)
        elif message["type"] == "http.response.body":
            await self._go_on(message)
        else:
            await self._send(message)

    async def _begin(self, message: Message) -> None:
        self.status = message["status"]
        headers = [*message.get("headers", ()), (b"x-request-id", self._id)]
        if self._must_close() and not any(name.lower() == b"connection" for name, _ in headers):
            headers.append((b"connection", b"close"))
        await self._send({**message, "headers": headers})

    def _must_close(self) -> bool:
        """Whether the connection will not, or (with so much unread) cannot, serve another request."""
        if self._is_stopping() or not self._unread:
            return self._is_stopping()
        return self._waits_to_be_asked or self.status in _ENOUGH or self._length is None or self._length > _SMALL

    async def _go_on(self, message: Message) -> None:
        self.bytes_out += len(message.get("body", b""))
        if message.get("more_body", False):
            return await self._send(message)
        self.answered_at = time.perf_counter()
        if self._unread and not self._waits_to_be_asked:
            await self._send({**message, "more_body": True})
            await self._drop_the_rest()
            message = {"type": "http.response.body", "body": b""}
        await self._send(message)

    async def _drop_the_rest(self) -> None:
        """Read what the client still sends, at most to the largest body, or a little where that is passed already."""
        enough = self.status in _ENOUGH
        end = self.bytes_in + _SMALL if enough else max(self._largest, self.bytes_in + _SMALL)
        with suppress(TimeoutError):
            async with asyncio.timeout(_LITTLE_PATIENCE if enough else _PATIENCE):
                while self._unread and self.bytes_in < end:
                    if (await self.receive())["type"] == "http.disconnect":
                        return


def body_length(headers: dict[bytes, bytes]) -> int | None:
    """Bytes of body that a request's head announces; None: it does not say how many, or says nonsense."""
    if b"transfer-encoding" in headers:
        return None
    text = headers.get(b"content-length", b"0")
    return int(text) if text.isdigit() and len(text) < 20 else None
