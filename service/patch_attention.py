"""What one place of a photo looks at inside the image encoder, block by block and head by head."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..models.errors import OutputError, PromptError
from ..models.frame import MODEL_SIDE, Frame
from ..models.patch_attention import PatchLook, patch_attention
from ..models.sam import plain_arithmetic
from .attention import npz, over
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
    """

    point: tuple[float, float]
    frame: Frame
    blocks: tuple[BlockAttention, ...]

    def heat(self, block: int = -1, head: int | None = None) -> np.ndarray:
        """Where the patch looked in a block, by a head or the mean of all, over the encoded part of the photo.

        Returns:
            (h, w) float32, 0 to 1, the place looked at most being 1; 0 where the block does not look.

        Raises:
            PromptError: there is no such block or head.
        """
        if not -len(self.blocks) <= block < len(self.blocks):
            raise PromptError(f"block: expected 0 to {len(self.blocks) - 1}, got {block}")
        chosen = self.blocks[block]
        if head is not None and not 0 <= head < len(chosen.weights):
            raise PromptError(f"head: expected 0 to {len(chosen.weights) - 1}, got {head}")
        weights = chosen.weights.mean(0) if head is None else chosen.weights[head]
        side, (row, column) = MODEL_SIDE // chosen.stride, chosen.corner
        places = np.zeros((side, side), np.float32)
        there = places[row : row + weights.shape[0], column : column + weights.shape[1]]
        there[:] = weights[: there.shape[0], : there.shape[1]]
        return over(places, self.frame)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the arrays of all blocks as .npz, without pickles. Raises OutputError."""
        if Path(path).suffix.lower() != ".npz":
            raise OutputError(f"{path}: expected .npz")
        arrays = dict[str, np.ndarray]()
        for number, block in enumerate(self.blocks):
            about = {"name": np.array(block.name), "place": np.array(block.place), "corner": np.array(block.corner)}
            own = about | {"stride": np.array(block.stride), "weights": block.weights, **block.walk}
            arrays |= {f"{number}/{name}": array for name, array in own.items()}
        write_atomic(path, npz(arrays))


@plain_arithmetic
def patch_attention_of(image: OpenImage, x: float, y: float) -> PatchAttention:
    """Encodes the image once more. Raises PromptError for a point outside, ClosedError without the image's pixels."""
    network, frame = image._network, image.frame
    image._open_tokens()
    check_inside(Prompt(points=[(x, y)]), frame)
    pixels = torch.from_numpy(image._source.get().window(frame.window))
    column, row = frame.to_model(torch.tensor([[x, y]], dtype=torch.float64))[0].tolist()
    width, height = frame.scaled_size
    at = min(column, width - 1), min(row, height - 1)
    _, looks = patch_attention(network.sam, pixels, frame, network.margin, *at)
    return PatchAttention((float(x), float(y)), frame, tuple(map(_block, looks)))


def _block(look: PatchLook) -> BlockAttention:
    walk = {"query": _array(look.query), "keys": _array(look.keys), "bias": _array(look.bias)}
    return BlockAttention(look.block, look.stride, look.place, look.corner, _array(look.weights), walk)


def _array(tensor: Any) -> np.ndarray:
    return tensor.float().cpu().numpy()
