"""From the masks of a search to their answer on the wire; works from run lengths, and makes pixels of one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ...models.frame import Frame
from .. import rle
from ..everything.found import Found, FoundMask
from ..everything.runs import Runs
from .answers import DIGITS, Raster, draw, raster_place

TOGETHER = 16  # masks that are made ready in one go, before others have a turn


def portions(found: Found) -> Iterator[range]:
    """Numbers of the masks, some at a time."""
    return (range(first, min(first + TOGETHER, len(found))) for first in range(0, len(found), TOGETHER))


def describe_some(found: Found, numbers: range, frame: Frame, format: str, scale: str) -> list[dict[str, Any]]:
    """Those masks' answers. frame: what of the image was searched."""
    return [
        {
            "index": mask.index,
            "score": round(mask.score, DIGITS),
            "stability": round(mask.stability, DIGITS),
            "area": mask.area,
            "box": mask.box,
            "point": mask.point,
            "crop": mask.crop,
            "parent": found.parents[number],
            format: _formatted(mask, frame, format, scale),
        }
        for number in numbers
        for mask in [found[number]]
    ]


def _formatted(mask: FoundMask, frame: Frame, format: str, scale: str) -> Any:
    place = raster_place(frame, scale)
    box = place["box"]
    size, is_whole = (place["width"], place["height"]), box == (0, 0, frame.width, frame.height)
    if is_whole and size == (frame.width, frame.height):
        return mask.rle() if format == "rle" else draw(Raster(mask.runs.pixels(), box), format)
    pixels = _sampled(mask.runs, size, box)
    return rle.encode(pixels) if format == "rle" else draw(Raster(pixels, box), format)


def _sampled(runs: Runs, size: tuple[int, int], box: tuple[int, int, int, int]) -> np.ndarray:
    """(h, w) bool: what the mask is in the middle of each of so many columns and rows over a box of the image."""
    columns, rows = (_middles(count, low, high) for count, low, high in zip(size, box[:2], box[2:], strict=True))
    pixels = np.zeros((size[1], size[0]), bool)
    if runs.box is None:
        return pixels
    x0, y0, x1, y1 = runs.box
    across = slice(*np.searchsorted(columns, (x0, x1)).tolist())
    down = slice(*np.searchsorted(rows, (y0, y1)).tolist())
    places = columns[across][:, None] * runs.height + rows[down][None, :]
    pixels[down, across] = runs.has(places.ravel()).reshape(places.shape).T
    return pixels


def _middles(count: int, low: int, high: int) -> np.ndarray:
    """(count,) the pixels in the middles of equal parts of low..high."""
    return low + ((np.arange(count) + 0.5) * (high - low) / count).astype(np.int64)
