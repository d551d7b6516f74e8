"""A label map: a grey PNG, as large as the picture, whose values are the objects' numbers, from 1 up; 0 is none.

Of several objects a pixel belongs to the smallest, as of `Found.label_map`; of equally large ones to the earlier. Up to
255 objects there are 8 bits a pixel, else 16. Labels, scores and provenance are in a text of the PNG called
"clickmask", which viewers pass over.
"""

from __future__ import annotations

import json

import numpy as np

from ...models.errors import OutputError
from .. import rle
from ..rle import Rle
from ..version import version
from .encoding import encode_png
from .fields import number
from .loss import Loss
from .png_text import add_text
from .result import Result

KEYWORD = "clickmask"
MOST = 65_535
_MOST_IN_8_BITS = 255


def write_labelmap(result: Result) -> bytes:
    """The map as PNG. Raises OutputError for over 65535 objects, or a provenance that holds more than JSON can say."""
    return add_text(encode_png(to_labelmap(result)), KEYWORD, _said(result))


def to_labelmap(result: Result) -> np.ndarray:
    """(H, W) uint8, or uint16 for over 255 objects. Raises OutputError for over 65535."""
    count = len(result.objects)
    if count > MOST:
        raise OutputError(f"labelmap has numbers for {MOST} objects, got {count}: choose coco, json or sa1b")
    columns = np.zeros(result.width * result.height, np.uint8 if count <= _MOST_IN_8_BITS else np.uint16)
    for place in _largest_first(result):
        columns[_pixels(result.objects[place].runs)] = place + 1
    return np.ascontiguousarray(columns.reshape(result.width, result.height).T)


def labelmap_losses(result: Result) -> list[Loss]:
    """Pixels of objects that lie beneath smaller ones."""
    taken = np.zeros(result.width * result.height, bool)
    hidden: dict[int, int] = {}
    for place in reversed(_largest_first(result)):
        pixels = _pixels(result.objects[place].runs)
        hidden[place] = int(np.count_nonzero(taken[pixels]))
        taken[pixels] = True
    return [Loss(place + 1, "hidden by smaller ones", pixels) for place, pixels in sorted(hidden.items()) if pixels]


def _largest_first(result: Result) -> list[int]:
    """The objects' places; of equally large ones the later comes first, so that the earlier lies on top."""
    areas = [rle.area(item.runs) for item in result.objects]
    return sorted(range(len(areas)), key=lambda place: (-areas[place], -place))


def _pixels(runs: Rle) -> np.ndarray:
    """(area,) int64: the object's pixels, counted column by column; no mask as large as the image is made for them."""
    starts, lengths = rle.spans(runs)
    return np.repeat(starts - np.cumsum(lengths) + lengths, lengths) + np.arange(lengths.sum())


def _said(result: Result) -> str:
    objects = [
        {"label": item.label, "score": number(item.score), "stability": number(item.stability), "index": item.index}
        for item in result.objects
    ]
    said = {"version": version(), "name": result.name, "orientation": result.orientation}
    said |= {"provenance": dict(result.provenance), "objects": objects}
    try:
        return json.dumps(said, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise OutputError(f"the result cannot be written as JSON: {error}") from None
