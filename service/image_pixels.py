"""Pixels of any common layout to upright (H, W, 3) uint8 RGB."""

from __future__ import annotations

import cv2
import numpy as np

from ..models.errors import ImageError

_TO_RGB = {"bgr": cv2.COLOR_BGR2RGB, "bgra": cv2.COLOR_BGRA2RGB, "rgba": cv2.COLOR_RGBA2RGB}


def to_rgb8(pixels: np.ndarray, order: str, what: str, *, premultiplied: bool = False) -> np.ndarray:
    """A new (H, W, 3) uint8 RGB array.

    `pixels`: (H, W) grey or (H, W, 1 | 3 | 4), uint8 or uint16; `order` "rgb" or "bgr", a fourth channel is
    alpha and is composited on white (`premultiplied`: colours are multiplied by it already). 16 bits are
    scaled by 1/257, so that 65535 is 255. Raises ImageError, naming `what`, for other shapes and types.
    """
    if pixels.dtype == np.uint16:
        pixels = cv2.convertScaleAbs(pixels, alpha=1 / 257)
    if pixels.dtype != np.uint8:
        raise ImageError(f"{what} has {pixels.dtype} pixels, whose range is unknown: save it with 8 or 16 bits")
    pixels = np.ascontiguousarray(pixels)
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    if channels == 1:
        return cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB)
    if channels == 4:
        return _on_white(pixels, order, premultiplied)
    return cv2.cvtColor(pixels, _TO_RGB[order]) if order == "bgr" else pixels.copy()


def _on_white(pixels: np.ndarray, order: str, premultiplied: bool) -> np.ndarray:
    colours = cv2.cvtColor(pixels, _TO_RGB[order + "a"])
    alpha = cv2.cvtColor(np.ascontiguousarray(pixels[..., 3]), cv2.COLOR_GRAY2RGB)
    if not premultiplied:
        colours = cv2.multiply(colours, alpha, scale=1 / 255)
    return cv2.add(colours, 255 - alpha)


def turn_upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """`pixels` as a viewer shows them: EXIF `orientation` (1..8) undone. (H, W, 3) or, turned, (W, H, 3)."""
    match orientation:
        case 2:
            return cv2.flip(pixels, 1)
        case 3:
            return cv2.rotate(pixels, cv2.ROTATE_180)
        case 4:
            return cv2.flip(pixels, 0)
        case 5:
            return cv2.transpose(pixels)
        case 6:
            return cv2.rotate(pixels, cv2.ROTATE_90_CLOCKWISE)
        case 7:
            return cv2.rotate(cv2.transpose(pixels), cv2.ROTATE_180)
        case 8:
            return cv2.rotate(pixels, cv2.ROTATE_90_COUNTERCLOCKWISE)
    return pixels
