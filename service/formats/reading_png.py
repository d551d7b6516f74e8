"""Grey PNGs read back: one mask, all that is not black."""

from __future__ import annotations

import cv2
import numpy as np

from ...models.errors import ImageError, PromptError
from .. import rle
from ..image_headers import read_header
from ..images import MAX_PIXELS
from .fields import check_pixels, naming_file
from .result import ObjectResult, Result


def read_png(data: bytes, *, file: str, name: str | None = None, max_pixels: int = MAX_PIXELS) -> Result:
    """One object, every pixel that is not black, without the picture; an image all black has an object without a pixel.

    `file`: what messages call the file. `name`: the image's file name. Raises PromptError, naming the file, when `data`
    is no grey PNG of 8 or 16 bits, or has over `max_pixels`.
    """
    with naming_file(file):
        mask = decode_grey(data, max_pixels, "black and white mask") > 0
        return Result(mask.shape[1], mask.shape[0], [ObjectResult(rle.encode(mask))], name=name)


def decode_grey(data: bytes, most: int, kind: str) -> np.ndarray:
    """(H, W) uint8 or uint16. `kind`: what was expected, for messages.

    Raises PromptError for anything else than a grey PNG, and for one of over `most` pixels, before it is unpacked.
    """
    try:
        header = read_header(data, "the file")
        check_pixels(header.width, header.height, most)
        flags = cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION
        found = cv2.imdecode(np.frombuffer(data, np.uint8), flags) if header.kind == "PNG" else None
    except (ImageError, cv2.error):
        found = None
    if found is None or found.ndim != 2 or found.dtype not in (np.uint8, np.uint16):
        raise PromptError(f"expected a {kind}, a grey PNG of 8 or 16 bits")
    return found
