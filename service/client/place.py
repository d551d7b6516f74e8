"""Where a server keeps something of ours: an image, or a window of one. Made again when the server forgot it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import quote

from ...models.errors import ServiceError, ServiceUnavailableError
from .deadline import Deadline
from .events import KIND, Hear
from .failures import is_gone, is_mask_gone
from .link import Link
from .transport import Request, Unreachable

_FAREWELL = 5.0  # seconds at most to say that something is not needed any more

Make = Callable[[Deadline], Awaitable[dict[str, Any]]]


class Place:
    """An id on the server, and how to get it again.

    make: puts the thing there and returns the server's answer. route: which image it is about, the same for its
    windows; a proxy before several servers sends all that is about one image to the same one.
    """

    def __init__(self, link: Link, route: str, make: Make) -> None:
        self._link, self._route, self._make = link, route, make
        self._id: str | None = None
        self._generation = 0
        self._turn = link.transport.turn()

    async def put(self, deadline: Deadline) -> dict[str, Any]:
        """Put it there; the server's answer. Raises as `Link.ask` does."""
        answer = await self._make(deadline)
        identity = answer.get("id")
        if not isinstance(identity, str):
            raise ServiceError(f"{self._link.address} answered an upload without an id: is it a clickmask service?")
        self._id = identity
        self._generation += 1
        return answer

    async def post(
        self, suffix: str, body: Mapping[str, Any], deadline: Deadline, hear: Hear | None = None
    ) -> dict[str, Any]:
        """Ask about it. If the server has forgotten it, it is put there again, by one of those who notice, once.

        What was never put there is put there first. hear: as of `Link.ask`. Raises as that does.
        """
        if self._id is None:
            await self._put_again(0, deadline)
        seen = self._generation
        try:
            return await self._send(suffix, body, deadline, hear)
        except ServiceError as error:
            if not is_gone(error) or is_mask_gone(error):
                raise
        await self._put_again(seen, deadline)
        return await self._send(suffix, body, deadline, hear)

    async def forget(self) -> None:
        """Tell the server, if it can be told, that this is not needed any more."""
        if self._id is not None:
            request = Request("DELETE", self._path(), headers={"clickmask-route": self._route})
            await self._link.tell(request, _FAREWELL)

    async def _put_again(self, seen: int, deadline: Deadline) -> None:
        try:
            async with self._turn.take(deadline.left()):
                if self._generation == seen:
                    await self.put(deadline)
        except Unreachable as failure:
            raise ServiceUnavailableError(f"not done within {deadline.seconds:g} s: {failure}") from None

    def _path(self) -> str:
        return f"/v1/images/{quote(str(self._id), safe='')}"

    async def _send(
        self, suffix: str, body: Mapping[str, Any], deadline: Deadline, hear: Hear | None
    ) -> dict[str, Any]:
        headers = {"clickmask-route": self._route, "content-type": "application/json"}
        if hear is not None:
            headers["accept"] = KIND
        request = Request("POST", self._path() + suffix, json.dumps(body).encode(), headers)
        return await self._link.ask(request, deadline, hear)
