"""Answers that come as server-sent events, for either transport: fed piece by piece, told as they come."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from .transport import Reply, Unreachable

KIND = "text/event-stream"

Hear = Callable[[str, bytes], object]  # told of each event: its name and its data


class HearingError(Exception):
    """What somebody who was told of an event raised; it is no failure of the connection."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


class Listener:
    """One answer. Events are told to `hear`, but for the last, "result" or "error": that is the reply.

    Args:
        status, headers: of the answer; names in lower case.
    """

    def __init__(self, status: int, headers: Mapping[str, str], hear: Hear) -> None:
        self._status, self._headers, self._hear = status, headers, hear
        self._is_events = status == 200 and headers.get("content-type", "").startswith(KIND)
        self._waiting = bytearray()
        self._last: Reply | None = None

    def take(self, piece: bytes) -> None:
        """The next piece of the body. Raises HearingError for what `hear` raises."""
        seam = max(0, len(self._waiting) - 1)
        self._waiting += piece
        if not self._is_events or self._waiting.find(b"\n\n", seam) < 0:
            return
        *whole, rest = bytes(self._waiting).split(b"\n\n")
        self._waiting = bytearray(rest)
        for text in whole:
            self._tell(text)

    def reply(self) -> Reply:
        """The reply, once all pieces were taken. Raises Unreachable when events ended without an end."""
        if not self._is_events:
            return Reply(self._status, self._headers, bytes(self._waiting))
        if self._last is None:
            raise Unreachable("the connection ended in the middle of the answer")
        return self._last

    def _tell(self, text: bytes) -> None:
        fields = dict(line.split(b": ", 1) for line in text.split(b"\n") if b": " in line)
        name, data = fields.get(b"event", b"").decode("utf-8", "replace"), fields.get(b"data", b"")
        if name == "result":
            self._last = Reply(200, self._headers, data)
        elif name == "error":
            self._last = Reply(_status(data), self._headers, data)
        elif name:
            try:
                self._hear(name, data)
            except Exception as error:
                raise HearingError(error) from error


def _status(data: bytes) -> int:
    try:
        status = json.loads(data)["status"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return 500
    return status if type(status) is int and 400 <= status < 600 else 500
