"""A service from Python under asyncio: `AsyncClient` has the verbs of `Segmenter`, to be awaited."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ...models.errors import ClickmaskError
from ..prompts import Box
from .async_image import AsyncRemoteImage
from .client import Skip, several
from .connect import connect
from .masks import AsyncRemoteMask
from .models import ask_models

if TYPE_CHECKING:
    import httpx


class AsyncClient:
    """A clickmask service for the tasks of one event loop; the arguments, and what it does, are those of `Client`.

    Raises:
        SettingsError: an address, token or time-out that cannot be used. MissingExtraError: httpx is not installed.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        timeout: float = 30.0,
        headers: Mapping[str, str] | None = None,
        model: str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._link = connect(
            url, token=token, timeout=timeout, headers=headers, model=model, transport=transport, blocking=False
        )

    async def open(
        self,
        source: object,
        *,
        channels: str = "rgb",
        name: str | None = None,
        window: Box | Sequence[float] | None = None,
    ) -> AsyncRemoteImage:
        """Upload one image; the server encodes it. Arguments and errors are those of `Client.open`."""
        return await AsyncRemoteImage.open(
            self._link, AsyncRemoteMask, source, channels=channels, name=name, window=window
        )

    async def open_many(
        self, sources: Iterable[object], *, on_error: Skip | None = None
    ) -> AsyncIterator[AsyncRemoteImage]:
        """Open images one after the other, in order; the next one is uploaded while you look at one.

        Args:
            on_error: called with (source, error) for an image that cannot be opened, which is then left out;
                without it the error is raised.
        """
        rest = several(sources)

        def submit() -> list[tuple[object, asyncio.Task[AsyncRemoteImage]]]:
            return [(source, asyncio.create_task(self.open(source))) for source in islice(rest, 1)]

        waiting = submit()
        try:
            while waiting:
                source, upload = waiting[0]
                try:
                    image = await upload
                except ClickmaskError as error:
                    if on_error is None:
                        raise
                    on_error(source, error)
                    waiting = submit()
                else:
                    waiting = submit()
                    yield image
        finally:
            for _, upload in waiting:
                upload.cancel()

    async def models(self) -> list[dict[str, Any]]:
        """The models that the server knows: "name", "title", whether it is "served", and the served one's settings."""
        return await ask_models(self._link)

    async def close(self) -> None:
        """Give the connections back; the client and its images raise ClosedError from then on."""
        await self._link.close()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<AsyncClient of {self._link.address}>"
