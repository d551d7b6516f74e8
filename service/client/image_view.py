"""What an image on a server shows without asking it."""

from __future__ import annotations

from typing import Any, Generic

import numpy as np

from ...models.frame import Frame
from ..formats.encoding import encode_png
from ..masks import preview
from .questions import F, Questions


class ImageView(Generic[F]):
    """The facts of an image that a server holds; `RemoteImage` and `AsyncRemoteImage` add the verbs."""

    def __init__(self, questions: Questions[F]) -> None:
        self._questions = questions

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the whole image in pixels."""
        return self.frame.width, self.frame.height

    @property
    def frame(self) -> Frame:
        """Where the encoded part lies in the image."""
        return self._questions.frame

    @property
    def pixels(self) -> np.ndarray:
        """(H, W, 3) uint8 RGB, the whole image upright, read-only, decoded here. Raises ClosedError when closed."""
        pixels = self._questions.source.get().pixels.view()
        pixels.setflags(write=False)
        return pixels

    @property
    def provenance(self) -> dict[str, Any]:
        """Model and settings with which the server answers, as it said when the image was opened."""
        return dict(self._questions.provenance)

    def __repr__(self) -> str:
        width, height = self.size
        part = "" if self.frame.is_whole else f", window={self.frame.window}"
        where = self._questions.link.address
        return (
            f"<{type(self).__name__} {width} x {height}{part} at {where}{', closed' if self._questions.closed else ''}>"
        )

    def _repr_png_(self) -> bytes | None:
        picture = self._questions.source.picture
        return None if picture is None else encode_png(preview(picture.pixels))
