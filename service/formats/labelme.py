"""LabelMe's JSON, one file a picture: what labelme opens beside the photo, and many converters read.

Polygons are what every reader of such files knows and what can be dragged about in labelme, so they are the rule:
one ring a part, the parts of one object tied by `group_id`, a hole joined to its part by a slit (see `rings.py`).
labelme's own scripts read them back to the very mask. Its newer kind of shape, "mask", says the pixels outright,
but fewer programs read it: by wish.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any

import cv2
import numpy as np

from ..version import version
from .encoding import encode_png
from .fields import number
from .result import ObjectResult, Result
from .rings import to_rings
from .text import encode_document

_LABELME = "5.5.0"  # the release whose files these are like


def write_labelme(result: Result, polygons: bool | None = None, tolerance: float = 0.0) -> bytes:
    """UTF-8 JSON, one line a shape, without the picture's own pixels (`imageData` is null).

    `polygons`: False writes each object as one shape of the kind "mask". `tolerance`, in pixels, makes polygons
    simpler. Raises OutputError when name, labels or provenance hold more than JSON can say.
    """
    head = {
        "version": _LABELME,
        "flags": {},
        "imagePath": result.file_name,
        "imageData": None,
        "imageHeight": result.height,
        "imageWidth": result.width,
        "clickmask": {"version": version(), "provenance": dict(result.provenance)},
    }
    return encode_document(head, "shapes", _shapes(result, polygons is not False, tolerance))


def _shapes(result: Result, polygons: bool, tolerance: float) -> Iterator[dict[str, Any]]:
    for place, item in enumerate(result.objects, start=1):
        if polygons:
            yield from _polygons(item, place, tolerance)
        else:
            yield from _pixels(item)


def _polygons(item: ObjectResult, place: int, tolerance: float) -> Iterator[dict[str, Any]]:
    rings = to_rings(item.mask, tolerance)
    for ring in rings:
        yield _shape(item, "polygon", ring.tolist(), {"group_id": place if len(rings) > 1 else None})


def _pixels(item: ObjectResult) -> Iterator[dict[str, Any]]:
    """The object's box, corners inclusive, and its pixels in there as a PNG of 0 and 1; nothing for an empty mask."""
    mask = item.mask.astype(np.uint8)
    left, top, width, height = cv2.boundingRect(mask)
    if width:
        data = encode_png(np.ascontiguousarray(mask[top : top + height, left : left + width]))
        corners = [[left, top], [left + width - 1, top + height - 1]]
        yield _shape(item, "mask", corners, {"mask": base64.b64encode(data).decode("ascii")})


def _shape(item: ObjectResult, kind: str, points: list[Any], more: Mapping[str, Any]) -> dict[str, Any]:
    shape = {"label": item.category, "points": points, "group_id": None, "description": "", "shape_type": kind}
    shape |= {"flags": {}, "mask": None, **more}
    scores = {"predicted_iou": number(item.score), "stability_score": number(item.stability)}
    return shape | {name: score for name, score in scores.items() if score is not None}
