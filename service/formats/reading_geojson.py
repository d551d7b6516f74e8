"""GeoJSON in pixels read back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...models.errors import PromptError
from .. import rle
from ..images import MAX_PIXELS
from ..polygons import from_polygons
from .fields import check_pixels, load, mapping, naming_file, real, sequence, text, whole
from .result import ObjectResult, Result

Fields = Mapping[str, Any]
Size = tuple[int, int]


def read_geojson(data: bytes, *, file: str, size: Size | None = None, max_pixels: int = MAX_PIXELS) -> Result:
    """The objects of the collection, one a feature, without the picture; coordinates are taken for the image's pixels.

    `file`: what messages call the file. `size`: the image's (width, height), for files that do not have it. A pixel
    belongs to an object when its middle is inside. Raises PromptError, naming file and field, when `data` is no such
    document, has geometries without an area, or is of an image of over `max_pixels`.
    """
    with naming_file(file):
        document = mapping(load(data, "GeoJSON"), "the document")
        features = sequence(document.get("features"), "features")
        own = mapping(document.get("clickmask", {}), "clickmask")
        image = mapping(own.get("image", {}), "clickmask.image")
        width, height = _size(image, size)
        check_pixels(width, height, max_pixels)
        return Result(
            width,
            height,
            [_object(row, f"features[{at}]", (width, height), at) for at, row in enumerate(features)],
            mapping(own.get("provenance", {}), "clickmask.provenance"),
            name=text(image.get("name"), "clickmask.image.name"),
            sha256=text(image.get("sha256"), "clickmask.image.sha256"),
            orientation=whole(image.get("orientation", 1), "clickmask.image.orientation", least=1),
        )


def _size(image: Fields, size: Size | None) -> Size:
    if not image:
        if size is None:
            raise PromptError("clickmask.image: the file does not say how large its image is: give the photo too")
        return size
    width, height = (whole(image.get(side), f"clickmask.image.{side}", least=1) for side in ("width", "height"))
    if size is not None and size != (width, height):
        raise PromptError(f"clickmask.image: {width} x {height}, but the image is {size[0]} x {size[1]}")
    return width, height


def _object(row: object, field: str, size: Size, place: int) -> ObjectResult:
    row = mapping(row, field)
    said = mapping(row.get("properties") or {}, f"{field}.properties")
    return ObjectResult(
        rle.encode(from_polygons(_parts(row.get("geometry"), f"{field}.geometry"), size)),
        real(said.get("score"), f"{field}.properties.score"),
        real(said.get("stability"), f"{field}.properties.stability"),
        whole(said.get("index", place), f"{field}.properties.index", least=0),
        text(said.get("label"), f"{field}.properties.label"),
    )


def _parts(geometry: object, field: str) -> list[list[np.ndarray]]:
    if geometry is None:
        return []
    geometry = mapping(geometry, field)
    kind, coordinates = geometry.get("type"), sequence(geometry.get("coordinates"), f"{field}.coordinates")
    if kind not in ("Polygon", "MultiPolygon"):
        raise PromptError(f"{field}.type: expected Polygon or MultiPolygon, which have pixels, got {kind!r}")
    polygons = coordinates if kind == "MultiPolygon" else [coordinates]
    return [[_ring(ring, field) for ring in sequence(rings, field)] for rings in polygons]


def _ring(corners: object, field: str) -> np.ndarray:
    """(N, 2) float64, x y; what comes after, a height, is left out, and so is the last corner, which is the first."""
    try:
        ring = np.array([corner[:2] for corner in sequence(corners, field)], np.float64)
    except (TypeError, ValueError, OverflowError, KeyError):
        ring = np.empty(0)
    if ring.shape != (len(ring), 2) or len(ring) < 4 or not (np.abs(ring) < 1e9).all():
        raise PromptError(f"{field}.coordinates: a ring must be a list of [x, y] numbers, of four corners or more")
    return ring[:-1]
