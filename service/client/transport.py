"""What the client's logic needs of the outside world; httpx_transports.py has the two that there are."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Request:
    """One request. path: below the service's address, "/v1/images" for example."""

    method: str
    path: str
    body: bytes = field(default=b"", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Reply:
    """What came back, whatever its status. headers: names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


class Unreachable(Exception):
    """No answer came. lasting: asking again will not help."""

    def __init__(self, reason: str, *, lasting: bool = False) -> None:
        super().__init__(reason)
        self.lasting = lasting


class Turn(Protocol):
    """A lock."""

    def take(self, seconds: float) -> AbstractAsyncContextManager[None]:
        """Hold it for the block. Raises Unreachable when others hold it for longer than that."""
        ...


class Transport(Protocol):
    """Sends, waits and works, either as coroutines do or by blocking."""

    async def send(self, request: Request, seconds: float) -> Reply:
        """The server's reply. Raises Unreachable when there is none after about so many seconds."""
        ...

    async def follow(self, request: Request, seconds: float, hear: Callable[[str, bytes], object]) -> Reply:
        """The same for an answer that may come as events: `hear` is told of each, the last is the reply (events.py).

        Raises what `hear` raises, in a HearingError; the connection is closed then.
        """
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...

    async def work(self, function: Callable[[], T]) -> T:
        """Call a function that takes a while, where it holds up nobody."""
        ...

    def turn(self) -> Turn:
        """A new lock."""
        ...

    async def close(self) -> None:
        """Give the connections back."""
        ...


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine over a transport that blocks: it never waits, so it needs no event loop."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    coroutine.close()
    raise RuntimeError("a blocking transport must not wait")
