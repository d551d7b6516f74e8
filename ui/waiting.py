"""Calls of the Gradio endpoints that were made and not yet listened for."""

from __future__ import annotations

import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..service.http.errors import ApiError

MOST, MOST_OF_ONE = 128, 16  # calls that wait
PATIENCE = 60.0  # seconds until a call nobody listens for is forgotten


@dataclass(frozen=True, eq=False)
class Call:
    """One call. endpoint: its name. data: what came for its components. came: in seconds of the clock."""

    id: str
    endpoint: str
    data: list[Any]
    came: float


class Waiting:
    """A short line of calls to each caller's session; nobody gets at another caller's, whatever session is named.

    clock: seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lines: dict[tuple[str, str], deque[Call]] = {}

    def add(self, caller: str, session: str, endpoint: str, data: list[Any]) -> str:
        """The call's id. Raises ApiError 429 or 503 when there is no room."""
        self._forget()
        own = sum(len(line) for (other, _), line in self._lines.items() if other == caller)
        if own >= MOST_OF_ONE:
            raise ApiError(429, "too_many_requests", f"you have {own} calls waiting here already", retry_after=1)
        if sum(map(len, self._lines.values())) >= MOST:
            raise ApiError(503, "busy", "too many calls wait already", retry_after=1)
        call = Call(secrets.token_hex(16), endpoint, data, self._clock())
        self._lines.setdefault((caller, session), deque()).append(call)
        return call.id

    def take(self, caller: str, session: str) -> Call | None:
        """The session's first call, which is thereby taken; None when no call waits."""
        self._forget()
        line = self._lines.get((caller, session))
        if line is None:
            return None
        call = line.popleft()
        if not line:
            del self._lines[caller, session]
        return call

    def _forget(self) -> None:
        since = self._clock() - PATIENCE
        for key, line in list(self._lines.items()):
            while line and line[0].came < since:
                line.popleft()
            if not line:
                del self._lines[key]
