"""uvicorn's protocol upon h11, with bounds that it lacks: on slow heads, on unread answers, and on idle connections.

h11 rather than httptools, which is quicker by a fraction of a millisecond, but, as uvicorn uses it, takes the body of a
request that offers an upgrade for the next request, and trailers for headers: ways to speak in another caller's name.
"""

from __future__ import annotations

import asyncio
from typing import cast

from uvicorn.protocols.http.h11_impl import H11Protocol

LONGEST_HEAD = 64 << 10  # bytes, for `uvicorn.Config(h11_max_incomplete_event_size=...)`


class GuardedProtocol(H11Protocol):
    """For `uvicorn.Config(http=GuardedProtocol)`.

    longest_wait: seconds for a head to arrive, from the connection's opening or the head's first byte.
    longest_unread: seconds in which at least `least_read` bytes of a waiting answer must go out; else it is dropped.
    most: connections held at a time. Beyond that a new one takes the place of an idle one; when all are at work, it is
    closed.
    """

    longest_wait = 10.0
    longest_unread = 30.0
    least_read = 64 << 10
    most = 1024

    _timer: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for a head."""
        super().connection_made(cast(asyncio.Transport, transport))
        if len(self.connections) > self.most:
            self._make_room()
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        self._stop_waiting()
        self._stop_watching()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Pass it on; while it makes no head, the clock runs."""
        if self.transport.is_closing():
            return
        super().data_received(data)
        if not self._is_free():
            self._stop_waiting()
        elif self._timer is None and not self.transport.is_closing():
            self._wait()

    def pause_writing(self) -> None:
        """The client does not take its answer as fast as it is sent: from now on it is watched."""
        super().pause_writing()
        self._watch()

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._stop_watching()
        super().resume_writing()

    def _should_upgrade(self) -> bool:
        """Never: an offer to upgrade may be ignored (RFC 9110, 7.8), and the request is answered as it is."""
        return False

    def _is_free(self) -> bool:
        """Whether no request is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def _make_room(self) -> None:
        idle = (other for other in self.connections if isinstance(other, GuardedProtocol) and other._is_free())
        victim = next((other for other in idle if other is not self and not other.transport.is_closing()), self)
        victim._close()

    def _close(self) -> None:
        """What was answered still goes out, if it is read soon."""
        self.transport.close()
        self.loop.call_later(self.longest_unread, self.transport.abort)

    def _watch(self) -> None:
        self._stop_watching()
        left = self.transport.get_write_buffer_size()
        self._unread = self.loop.call_later(self.longest_unread, self._look, left)

    def _look(self, before: int) -> None:
        if before - self.transport.get_write_buffer_size() < self.least_read:
            self.transport.abort()
        else:
            self._watch()

    def _stop_watching(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _wait(self) -> None:
        self._timer = self.loop.call_later(self.longest_wait, self._give_up)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        self._timer = None
        if self._is_free() and not self.transport.is_closing():
            self._close()
