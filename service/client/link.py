"""The way to one service: who calls, how long one may wait, and what to do when it does not answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import count
from typing import Any

from ...models.errors import ClickmaskError, ClosedError, ServiceError, ServiceUnavailableError
from .deadline import Deadline, pause
from .events import Hear
from .failures import to_error
from .transport import Reply, Request, Transport, Unreachable

_PASSING = frozenset({429, 502, 503, 504})  # refusals that pass
_SHORTEST = 0.001  # seconds: a request is never sent with none left


class Link:
    """Asks a service and repeats what may be repeated, which is all that this client asks.

    address: as people know it, for messages; without user names. model: which model is asked for, or None.
    """

    def __init__(
        self, transport: Transport, address: str, *, headers: Mapping[str, str], timeout: float, model: str | None
    ) -> None:
        self.transport, self.address, self.model = transport, address, model
        self._headers, self._timeout = dict(headers), timeout
        self._closed = False

    def deadline(self, seconds: float | None = None) -> Deadline:
        """The deadline of a verb that begins now; seconds: where it has others than the rest."""
        return Deadline(self._timeout if seconds is None else seconds)

    async def ask(self, request: Request, deadline: Deadline, hear: Hear | None = None) -> dict[str, Any]:
        """The JSON object that answers. hear: is told of the events of an answer that comes as such.

        Busy servers and broken connections are asked again, as they say or ever more slowly, until the deadline.

        Raises:
            ServiceUnavailableError: it did not answer until then. ServiceError, PromptError, ImageError: it refused.
        """
        for attempt in count():
            reply = await self._attempt(request, deadline, hear)
            if isinstance(reply, Reply) and reply.status not in _PASSING:
                return self._read(reply)
            told = reply.headers.get("retry-after") if isinstance(reply, Reply) else None
            wait = pause(attempt, told)
            if wait >= deadline.left() or (isinstance(reply, Unreachable) and reply.lasting):
                raise self._given_up(reply, wait, deadline)
            await self.transport.sleep(wait)
        raise AssertionError("counting does not end")

    async def tell(self, request: Request, seconds: float) -> None:
        """Send what need not succeed; nothing is repeated and nothing raised."""
        try:
            await self._attempt(request, Deadline(seconds))
        except ClosedError:
            return

    async def close(self) -> None:
        """Give the connections back; later requests raise ClosedError."""
        self._closed = True
        await self.transport.close()

    async def _attempt(self, request: Request, deadline: Deadline, hear: Hear | None = None) -> Reply | Unreachable:
        if self._closed:
            raise ClosedError("this client was closed: make a new one")
        seconds = max(deadline.left(), _SHORTEST)
        headers = {**self._headers, **request.headers, "x-request-timeout": f"{seconds:.3f}"}
        request = Request(request.method, request.path, request.body, headers)
        try:
            if hear is not None:
                return await self.transport.follow(request, seconds, hear)
            return await self.transport.send(request, seconds)
        except Unreachable as failure:
            return failure

    def _read(self, reply: Reply) -> dict[str, Any]:
        if not 200 <= reply.status < 300:
            raise to_error(reply, self.address)
        try:
            answer = json.loads(reply.body or b"{}")
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            raise ServiceError(
                f"{self.address} answered with something else than JSON: is it a clickmask service?",
                status=reply.status,
            )
        return answer

    def _given_up(self, reply: Reply | Unreachable, wait: float, deadline: Deadline) -> ClickmaskError:
        if isinstance(reply, Reply):
            return to_error(reply, self.address, f"; the next try would be in {wait:.1f} s, past the time-out")
        if reply.lasting:
            return ServiceUnavailableError(f"{self.address} cannot be reached: {reply}")
        return ServiceUnavailableError(f"{self.address} did not answer within {deadline.seconds:g} s: {reply}")
