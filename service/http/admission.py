"""The gate: how many requests, and how many bytes of theirs, may be inside at a time.

Who comes when it is full is told so at once, and when to come again, rather than left to wait for an answer that would
be too late.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType

from .errors import ApiError
from .settings import Limits

SHARE = 0.75  # of the places, and of the bytes, for one caller: there is always room left for another


class Ticket:
    """A place inside; a context manager that gives it back. Bytes are added as they become known."""

    def __init__(self, gate: Gate, caller: str) -> None:
        self._gate, self._caller, self._size, self._open = gate, caller, 0, True

    def add(self, size: int) -> None:
        """Take room for so many more bytes. Raises ApiError 429 or 503 when there is none."""
        self._gate._take(self._caller, size)
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
        self._sizes: dict[str, int] = {}
        self.size = 0

    @property
    def inside(self) -> int:
        """Requests inside."""
        return sum(self._inside.values())

    def enter(self, caller: str, size: int = 0) -> Ticket:
        """A place, and room for so many bytes.

        Raises:
            ApiError: 429 when this caller has its share of places or bytes, 503 when all of either are taken.
        """
        own = self._inside.get(caller, 0)
        if own >= max(1, int(self._limits.queue * SHARE)):
            raise self._too_many(f"you have {own} requests waiting here already")
        if self.inside >= self._limits.queue:
            raise self._busy()
        self._take(caller, size)
        self._inside[caller] = own + 1
        ticket = Ticket(self, caller)
        ticket._size = size
        return ticket

    def check_hover(self, caller: str) -> None:
        """Raise ApiError 503 when half of the places are taken, or by this caller a quarter: the rest is for clicks."""
        places = self._limits.queue
        if self.inside > places // 2 or self._inside.get(caller, 0) > max(1, places // 4):
            raise self._busy()

    def _take(self, caller: str, size: int) -> None:
        own, most = self._sizes.get(caller, 0), self._limits.queue_bytes
        if own and own + size > most * SHARE:
            raise self._too_many(f"your requests hold {own} bytes here already")
        if self.size + size > most:
            raise self._busy()
        self.size += size
        self._sizes[caller] = own + size

    def _leave(self, caller: str, size: int) -> None:
        self.size -= size
        self._sizes[caller] -= size
        self._inside[caller] -= 1
        if not self._inside[caller]:
            del self._inside[caller], self._sizes[caller]

    def _too_many(self, why: str) -> ApiError:
        return ApiError(429, "too_many_requests", f"{why}; send fewer at a time", retry_after=self._wait())

    def _busy(self) -> ApiError:
        return ApiError(503, "busy", "the server has as much to do as it can hold", retry_after=self._wait())
