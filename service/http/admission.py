"""The gate: how many requests, and how many bytes of theirs, may be inside at a time.

Who comes when it is full is told so at once, and when to come again, rather than left to wait for an answer that would
be too late.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType

from .errors import ApiError
from .settings import Limits

SHARE = 0.75  # of the places, for one caller: there is always one left for another


class Ticket:
    """A place inside; a context manager that gives it back. Bytes are added as they become known."""

    def __init__(self, gate: Gate, caller: str) -> None:
        self._gate, self._caller, self._size, self._open = gate, caller, 0, True

    def add(self, size: int) -> None:
        """Take room for so many more bytes. Raises ApiError 503 when there is none."""
        self._gate._take(size)
        self._size += size

    def give_back(self) -> None:
        """Leave; a second time does nothing."""
        if self._open:
            self._open = False
            self._gate._leave(self._caller, self._size)

    def __enter__(self) -> Ticket:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.give_back()


class Gate:
    """Counts who is inside; used from the event loop only.

    Args:
        limits: `queue` places and `queue_bytes`.
        wait: seconds after which a place should be free, as `Retry-After` tells.
    """

    def __init__(self, limits: Limits, wait: Callable[[], float]) -> None:
        self._limits, self._wait = limits, wait
        self._inside: dict[str, int] = {}
        self.size = 0

    @property
    def inside(self) -> int:
        """Requests inside."""
        return sum(self._inside.values())

    def enter(self, caller: str, size: int = 0) -> Ticket:
        """A place, and room for so many bytes.

        Raises:
            ApiError: 429 when this caller has its share of the places, 503 when all places, or all bytes, are taken.
        """
        own = self._inside.get(caller, 0)
        if own >= max(1, int(self._limits.queue * SHARE)):
            message = f"you have {own} requests waiting here already; send fewer at a time"
            raise ApiError(429, "too_many_requests", message, retry_after=self._wait())
        if self.inside >= self._limits.queue:
            raise self._busy()
        self._take(size)
        self._inside[caller] = own + 1
        ticket = Ticket(self, caller)
        ticket._size = size
        return ticket

    def check_hover(self) -> None:
        """Raise ApiError 503 when half of the places are taken: the other half is for those who mean it."""
        if self.inside > self._limits.queue // 2:
            raise self._busy()

    def _take(self, size: int) -> None:
        if self.size + size > self._limits.queue_bytes:
            raise self._busy()
        self.size += size

    def _leave(self, caller: str, size: int) -> None:
        self.size -= size
        if self._inside[caller] == 1:
            del self._inside[caller]
        else:
            self._inside[caller] -= 1

    def _busy(self) -> ApiError:
        return ApiError(503, "busy", "the server has as much to do as it can hold", retry_after=self._wait())
