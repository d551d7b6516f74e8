"""The only file that scales coordinates: image frame <-> model frame, windows, low-res logits -> pixels.

Image frame: pixels of the upright image, x right, y down; pixel (column c, row r) covers [c, c + 1) x [r, r + 1).
Model frame: the 1024 x 1024 square SAM sees; what was encoded (the image, or a window of it) is scaled so that
its longer side is 1024 and sits in the top left corner.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a client of the HTTP service knows frames, but need not wait for torch
    from torch import Tensor

MODEL_SIDE = 1024  # pixels of the square SAM sees
LOW_RES = 256  # low-res logits are (256, 256)
GRID = 64  # the embedding is (256, 64, 64)


@dataclass(frozen=True)
class Frame:
    """Where an encoded picture sits in its image.

    width, height: the whole image, pixels.
    window: (x0, y0, x1, y1) ints, image frame, x1 and y1 exclusive: the part that was encoded.
    """

    width: int
    height: int
    window: tuple[int, int, int, int]

    @staticmethod
    def whole(width: int, height: int) -> Frame:
        """The frame of an image that was encoded as a whole."""
        return Frame(width, height, (0, 0, width, height))

    @property
    def is_whole(self) -> bool:
        """Whether the window is the image."""
        return self.window == (0, 0, self.width, self.height)

    @property
    def window_size(self) -> tuple[int, int]:
        """(width, height) of the encoded part, image pixels."""
        x0, y0, x1, y1 = self.window
        return x1 - x0, y1 - y0

    @property
    def scaled_size(self) -> tuple[int, int]:
        """(width, height) in the model frame, as segment_anything's ResizeLongestSide rounds it."""
        width, height = self.window_size
        scale = MODEL_SIDE * 1.0 / max(width, height)
        return int(width * scale + 0.5), int(height * scale + 0.5)

    def to_model(self, coords: Tensor) -> Tensor:
        """(..., 2) float64 x y, image frame -> float64, model frame."""
        return (coords - self._origin(coords)) * self._scale(coords)

    def to_image(self, coords: Tensor) -> Tensor:
        """(..., 2) float64 x y, model frame -> float64, image frame."""
        return coords / self._scale(coords) + self._origin(coords)

    def _origin(self, like: Tensor) -> Tensor:
        return like.new_tensor(self.window[:2])

    def _scale(self, like: Tensor) -> Tensor:
        width, height = self.window_size
        scaled_width, scaled_height = self.scaled_size
        return like.new_tensor([scaled_width / width, scaled_height / height])

    def valid_low_res(self) -> tuple[int, int]:
        """(width, height): how many columns and rows of the low-res logits lie on the picture, at least in part."""
        width, height = self.scaled_size
        return -(-width * LOW_RES // MODEL_SIDE), -(-height * LOW_RES // MODEL_SIDE)


def upsample(low_res: Tensor, frame: Frame) -> Tensor:
    """Low-res logits (N, 256, 256) float32 to (N, height, width) of the frame's window, its own pixels."""
    return upsample_to(low_res, frame.scaled_size, frame.window_size)


def upsample_to(low_res: Tensor, scaled_size: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """Low-res logits to a picture's own pixels, as `Sam.postprocess_masks` does it.

    Bilinear to 1024 x 1024, crop of the padding, bilinear to the picture's size; the padding is cropped
    before the first step wherever it cannot touch a pixel, which changes nothing.

    Args:
        low_res: (N, 256, 256) float32.
        scaled_size: (width, height) of the picture in the model frame; size: (width, height) wanted.

    Returns:
        (N, height, width) float32.
    """
    from torch.nn import functional as F

    width, height = scaled_size
    factor = MODEL_SIDE // LOW_RES
    rows, columns = (min(LOW_RES, -(-side // factor) + 1) for side in (height, width))
    logits = F.interpolate(
        low_res[:, None, :rows, :columns],
        (rows * factor, columns * factor),
        mode="bilinear",
        align_corners=False,
    )[..., :height, :width]
    target = size[::-1]
    if target != (height, width):
        logits = F.interpolate(logits, target, mode="bilinear", align_corners=False)
    return logits[:, 0]


def reproject(low_res: Tensor, source: Frame, target: Frame) -> Tensor:
    """Low-res logits of one window as another window of the same image would see them.

    Where the source knows nothing (outside its window) the result is its lowest logit: background.

    Args:
        low_res: (256, 256) float32 in the source's frame.

    Returns:
        (256, 256) float32 in the target's frame.
    """
    import torch
    from torch.nn import functional as F

    step = MODEL_SIDE / LOW_RES
    centres = (torch.arange(LOW_RES, dtype=torch.float64) + 0.5) * step
    y, x = torch.meshgrid(centres, centres, indexing="ij")
    model = source.to_model(target.to_image(torch.stack([x, y], dim=-1)))
    width, height = source.scaled_size
    inside = ((model >= 0) & (model < torch.tensor([width, height]))).all(-1)
    grid = (model / MODEL_SIDE * 2 - 1).float()[None].to(low_res.device)
    seen = F.grid_sample(low_res[None, None], grid, padding_mode="border", align_corners=False)[0, 0]
    return torch.where(inside.to(low_res.device), seen, low_res.min())
