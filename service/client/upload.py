"""From whatever the caller holds to the bytes that are sent, and the photo behind them."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from ...models.errors import ImageError
from ..formats.encoding import encode_png
from ..image_headers import read_header
from ..images import Picture, read_file, read_picture
from ..masks import PhotoSource


@dataclass(frozen=True, eq=False)
class Upload:
    """An image file's bytes; its name, which stays here; and its picture, where that was at hand."""

    data: bytes = field(repr=False)
    name: str | None = None
    picture: Picture | None = field(default=None, repr=False)

    @cached_property
    def digest(self) -> str:
        """Hex SHA-256 of the bytes."""
        return hashlib.sha256(self.data).hexdigest()


def read_upload(source: object, channels: str = "rgb", name: str | None = None) -> Upload:
    """What to send for a source, which is any that `read_picture` takes.

    Files go as they are, once their header was read; pixels in memory as PNG, without loss.
    Raises ImageError as `read_picture` does, but for files whose pixels are damaged: those the server refuses.
    """
    if channels not in ("rgb", "bgr"):
        raise ImageError(f'channels must be "rgb" or "bgr", got {channels!r}')
    file = read_file(source, name=name)
    if file is not None:
        read_header(file.data, file.what)
        return Upload(file.data, file.name)
    picture = read_picture(source, channels=channels, name=name)
    return Upload(encode_png(np.asarray(picture.pixels)), picture.name, picture)


class UploadedPhoto(PhotoSource):
    """The photo behind a remote image's masks: decoded here, when a cut-out or an overlay first needs it."""

    def __init__(self, width: int, height: int, upload: Upload) -> None:
        self.width, self.height = width, height
        self._upload: Upload | None = upload
        self._decoded = upload.picture
        self._lock = threading.Lock()

    @property
    def picture(self) -> Picture | None:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The picture; None when the image was closed."""
        with self._lock:
            if self._decoded is None and self._upload is not None:
                self._decoded = read_picture(self._upload.data, name=self._upload.name)
            return self._decoded

    def close(self) -> None:
        """Give bytes and pixels back."""
        with self._lock:
            self._upload = self._decoded = None
        self.why_missing = "the image was closed: open it again"
