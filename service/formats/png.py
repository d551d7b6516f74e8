"""The mask as a black and white PNG."""

from __future__ import annotations

import numpy as np

from .encoding import encode_png
from .result import Result


def write_png(result: Result) -> bytes:
    """An 8-bit grey PNG, as large as the picture: 255 on any object, 0 elsewhere."""
    return encode_png(result.union() * np.uint8(255))
