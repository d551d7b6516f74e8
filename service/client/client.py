"""A service from Python: `Client` has the verbs of `Segmenter`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ...models.errors import ClickmaskError, ImageError
from ..prompts import Box
from .connect import connect
from .far_image import FarImage
from .image import RemoteImage
from .masks import RemoteMask
from .models import ask_models
from .transport import run

if TYPE_CHECKING:
    import httpx

Skip = Callable[[object, ClickmaskError], None]


class Client:
    """A clickmask service, to which images are opened as to a `Segmenter`; threads may share it.

    What the server has forgotten is sent again, and a busy server is asked again when it says, until the time-out.

    Args:
        url: "http://host:port", with a sub-path where the service has one.
        token: yours of the server's token file, or of the company login.
        timeout: seconds that one verb may take, repeats included.
        headers: sent with every request.
        model: which of the server's models is expected; without it, whichever it serves.
        transport: an httpx transport, for tests and unusual proxies.

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
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._link = connect(
            url, token=token, timeout=timeout, headers=headers, model=model, transport=transport, blocking=True
        )

    def open(
        self,
        source: object,
        *,
        channels: str = "rgb",
        name: str | None = None,
        window: Box | Sequence[float] | None = None,
    ) -> RemoteImage:
        """Upload one image; the server encodes it.

        Args:
            source: a path, bytes or a binary file, which are sent as they are; an (H, W, 3) uint8 array, a torch tensor
                or a PIL image, which are sent as PNG.
            channels: "rgb" or "bgr", the order in arrays and tensors.
            name: the image's name in outputs and messages, where the source has none; it is not sent.
            window: (x0, y0, x1, y1), the only part to ask about, as `RemoteImage.window` does.

        Raises:
            ImageError: the image cannot be read or used. PromptError: the window lies outside the image. AccessError,
            ServiceUnavailableError, ServiceError: the server does not let you, does not answer, or not as expected.
        """
        return RemoteImage(
            run(FarImage.open(self._link, RemoteMask, source, channels=channels, name=name, window=window))
        )

    def open_many(self, sources: Iterable[object], *, on_error: Skip | None = None) -> Iterator[RemoteImage]:
        """Open images one after the other, in order; the next one is uploaded while you look at one.

        Args:
            on_error: called with (source, error) for an image that cannot be opened, which is then left out;
                without it the error is raised.
        """
        rest = several(sources)
        with ThreadPoolExecutor(1, thread_name_prefix="clickmask-upload") as pool:

            def submit(count: int) -> list[tuple[object, Future[RemoteImage]]]:
                return [(source, pool.submit(self.open, source)) for source in islice(rest, count)]

            waiting = submit(1)
            while waiting:
                source, upload = waiting.pop()
                try:
                    image = upload.result()
                except ClickmaskError as error:
                    if on_error is None:
                        raise
                    on_error(source, error)
                    waiting += submit(1)
                else:
                    waiting += submit(1)
                    del upload
                    yield image
                    del image

    def models(self) -> list[dict[str, Any]]:
        """The models that the server knows: "name", "title", whether it is "served", and the served one's settings."""
        return run(ask_models(self._link))

    def close(self) -> None:
        """Give the connections back; the client and its images raise ClosedError from then on."""
        run(self._link.close())

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Client of {self._link.address}>"


def several(sources: Iterable[object]) -> Iterator[object]:
    """An iterator over images. Raises ImageError for a single one."""
    if isinstance(sources, str | bytes | os.PathLike) or not isinstance(sources, Iterable):
        raise ImageError(f"sources: expected several images, got {sources!r}; use open for one")
    return iter(sources)
