"""Masks that a server decoded: what `Mask` can do, from run lengths; the logits come when they are asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ...models.errors import ClickmaskError, PromptError, ServiceError
from ...models.frame import Frame
from .. import rle
from ..masks import BaseMask, PhotoSource
from ..prompts import Prompt
from .transport import run

if TYPE_CHECKING:
    from .questions import Questions


@dataclass(eq=False)
class Kept:
    """What a server may still know of a mask, and how to find it out again if it does not.

    home: whom it was asked of. multimask: how. mask_id: its name there. depth: how many masks it goes back to.
    logits: (256, 256) float32, once they were fetched. gone: the server has forgotten it, as far as is known.
    """

    home: Questions[Any]
    prompt: Prompt
    multimask: bool | str
    index: int
    mask_id: str | None
    depth: int
    logits: np.ndarray | None = None
    gone: bool = False


@dataclass(frozen=True, eq=False)
class FarMask(BaseMask):
    """One object's mask, in the frame of the whole image; what `RemoteMask` and `AsyncRemoteMask` share.

    score: predicted IoU. index: its place in the decoder's answer. stability: stability score. frame: what was
    encoded. prompt: what was asked. provenance: with which model and settings. runs: the mask as it came.
    """

    score: float
    index: int
    stability: float
    frame: Frame
    prompt: Prompt
    provenance: Mapping[str, Any]
    source: PhotoSource = field(repr=False)
    runs: Mapping[str, Any] = field(repr=False)
    kept: Kept = field(repr=False)
    cleaned: np.ndarray | None = field(default=None, repr=False)

    def _decoded(self) -> np.ndarray:
        try:
            return rle.decode(self.runs, size=(self.frame.width, self.frame.height))
        except PromptError as error:
            raise ServiceError(f"the server's mask cannot be read: {error}") from None


class RemoteMask(FarMask):
    """One object's mask, decoded by a server."""

    @property
    def logits(self) -> np.ndarray:  # pyright: ignore[reportIncompatibleVariableOverride]
        """(256, 256) float32, of float16 precision. Asked for when first used, which may raise ServiceError."""
        return run(self.kept.home.logits_of(self.kept))


class AsyncRemoteMask(FarMask):
    """One object's mask, decoded by a server; under asyncio."""

    async def fetch_logits(self) -> np.ndarray:
        """(256, 256) float32 of float16 precision; asked of the server the first time, which may raise ServiceError."""
        return await self.kept.home.logits_of(self.kept)

    @property
    def logits(self) -> np.ndarray:  # pyright: ignore[reportIncompatibleVariableOverride]
        """(256, 256) float32, once `fetch_logits` was awaited. Raises ClickmaskError before."""
        if self.kept.logits is None:
            raise ClickmaskError("logits: not fetched yet; `await mask.fetch_logits()` first")
        return self.kept.logits
