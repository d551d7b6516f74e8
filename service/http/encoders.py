"""Encoding that is done elsewhere: what the service needs of whoever does it, and the lane's way there.

Encoding takes nearly all of the time that an image costs, and needs nothing but its pixels; the embedding comes back,
and all that was ever asked stays with the one service that callers know.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, Protocol

import numpy as np

from ..segmenter import Segmenter
from .engine import Encode


class Encoders(Protocol):
    """Machines that encode."""

    @property
    def at_once(self) -> int:
        """How many calls keep all of them busy."""
        ...

    @property
    def together(self) -> int:
        """How many pictures a call may bring."""
        ...

    def encode(self, scaled: Sequence[np.ndarray]) -> list[np.ndarray | Exception]:
        """For each picture, as `Segmenter.scale` makes it, its embedding or what kept it from having one.

        Blocks; called from as many threads as `at_once`. An embedding is `OpenImage.encoded`.
        """
        ...


class Away:
    """Runs a lane's pieces, all of them encodings, elsewhere."""

    def __init__(self, segmenter: Segmenter, encoders: Encoders) -> None:
        self._segmenter, self._encoders = segmenter, encoders

    def together(self, kind: Hashable) -> int:
        """How many pieces of a kind go at once."""
        return self._encoders.together

    def run(self, kind: Hashable, works: Sequence[Any]) -> list[Any]:
        """For each `Encode` its OpenImage, without pixels, or its exception."""
        found = self._encoders.encode([self._segmenter.scale(work.picture, work.frame) for work in works])
        return [self._opened(work, one) for work, one in zip(works, found, strict=True)]

    def _opened(self, work: Encode, found: np.ndarray | Exception) -> Any:
        if isinstance(found, Exception):
            return found
        return self._segmenter.open_encoded(work.picture, work.frame, found).without_pixels()
