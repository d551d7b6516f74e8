"""What one place of a photo looks at inside the image encoder, block by block and head by head."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..models.encoder_attention import PatchLook, Watched, watch
from ..models.errors import OutputError, SettingsError
from ..models.frame import MODEL_SIDE, Frame
from ..models.sam import plain_arithmetic
from .attention import by_head, npz, over, whole
from .files import write_atomic
from .prompts import Prompt, check_inside

if TYPE_CHECKING:
    from .open_image import OpenImage


@dataclass(frozen=True, eq=False)
class BlockAttention:
    """One Transformer block, of H heads.

    name: "stage 1, block 2" of TinyViT, "block 7" of a plain ViT. stride: pixels of the model frame to a place of its
    grid. place: (row, column) of the patch in that grid; corner: of the first place of its window.
    weights: (H, h, w) float32 over the places it attends to, a window or the whole picture; each head's sum to 1.
    walk: query (H, d), scaled by 1 / sqrt(d); keys (H, h w, d); bias (H, h, w): weights = softmax(query keys^T + bias).
    """

    name: str
    stride: int
    place: tuple[int, int]
    corner: tuple[int, int]
    weights: np.ndarray
    walk: Mapping[str, np.ndarray] = field(repr=False)


@dataclass(frozen=True, eq=False)
class PatchAttention:
    """The encoder's self-attention of the patch that a point lies in, through all blocks, first to last.

    point: (x, y), image frame. frame: where the encoded part lies.
    first_layer: what becomes of the pixels around the point first: "pixels" (3 n^2,), normalised, "weights" (3 n^2, C),
        "bias" (C,) and "output" (C,) = pixels times weights, plus bias. A plain ViT embeds patches of 16 x 16 pixels by
        it; of TinyViT it is the first convolution, n = 3, before its activation. All float32.
    corner: (row, column) of the first of those pixels, in the model frame; it may lie beyond the edge.
    """

    point: tuple[float, float]
    frame: Frame
    blocks: tuple[BlockAttention, ...]
    first_layer: Mapping[str, np.ndarray] = field(repr=False)
    corner: tuple[int, int]

    def heat(self, block: int = -1, head: int | None = None) -> np.ndarray:
        """Where the patch looked in a block, by a head or the mean of all, over the encoded part of the photo.

        Returns:
            (h, w) float32, 0 to 1, the place looked at most being 1; 0 where the block does not look.

        Raises:
            PromptError: there is no such block or head.
        """
        chosen = self.blocks[whole("block", block, len(self.blocks))]
        weights = by_head(chosen.weights, head)
        side, (row, column) = MODEL_SIDE // chosen.stride, chosen.corner
        places = np.zeros((side, side), np.float32)
        there = places[row : row + weights.shape[0], column : column + weights.shape[1]]
        there[:] = weights[: there.shape[0], : there.shape[1]]
        heat = over(places, self.frame)
        height, width = weights.shape
        for axis, (first, count) in enumerate(((row, height), (column, width))):
            step = chosen.stride * heat.shape[axis] / self.frame.scaled_size[1 - axis]  # pixels of the photo to a place
            outside = np.ones(heat.shape[axis], bool)
            outside[round(first * step) : round((first + count) * step)] = False
            heat[(outside, slice(None)) if axis == 0 else (slice(None), outside)] = 0
        return heat

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write `arrays` and `described` as .npz, without pickles. Raises OutputError."""
        if Path(path).suffix.lower() != ".npz":
            raise OutputError(f"{path}: expected .npz")
        write_atomic(path, npz(self.described | self.arrays))

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """All arrays by name: those of a block after its number ("0/weights", "0/keys"), and "first_layer/pixels"."""
        first = {f"first_layer/{name}": array for name, array in self.first_layer.items()}
        blocks = [{"weights": block.weights, **block.walk} for block in self.blocks]
        return first | {f"{number}/{name}": array for number, own in enumerate(blocks) for name, array in own.items()}

    @property
    def described(self) -> dict[str, np.ndarray]:
        """What goes into a file beside them: each block's "0/name", "0/place", "0/corner" and "0/stride"."""
        fields = ("name", "place", "corner", "stride")
        numbered = enumerate(self.blocks)
        return {f"{number}/{field}": np.array(getattr(block, field)) for number, block in numbered for field in fields}


class EncoderAttention:
    """An image on its way through the encoder, kept (22 MB of TinyViT, 335 of ViT-H in bfloat16), so that any patch of
    it can be asked for in a moment. Made by `OpenImage.encoder_attention`; threads may share it."""

    def __init__(self, watched: Watched, frame: Frame) -> None:
        self._watched, self.frame = watched, frame

    @property
    def size(self) -> int:
        """Bytes that it holds."""
        return self._watched.size

    @plain_arithmetic
    def at(self, x: float, y: float) -> PatchAttention:
        """What the patch at a point (image frame) looks at. Raises PromptError for a point outside."""
        place = self._place(x, y)
        looks = tuple(_block(block.look(*place)) for block in self._watched.blocks)
        first = self._watched.first_layer(*place)
        parts = {"pixels": first.pixels, "weights": first.weights, "bias": first.bias, "output": first.output}
        arrays = {name: _array(tensor) for name, tensor in parts.items()}
        return PatchAttention((float(x), float(y)), self.frame, looks, arrays, first.corner)

    def rollout(self, x: float, y: float) -> np.ndarray:
        """Attention rollout: how much the patch at a point has of each place after all blocks.

        Half of what a patch has stays its own in each block, half comes by the mean of the heads (Abnar and Zuidema,
        "Quantifying Attention Flow in Transformers", 2020). Takes seconds on a CPU.

        Returns:
            (64, 64) float32 over the model frame, which sums to 1. `over` lays it over the photo.

        Raises:
            PromptError: a point outside. SettingsError: the model is a TinyViT, whose convolutions mix neighbours and
                whose grid changes on the way, so that its blocks' attentions do not multiply.
        """
        *_, found = self.rolling_out(x, y)
        return found

    def rolling_out(self, x: float, y: float) -> Iterator[np.ndarray]:
        """The same as it comes to be, block by block from the last one: what comes last is the rollout."""
        steps = self._watched.rollout(*self._place(x, y))
        if steps is None:
            raise SettingsError(
                "rollout: TinyViT has none, since it mixes patches by convolutions too; use vit_b, l or h"
            )
        take = plain_arithmetic(lambda: next(steps, None))
        return map(_array, iter(take, None))

    def over(self, places: np.ndarray) -> np.ndarray:
        """(64, 64) over the model frame -> (h, w) over the encoded part of the photo; the largest becomes 1."""
        return over(places, self.frame)

    def _place(self, x: float, y: float) -> tuple[float, float]:
        """(x, y) in the model frame."""
        check_inside(Prompt(points=[(x, y)]), self.frame)
        column, row = self.frame.to_model(torch.tensor([[x, y]], dtype=torch.float64))[0].tolist()
        width, height = self.frame.scaled_size
        return min(column, width - 1), min(row, height - 1)


@plain_arithmetic
def encoder_attention_of(image: OpenImage) -> EncoderAttention:
    """Encodes the image once more. Raises ClosedError without the image's pixels."""
    network, frame = image._network, image.frame
    image._open_tokens()
    pixels = torch.from_numpy(image._source.get().window(frame.window))
    return EncoderAttention(watch(network.sam, pixels, frame, network.margin), frame)


def _block(look: PatchLook) -> BlockAttention:
    walk = {"query": _array(look.query), "keys": _array(look.keys), "bias": _array(look.bias)}
    return BlockAttention(look.block, look.stride, look.place, look.corner, _array(look.weights), walk)


def _array(tensor: Any) -> np.ndarray:
    return tensor.float().cpu().numpy()
