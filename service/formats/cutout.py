"""The objects alone, on a transparent ground."""

from __future__ import annotations

from ..cutouts import cutout
from .encoding import encode_png
from .result import Result


def write_cutout(result: Result, pad: int = 0, feather: float = 0.0, soft: bool = False) -> bytes:
    """An RGBA PNG of all objects together, cropped to their box grown by `pad` pixels; edges by `feather` or `soft`.

    Raises OutputError when the result has no picture, or no object has a pixel; as `cutouts.cutout` does.
    """
    return encode_png(cutout(result.photo(), result.union(), pad, feather, soft=soft))
