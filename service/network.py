"""A model and how it is used, shared by all images that are open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..models.errors import SettingsError
from ..models.frame import MODEL_SIDE, Frame
from ..models.sam import Sam, plain_arithmetic, resize
from .provenance import of_encoder

REFINES = ("auto", "off", "clicks", "edges", "views")


class Network:
    """A model and how it is used: what an open image needs of its segmenter."""

    def __init__(self, sam: Sam, digest: str, margin: int | None, provenance: Mapping[str, Any]) -> None:
        self.sam, self.digest, self.margin, self.provenance = sam, digest, margin, dict(provenance)

    def refined(self, how: str) -> Network:
        """This network with another `refine`. Raises SettingsError for an unknown one."""
        check("refine", how, REFINES)
        effective = "edges" if how == "auto" else how
        if effective == self.provenance["refine"]:
            return self
        return Network(self.sam, self.digest, self.margin, {**self.provenance, "refine": effective})

    def without_photo(self) -> Network:
        """This network for an image without its pixels: there, masks cannot have the photo's edges."""
        return self.refined("clicks") if self.sharpens else self

    @property
    def obeys(self) -> bool:
        """Whether clicks that the decoder ignores are enforced."""
        return self.provenance["refine"] != "off"

    @property
    def sharpens(self) -> bool:
        """Whether masks have the edges of the photo."""
        return self.provenance["refine"] in ("edges", "views")

    @property
    def looks_twice(self) -> bool:
        """Whether the mirrored photo is asked too where the decoder is not sure."""
        return self.provenance["refine"] == "views"

    def with_embedding_of(self, encoder: Mapping[str, Any]) -> Network:
        """This network for an embedding made with other settings, which its answers then name under "embedding"."""
        if of_encoder(encoder) == of_encoder(self.provenance):
            return self
        return Network(self.sam, self.digest, self.margin, {**self.provenance, "embedding": dict(encoder)})

    def encoding_anew(self) -> Network:
        """This network for what it encodes itself."""
        own = {name: value for name, value in self.provenance.items() if name != "embedding"}
        return Network(self.sam, self.digest, self.margin, own)

    @plain_arithmetic
    def scale(self, pixels: np.ndarray, frame: Frame) -> np.ndarray:
        """(H, W, 3) uint8 RGB of the frame's window -> what is encoded the same, but is smaller where it can be.

        A GPU scales to fractions of grey levels, which would be more bytes than the picture: there it stays as it is.
        """
        if self.sam.device.type != "cpu" or max(frame.window_size) <= MODEL_SIDE:
            return pixels
        return resize(torch.from_numpy(pixels), frame.scaled_size).contiguous().numpy()

    def encode(self, pixels: np.ndarray, frame: Frame) -> Tensor:
        """(H, W, 3) uint8 RGB of the frame's window -> (4096, 256) image tokens."""
        return self.encode_each([(pixels, frame)])[0]

    @plain_arithmetic
    def encode_each(self, pictures: Sequence[tuple[np.ndarray, Frame]]) -> list[Tensor]:
        """The image tokens of several pictures; on a GPU in one pass."""
        tensors = [(torch.from_numpy(pixels), frame) for pixels, frame in pictures]
        return self.sam.encode_each(tensors, margin=self.margin)


def check(field: str, value: str, known: tuple[str, ...]) -> None:
    """Raises SettingsError when a setting is none of those known."""
    if value not in known:
        raise SettingsError(f"{field}={value!r} is unknown; use {', '.join(known)}")
