"""What one request may take: bytes, time, and nothing at all once its client has left."""

from __future__ import annotations

import asyncio
import math
import traceback
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .access.middleware import path_below_root
from .context import Context, get_context
from .errors import ApiError, send_error
from .exchange import body_length
from .settings import Limits

TIMEOUT_HEADER = "X-Request-Timeout"
LARGEST_HEAD = 32 << 10  # bytes of all headers together: as much as common proxies let pass

_Verdict = ApiError | Literal["done", "gone"]


class LimitsMiddleware:
    """Holds each request to `Limits.body` and to its deadline, and ends it when its client leaves.

    The deadline is `Limits.deadline` seconds away unless the client's `X-Request-Timeout` says otherwise, and never
    farther than `Limits.longest_deadline`; it stands in the request's context, where a route may put it off, and no
    longer matters once the answer has begun. What is ended is cancelled, as a task is.
    """

    def __init__(self, app: ASGIApp, limits: Limits, uploads: Mapping[str, int] = MappingProxyType({})) -> None:
        """uploads: for paths that take larger bodies, and keep them on the disk, how many bytes."""
        self._app, self._limits, self._uploads = app, limits, uploads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        context = get_context(scope)
        try:
            _check_head(scope)
            headers = dict(scope["headers"])
            largest = max(self._limits.body, self._uploads.get(path_below_root(scope), 0))
            length = _check_body(headers, largest)
            context.timeout = _seconds(headers.get(TIMEOUT_HEADER.lower().encode()))
        except ApiError as error:
            context.notes["code"] = error.code
            return await send_error(send, error)
        seconds = self._limits.deadline if context.timeout is None else context.timeout
        context.deadline = asyncio.get_running_loop().time() + min(seconds, self._limits.longest_deadline)
        run = _Run(receive, send, context, body=largest, length=length)
        verdict = await run(self._app, scope)
        if verdict != "done":
            context.notes["code"] = verdict.code if isinstance(verdict, ApiError) else "client_closed"


class _Run:
    """One request within its limits. The app runs as a task of its own, so that it can be ended alone."""

    def __init__(self, receive: Receive, send: Send, context: Context, *, body: int, length: int | None) -> None:
        self._receive, self._send, self._context, self._body = receive, send, context, body
        self._left, self._complete, self._empty = body, length == 0, length == 0
        self._reading = self._begun = self._answered = self._over = False
        self._gone = asyncio.Event()
        self._verdict: asyncio.Future[_Verdict] = asyncio.get_running_loop().create_future()
        self._tasks: list[asyncio.Task[None]] = []

    async def __call__(self, app: ASGIApp, scope: Scope) -> _Verdict:
        """Run it, answer where it was ended by us, and leave no task behind. Raises what the app raises."""
        loop = asyncio.get_running_loop()
        self._timer = loop.call_at(self._context.deadline, self._expire)
        work = loop.create_task(self._work(app, scope))
        work.add_done_callback(lambda _: self._end("done"))
        self._tasks.append(work)
        if self._complete:
            self._watch()
        try:
            verdict = await self._verdict
            if isinstance(verdict, ApiError):
                work.cancel()  # it may take a while to end; the answer does not wait for that
                if not self._begun:
                    await send_error(self._send, verdict)
        finally:
            self._timer.cancel()
            await self._stop()
        if verdict == "done":
            work.result()
        return verdict

    async def _work(self, app: ASGIApp, scope: Scope) -> None:
        await app(scope, self._next_part, self._pass_on)

    async def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)
        for task in self._tasks:
            if not task.cancelled():
                task.exception()  # looked at, or asyncio would log that nobody did
        if self._verdict.result() != "done":  # its frames hold the body, in a circle that is not looked at for long
            for task in self._tasks:
                _lighten(task)
        self._tasks.clear()

    def _end(self, verdict: _Verdict) -> None:
        """The first to call decides; nothing that the app still says is passed on if it was not the app."""
        if not self._verdict.done():
            self._verdict.set_result(verdict)
            self._over = verdict != "done"

    def _expire(self) -> None:
        loop = asyncio.get_running_loop()
        if self._begun:
            return
        if loop.time() < self._context.deadline:  # it was put off
            self._timer = loop.call_at(self._context.deadline, self._expire)
        elif self._reading:
            self._end(ApiError(408, "slow_body", "the request's body did not arrive within its time"))
        else:
            self._end(
                ApiError(504, "deadline", f"no answer within the request's time; {TIMEOUT_HEADER} may ask for more")
            )

    async def _pass_on(self, message: Message) -> None:
        """The app's `send`."""
        if self._over:
            return
        self._begun = True
        self._answered = message["type"] == "http.response.body" and not message.get("more_body", False)
        await self._send(message)

    async def _next_part(self) -> Message:
        """The app's `receive`."""
        if self._empty:
            self._empty = False
            return {"type": "http.request", "body": b"", "more_body": False}
        if self._complete:
            await self._gone.wait()
            return {"type": "http.disconnect"}
        self._reading = True
        try:
            message = await self._receive()
        finally:
            self._reading = False
        if message["type"] == "http.disconnect":
            self._leave()
            return message
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            self._end(_too_large(self._body))
            await self._gone.wait()  # until cancelled: the app must not take the part for a whole
        if not message.get("more_body", False):
            self._complete = True
            self._watch()
        return message

    def _watch(self) -> None:
        self._tasks.append(asyncio.get_running_loop().create_task(self._wait_for_leaving()))

    async def _wait_for_leaving(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._leave()

    def _leave(self) -> None:
        """The client is gone; servers say so, too, when all is answered."""
        self._gone.set()
        if not self._answered:
            self._end("gone")


def _seconds(text: bytes | None) -> float | None:
    """How long the client says that the request may take."""
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise ApiError(400, "bad_request", "expected seconds, more than 0, such as 2.5", field=TIMEOUT_HEADER)
    return seconds


def _check_body(headers: dict[bytes, bytes], largest: int) -> int | None:
    """The body's length as announced, None where it is not. Raises ApiError where it cannot be taken."""
    if headers.get(b"content-encoding", b"identity").strip().lower() not in (b"identity", b""):
        message = "expected a body without Content-Encoding: images are compressed already"
        raise ApiError(415, "content_encoding", message, field="Content-Encoding")
    length = body_length(headers)
    if length is None and b"content-length" in headers and b"transfer-encoding" not in headers:
        raise ApiError(400, "bad_request", "expected a number of bytes", field="Content-Length")
    if length is not None and length > largest:
        raise _too_large(largest)
    return length


def _check_head(scope: Scope) -> None:
    if sum(len(name) + len(value) for name, value in scope["headers"]) > LARGEST_HEAD:
        raise ApiError(431, "headers_too_large", f"expected at most {LARGEST_HEAD} bytes of headers")


def _too_large(limit: int) -> ApiError:
    return ApiError(413, "body_too_large", f"expected a body of at most {limit} bytes")


def _lighten(task: asyncio.Task[None]) -> None:
    """Let go of what the frames of a task that was ended hold on to."""
    error = None if task.cancelled() else task.exception()
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__
