"""The ways out, by httpx: one that blocks its thread and one for asyncio. The only file that imports it."""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Any, TypeVar

import httpx

from ...models.errors import ClosedError
from .events import Hear, Listener
from .transport import Reply, Request, Unreachable

T = TypeVar("T")

_SILENCE = 60.0  # seconds without a word, after which an answer in events comes no more; servers speak every 10
_GRACE = 30.0  # seconds beyond its time in which a server may put together what it has
_LATE = "no whole answer in time"
# As many connections as there are threads or tasks: who may ask how much at a time is the server's to say.
_LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=20)


class BlockingTransport:
    """Blocks the calling thread; threads may share it."""

    def __init__(self, base: str, inner: httpx.BaseTransport | None) -> None:
        self._base = base
        self._client = httpx.Client(transport=inner, limits=_LIMITS)

    async def send(self, request: Request, seconds: float) -> Reply:
        """The server's reply; at worst it takes twice as long, if the server trickles."""
        end = time.monotonic() + seconds
        with (
            _translated(self._client),
            self._client.stream(
                request.method,
                self._base + request.path,
                content=request.body,
                headers=dict(request.headers),
                timeout=seconds,
            ) as response,
        ):
            return Reply(response.status_code, _headers(response), b"".join(_until(end, response.iter_bytes())))

    async def follow(self, request: Request, seconds: float, hear: Hear) -> Reply:
        """The server's reply, and its events on the way; leaving in between closes the connection."""
        end = time.monotonic() + seconds + _GRACE
        asked = _asked(self._base, request, min(seconds + _GRACE, _SILENCE))
        with _translated(self._client), self._client.stream(**asked) as response:
            listener = Listener(response.status_code, _headers(response), hear)
            for piece in _until(end, response.iter_bytes()):
                listener.take(piece)
            return listener.reply()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)

    async def work(self, function: Callable[[], T]) -> T:
        """Call it here."""
        return function()

    def turn(self) -> _BlockingTurn:
        """A lock among threads."""
        return _BlockingTurn()

    async def close(self) -> None:
        """Close the connections."""
        self._client.close()


class AsyncTransport:
    """Waits as asyncio does; for the tasks of one event loop."""

    def __init__(self, base: str, inner: httpx.AsyncBaseTransport | None) -> None:
        self._base = base
        self._client = httpx.AsyncClient(transport=inner, limits=_LIMITS)

    async def send(self, request: Request, seconds: float) -> Reply:
        """The server's reply."""
        with _translated(self._client):
            async with asyncio.timeout(seconds):
                response = await self._client.request(
                    request.method,
                    self._base + request.path,
                    content=request.body,
                    headers=dict(request.headers),
                    timeout=seconds,
                )
            return Reply(response.status_code, _headers(response), response.content)

    async def follow(self, request: Request, seconds: float, hear: Hear) -> Reply:
        """The server's reply, and its events on the way; a task that is cancelled closes the connection."""
        asked = _asked(self._base, request, min(seconds + _GRACE, _SILENCE))
        with _translated(self._client):
            async with asyncio.timeout(seconds + _GRACE), self._client.stream(**asked) as response:
                listener = Listener(response.status_code, _headers(response), hear)
                async for piece in response.aiter_bytes():
                    listener.take(piece)
                return listener.reply()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)

    async def work(self, function: Callable[[], T]) -> T:
        """Call it in a thread."""
        return await asyncio.to_thread(function)

    def turn(self) -> _AsyncTurn:
        """A lock among tasks."""
        return _AsyncTurn()

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


class _BlockingTurn:
    def __init__(self) -> None:
        self._lock = threading.Lock()

    def take(self, seconds: float) -> AbstractAsyncContextManager[None]:
        return self._held(seconds)

    @asynccontextmanager
    async def _held(self, seconds: float) -> AsyncIterator[None]:
        if not self._lock.acquire(timeout=max(seconds, 0.0)):
            raise Unreachable("an earlier upload of the same image is still under way")
        try:
            yield
        finally:
            self._lock.release()


class _AsyncTurn:
    def __init__(self) -> None:
        self._lock = asyncio.Lock()

    def take(self, seconds: float) -> AbstractAsyncContextManager[None]:
        return self._held(seconds)

    @asynccontextmanager
    async def _held(self, seconds: float) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(seconds):
                await self._lock.acquire()
        except TimeoutError:
            raise Unreachable("an earlier upload of the same image is still under way") from None
        try:
            yield
        finally:
            self._lock.release()


def _asked(base: str, request: Request, silence: float) -> dict[str, Any]:
    """httpx's arguments for a request of which something should be heard every so many seconds."""
    url, headers = base + request.path, dict(request.headers)
    return {"method": request.method, "url": url, "content": request.body, "headers": headers, "timeout": silence}


@contextmanager
def _translated(client: httpx.Client | httpx.AsyncClient) -> Iterator[None]:
    """The one place where httpx's errors become ours."""
    try:
        yield
    except (httpx.TimeoutException, TimeoutError):
        raise Unreachable(_LATE) from None
    except httpx.RequestError as error:
        raise Unreachable(str(error) or type(error).__name__, lasting=_is_lasting(error)) from error
    except RuntimeError:
        if client.is_closed:
            raise ClosedError("this client was closed: make a new one") from None
        raise


def _is_lasting(error: BaseException) -> bool:
    """Whether it is about the address or the certificate, and so will be the same next time."""
    if isinstance(error, httpx.UnsupportedProtocol | httpx.LocalProtocolError | httpx.DecodingError):
        return True
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLCertVerificationError):
        cause = cause.__cause__ or cause.__context__
    return cause is not None


def _until(end: float, pieces: Iterator[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        yield piece
        if time.monotonic() > end:
            raise Unreachable(_LATE)


def _headers(response: httpx.Response) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}
