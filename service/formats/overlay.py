"""The photo with its objects marked in colour."""

from __future__ import annotations

import numpy as np

from ..cutouts import overlay
from ..palette import colour
from .encoding import encode_jpeg, encode_png
from .result import Result


def write_overlay_png(result: Result) -> bytes:
    """The marked photo as PNG. Raises OutputError when the result has no picture."""
    return encode_png(_marked(result))


def write_overlay_jpeg(result: Result) -> bytes:
    """The marked photo as JPEG. Raises OutputError when the result has no picture."""
    return encode_jpeg(_marked(result))


def _marked(result: Result) -> np.ndarray:
    marked = result.photo()
    for item in result.objects:  # one mask in memory at a time
        marked = overlay(marked, [item.mask], [colour(item.index)])
    return marked
