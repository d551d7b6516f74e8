"""Turns: a few places, given to callers in rotation, so that whoever has much to do delays others by little."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager


class Turns:
    """So many places; used from one event loop. A free one goes to the caller who was not served for longest."""

    def __init__(self, places: int) -> None:
        self._free = places
        self._lines: dict[str, deque[asyncio.Future[None]]] = {}
        self._served: dict[str, int] = {}  # caller -> number of its last place
        self._count = 0

    async def take(self, caller: str) -> None:
        """Wait for a place. Cancelled, it holds none."""
        if self._free:
            self._free -= 1
            self._note(caller)
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._lines.setdefault(caller, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._leave(caller, turn)
            else:  # it was this one's turn just then
                self.give_back()
            raise

    def give_back(self) -> None:
        """A place is free."""
        while self._lines:
            caller = min(self._lines, key=lambda waiting: self._served.get(waiting, 0))
            turn = self._lines[caller][0]
            self._leave(caller, turn)
            if not turn.cancelled():  # else it leaves just now, and has not come to say so
                self._note(caller)
                turn.set_result(None)
                return
        self._free += 1
        self._served.clear()  # whoever comes now need not wait

    @asynccontextmanager
    async def turn(self, caller: str) -> AsyncGenerator[None]:
        """A place for the time of a `with`."""
        await self.take(caller)
        try:
            yield
        finally:
            self.give_back()

    def _note(self, caller: str) -> None:
        self._count += 1
        self._served[caller] = self._count

    def _leave(self, caller: str, turn: asyncio.Future[None]) -> None:
        line = self._lines.get(caller, deque())
        if turn in line:
            line.remove(turn)
            if not line:
                del self._lines[caller]
