"""uvicorn's protocol upon httptools, with two bounds that it lacks.

It takes a head of any length into memory before anybody inside is asked, and waits for one for ever. Both cost a
stranger nothing.
"""

from __future__ import annotations

import asyncio
from typing import cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class GuardedProtocol(HttpToolsProtocol):
    """For `uvicorn.Config(http=GuardedProtocol)`: a head too long or too slow is the connection's last.

    longest_wait: seconds for a head to arrive, from the connection's opening or the head's first byte. largest_gap:
    bytes that may come without ending a head or being part of a body: heads, trailers, extensions.
    """

    longest_wait = 10.0
    largest_gap = 64 << 10

    _gap = 0
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for a head."""
        super().connection_made(cast(asyncio.Transport, transport))
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Pass it on; end the connection if there is too much of it without anything coming of it."""
        if self.transport.is_closing():
            return
        self._gap += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._gap > self.largest_gap:
            self._refuse("The head of the request is too long.")
        elif self._is_free() and self._timer is None:
            self._wait()

    def on_headers_complete(self) -> None:
        """A head is here."""
        self._gap = 0
        self._stop_waiting()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of a body is here."""
        self._gap = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """A request is here as a whole."""
        self._gap = 0
        super().on_message_complete()

    def _is_free(self) -> bool:
        """Whether no request is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def _wait(self) -> None:
        self._timer = self.loop.call_later(self.longest_wait, self._give_up)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        self._timer = None
        if self._is_free() and not self.transport.is_closing():
            self.transport.close()

    def _refuse(self, words: str) -> None:
        self._stop_waiting()
        if self._is_free():
            self.send_400_response(words)
        else:  # words would end up in the middle of an answer
            self.transport.close()
