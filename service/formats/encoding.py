"""Pixels to the bytes of an image file, by OpenCV."""

from __future__ import annotations

import cv2
import numpy as np

from ...models.errors import OutputError

_TO_OPENCV = {3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGBA2BGRA}
_JPEG_QUALITY = 92
_JPEG_SIDE = 65_500


def encode_png(pixels: np.ndarray) -> bytes:
    """A PNG of (H, W) grey, (H, W, 3) RGB or (H, W, 4) RGBA uint8 pixels."""
    return _encode(".png", pixels, [])


def encode_jpeg(pixels: np.ndarray) -> bytes:
    """A JPEG of (H, W, 3) uint8 RGB pixels. Raises OutputError beyond JPEG's 65500 pixels a side."""
    return _encode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])


def encode_for_screen(pixels: np.ndarray) -> tuple[bytes, str]:
    """(H, W, 3) uint8 RGB pixels as a JPEG, or a PNG where they are too many in a row, with its media type."""
    if max(pixels.shape[:2]) > _JPEG_SIDE:
        return encode_png(pixels), "image/png"
    return encode_jpeg(pixels), "image/jpeg"


def _encode(extension: str, pixels: np.ndarray, parameters: list[int]) -> bytes:
    if pixels.ndim == 3:
        pixels = cv2.cvtColor(pixels, _TO_OPENCV[pixels.shape[2]])
    try:
        done, data = cv2.imencode(extension, pixels, parameters)
    except cv2.error:
        done, data = False, None
    if not done or data is None:
        height, width = pixels.shape[:2]
        raise OutputError(f"a picture of {width} x {height} pixels cannot be written as {extension}: choose .png")
    return data.tobytes()
