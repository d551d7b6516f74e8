"""LabelMe's JSON read back."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

from ...models.errors import ImageError, PromptError
from .. import rle
from ..image_headers import read_header
from ..images import MAX_PIXELS
from ..polygons import from_polygons
from .fields import check_pixels, load, mapping, naming_file, real, sequence, text, whole
from .result import ObjectResult, Result

Fields = Mapping[str, Any]
Size = tuple[int, int]

_CIRCLE = 360  # corners of a circle


def read_labelme(data: bytes, *, file: str, size: Size | None = None, max_pixels: int = MAX_PIXELS) -> Result:
    """The objects of the file's image, without its picture.

    `file`: what messages call the file. `size`: the image's (width, height), for old files that do not have it.
    Shapes that have a label and a `group_id` in common are one object. Polygons, rectangles and circles take the
    pixels whose middles are inside; masks are taken as they are. Points and lines have no pixels, and are refused.
    Raises PromptError, naming file and field, when `data` is no such document, or of an image of over `max_pixels`.
    """
    with naming_file(file):
        document = mapping(load(data, "LabelMe"), "the document")
        width, height = _size(document, size)
        check_pixels(width, height, max_pixels)
        own = document.get("clickmask")
        provenance = own.get("provenance") if isinstance(own, Mapping) else None
        objects = _objects(sequence(document.get("shapes"), "shapes"), (width, height))
        name = text(document.get("imagePath"), "imagePath")
        return Result(width, height, objects, provenance if isinstance(provenance, Mapping) else {}, name=name)


def _size(document: Fields, size: Size | None) -> Size:
    if size is not None and document.get("imageWidth") is None and document.get("imageHeight") is None:
        return size
    width, height = (whole(document.get(side), side, least=1) for side in ("imageWidth", "imageHeight"))
    if size is not None and size != (width, height):
        raise PromptError(f"imageWidth, imageHeight: {width} x {height}, but the image is {size[0]} x {size[1]}")
    return width, height


def _objects(shapes: list[Any], size: Size) -> list[ObjectResult]:
    groups: dict[object, list[int]] = {}
    for at, shape in enumerate(shapes):
        shape = mapping(shape, f"shapes[{at}]")
        group = shape.get("group_id")
        label = text(shape.get("label"), f"shapes[{at}].label")
        groups.setdefault(at if group is None else (label, repr(group)), []).append(at)
    return [_object(shapes, places, size, index) for index, places in enumerate(groups.values())]


def _object(shapes: list[Fields], places: list[int], size: Size, index: int) -> ObjectResult:
    together = np.zeros((size[1], size[0]), bool)
    for at in places:
        together |= _mask(shapes[at], f"shapes[{at}]", size)
    first, field = shapes[places[0]], f"shapes[{places[0]}]"
    score = real(first.get("predicted_iou"), f"{field}.predicted_iou")
    stability = real(first.get("stability_score"), f"{field}.stability_score")
    return ObjectResult(rle.encode(together), score, stability, index, first.get("label"))


def _mask(shape: Fields, field: str, size: Size) -> np.ndarray:
    kind = shape.get("shape_type", "polygon")
    points = _points(shape.get("points"), f"{field}.points")
    if kind == "mask":
        return _pasted(shape.get("mask"), points, field, size)
    if kind not in _RINGS:
        known = ", ".join((*_RINGS, "mask"))
        raise PromptError(f"{field}.shape_type: expected one of {known}, which have pixels, got {kind!r}")
    try:
        return from_polygons([[_RINGS[kind](points)]], size)
    except PromptError as error:
        raise PromptError(f"{field}.points: {error}") from None


def _points(value: object, field: str) -> np.ndarray:
    """(N, 2) float64, x y."""
    try:
        points = np.array(value if isinstance(value, list) else (), np.float64)
    except (TypeError, ValueError, OverflowError):
        points = np.empty(0)
    if points.shape != (len(points), 2) or not np.isfinite(points).all():
        raise PromptError(f"{field}: expected a list of [x, y] numbers")
    return points


def _corners(points: np.ndarray) -> np.ndarray:
    (x0, y0), (x1, y1) = _two(points)
    return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])


def _circle(points: np.ndarray) -> np.ndarray:
    middle, rim = _two(points)
    angles = np.arange(_CIRCLE) * (2 * math.pi / _CIRCLE)
    return middle + np.hypot(*(rim - middle)) * np.stack((np.cos(angles), np.sin(angles)), axis=1)


def _two(points: np.ndarray) -> np.ndarray:
    if len(points) != 2:
        raise PromptError(f"expected 2, got {len(points)}")
    return points


_RINGS = {
    "polygon": lambda points: points,
    "rectangle": _corners,
    "circle": _circle,
}


def _pasted(value: object, points: np.ndarray, field: str, size: Size) -> np.ndarray:
    """A mask from the pixels of its box, whose corners `points` are inclusive."""
    pixels = _decoded(value, f"{field}.mask")
    width, height = size
    if len(points) != 2 or (np.abs(points) > max(size)).any():
        raise PromptError(f"{field}.points: expected the two corners of the mask, within the image")
    (x0, y0), (x1, y1) = points.astype(int)
    inside = 0 <= x0 <= x1 < width and 0 <= y0 <= y1 < height
    if not inside or pixels.shape != (y1 - y0 + 1, x1 - x0 + 1):
        found = f"{pixels.shape[1]} x {pixels.shape[0]}"
        raise PromptError(f"{field}.mask: its {found} pixels do not fit its points {points.tolist()}, or the image")
    mask = np.zeros((height, width), bool)
    mask[y0 : y1 + 1, x0 : x1 + 1] = pixels
    return mask


def _decoded(value: object, field: str, most: int = MAX_PIXELS) -> np.ndarray:
    """(h, w) bool of a PNG in base64."""
    try:
        data = base64.b64decode(value if isinstance(value, str) else "", validate=True)
        header = read_header(data, "the mask")
        fits = header.kind == "PNG" and header.width * header.height <= most
        pixels = (
            cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION)
            if fits
            else None
        )
    except (ValueError, ImageError, cv2.error):
        pixels = None
    if pixels is None:
        raise PromptError(f"{field}: expected a PNG in base64")
    return pixels > 0
