"""Pictures that are in memory already: numpy arrays, torch tensors, PIL images.

Neither torch nor PIL is imported: whoever has such an object has the library.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..models.errors import ImageError
from .image_pixels import to_rgb8, turn_upright

_ORIENTATION = 274  # the EXIF tag

_TO_UINT8 = {
    "f": "if its values are 0..1, pass (image * 255).round().astype('uint8'); if 0..255, leave out the * 255",
    "b": "pass image.astype('uint8') * 255",
    "u": "if its values are 0..65535, pass (image / 257).round().astype('uint8')",
    "i": "if its values are 0..255, pass image.astype('uint8')",
}


def from_array(array: np.ndarray, channels: str, what: str) -> np.ndarray:
    """A copy of `array` as (H, W, 3) uint8 RGB.

    `array`: (H, W, 3) uint8 in the order `channels`, (H, W) or (H, W, 1) grey, or (H, W, 4) with alpha.
    Raises ImageError, naming `what`, and says how to convert what is none of these.
    """
    if array.ndim not in (2, 3) or array.size == 0 or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        raise ImageError(f"{what} has shape {array.shape}: expected (H, W, 3), (H, W) or (H, W, 4){_shape_hint(array)}")
    if array.dtype != np.uint8:
        hint = _TO_UINT8.get(array.dtype.kind, "convert it to uint8")
        raise ImageError(f"{what} has {array.dtype} values: expected uint8, 0..255; {hint}")
    return to_rgb8(array, channels, what)


def _shape_hint(array: np.ndarray) -> str:
    if array.ndim == 3 and array.shape[0] in (3, 4):
        return "; put the channels last: image.transpose(1, 2, 0)"
    return "; pass the images one by one" if array.ndim == 4 else ""


def from_tensor(tensor: Any, channels: str, what: str) -> np.ndarray:
    """A copy of a torch tensor, uint8, (3, H, W) or (H, W, 3), on any device, as (H, W, 3) uint8 RGB.

    Raises ImageError, naming `what`, for other shapes and types, and for (3, H, 3), which could be either.
    """
    shape = tuple(tensor.shape)
    first, last = len(shape) == 3 and shape[0] == 3, len(shape) == 3 and shape[2] == 3
    if first == last:
        reason = "which could be either" if first else "one image"
        raise ImageError(f"{what} is a tensor of shape {shape}: expected (3, H, W) or (H, W, 3), {reason}")
    if str(tensor.dtype) != "torch.uint8":
        raise ImageError(
            f"{what} has {tensor.dtype} values: expected torch.uint8, 0..255; "
            "if its values are 0..1, pass (image * 255).round().byte()"
        )
    tensor = tensor.detach().cpu()
    return from_array((tensor.permute(1, 2, 0) if first else tensor).numpy(), channels, what)


def from_pillow(image: Any, what: str) -> tuple[np.ndarray, int]:
    """A PIL image of any 8- or 16-bit mode as (H, W, 3) uint8 RGB, upright, and the EXIF orientation it had.

    Raises ImageError, naming `what`, when its pixels cannot be loaded or have no known range.
    """
    try:
        image.load()  # first: loading a TIFF turns it and takes the orientation away
        orientation = image.getexif().get(_ORIENTATION, 1)
        array = np.asarray(_to_plain_mode(image))
    except (OSError, ValueError, SyntaxError) as error:
        raise ImageError(f"{what} cannot be loaded by PIL: {error}") from None
    orientation = orientation if orientation in range(1, 9) else 1
    return turn_upright(to_rgb8(array, "rgb", what), orientation), orientation


def _to_plain_mode(image: Any) -> Any:
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return image
    if image.mode == "La":
        return image.convert("LA").convert("RGBA")
    clear = "transparency" in image.info or image.mode in ("RGBA", "PA", "LA", "RGBa")
    return image.convert("RGBA" if clear else "RGB")
