"""Small pictures of results, for a page to show how a batch goes."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from ..errors import ApiError

_SIDE = 160  # pixels
_LARGEST = 64 << 20  # bytes of a file


def small_picture(path: Path) -> bytes:
    """A result, its longer side at most 160 pixels, as PNG. Raises ApiError 404 or 422."""
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST)
    except OSError:
        raise ApiError(404, "not_found", "the file is there no longer") from None
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) if data else None
    if pixels is None:
        raise ApiError(422, "bad_request", "file: this result is no picture", field="file")
    height, width = pixels.shape[:2]
    scale = min(1.0, _SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.imencode(".png", cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))[1].tobytes()
