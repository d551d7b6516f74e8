"""An image on a server, as `AsyncClient.open` gives it, and the chain of clicks on it."""

from __future__ import annotations

from types import TracebackType

from ..chain import Chain, Edit
from .far_image import FarImage
from .masks import AsyncRemoteMask


class AsyncRemoteImage(FarImage[AsyncRemoteMask]):
    """An image that a server has encoded (or a window of one), under asyncio.

    Calls change nothing, so tasks may share it. Made by `AsyncClient.open`; an asynchronous context manager.
    """

    def start(self) -> AsyncThing:
        """An empty object to click on: each click refines the mask of the one before."""
        self._questions.check_open()
        return AsyncThing(self)

    async def __aenter__(self) -> AsyncRemoteImage:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


class AsyncThing(Chain[AsyncRemoteMask]):
    """An object in the making: `Thing` under asyncio. Not for several tasks at once."""

    def __init__(self, image: AsyncRemoteImage) -> None:
        super().__init__()
        self._image = image

    async def add(self, x: float, y: float, label: int = 1) -> AsyncRemoteMask:
        """One more click: 1 foreground, 0 background. Raises PromptError and changes nothing when it is wrong."""
        return await self._place(self._adding(x, y, label))

    async def set_box(self, x0: float, y0: float, x1: float, y1: float) -> AsyncRemoteMask:
        """Draw the object's box, or draw it anew; points stay."""
        return await self._place(self._boxing(x0, y0, x1, y1))

    async def move(self, point: int, x: float, y: float) -> AsyncRemoteMask:
        """Move a point (by its number in `points`) elsewhere."""
        return await self._place(self._moving(point, x, y))

    async def delete(self, point: int) -> AsyncRemoteMask | None:
        """Take a point away (by its number in `points`); None when nothing is left."""
        return await self._edit(self._deleting(point))

    async def clear_box(self) -> AsyncRemoteMask | None:
        """Take the box away."""
        return await self._edit(self._unboxing())

    async def _place(self, edit: Edit[AsyncRemoteMask]) -> AsyncRemoteMask:
        mask = await self._edit(edit)
        assert mask is not None
        return mask

    async def _edit(self, edit: Edit[AsyncRemoteMask]) -> AsyncRemoteMask | None:
        prompt = edit.prompt
        if prompt is None:
            return self._take(edit, [])
        if prompt.is_ambiguous:
            return self._take(edit, await self._image.candidates(prompt.points, prompt.labels))
        return self._take(edit, await self._image.segment_many([prompt]))
