"""GeoJSON: polygons with holes, one feature an object.

Coordinates are pixels of the upright image, x to the right and y down, and not places on the earth: the collection says
so in its member `clickmask`, where image and provenance stand too. Outlines run along the edges of pixels. Each part
that hangs together by sides is a polygon of its own, so that no ring touches itself: valid by OGC's rules and, in
winding, by RFC 7946's. An object without a pixel has a null geometry.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np

from .. import rle
from ..polygons import to_polygons
from ..version import version
from .fields import number
from .result import ObjectResult, Result
from .text import encode_document

COORDINATES = "pixels of the upright image: x right, y down, from its top left corner"

Part = list[np.ndarray]


def write_geojson(result: Result, tolerance: float = 0.0) -> bytes:
    """UTF-8 JSON, one line a feature. `tolerance`, in pixels, makes outlines simpler, which may then touch and cross.

    Raises OutputError when name, labels or provenance hold more than JSON can say.
    """
    image = {
        "name": result.name,
        "width": result.width,
        "height": result.height,
        "sha256": result.sha256 if result.picture is None else result.picture.digest,
        "orientation": result.orientation,
    }
    own = {"version": version(), "coordinates": COORDINATES, "image": image, "provenance": dict(result.provenance)}
    features = (_feature(item, tolerance) for item in result.objects)
    return encode_document({"type": "FeatureCollection", "clickmask": own}, "features", features)


def _feature(item: ObjectResult, tolerance: float) -> dict[str, Any]:
    runs = item.runs
    box = rle.box(runs)
    properties = {
        "index": item.index,
        "label": item.label,
        "score": number(item.score),
        "stability": number(item.stability),
        "area": rle.area(runs),
    }
    extent = {} if box is None else {"bbox": list(box)}
    geometry = None if box is None else _geometry(list(_parts(item.mask, box, tolerance)))
    return {"type": "Feature", "id": item.index, **extent, "geometry": geometry, "properties": properties}


def _geometry(parts: list[Part]) -> dict[str, Any]:
    polygons = [[[*ring.tolist(), ring[0].tolist()] for ring in part] for part in parts]
    if len(polygons) > 1:
        return {"type": "MultiPolygon", "coordinates": polygons}
    return {"type": "Polygon", "coordinates": polygons[0]}


def _parts(mask: np.ndarray, box: tuple[int, int, int, int], tolerance: float) -> Iterator[Part]:
    """Polygons of what hangs together by sides; `to_polygons` knows what hangs together by corners too."""
    left, top, right, bottom = box
    mask = np.ascontiguousarray(mask[top:bottom, left:right])
    pixels = mask.view(np.uint8)
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(pixels, connectivity=4)
    if count == cv2.connectedComponents(pixels, connectivity=8)[0]:
        yield from ([ring + (left, top) for ring in rings] for rings in to_polygons(mask, tolerance))
        return
    for label in range(1, count):
        x, y, width, height = boxes[label, :4].tolist()
        part = labels[y : y + height, x : x + width] == label
        yield from ([ring + (left + x, top + y) for ring in rings] for rings in to_polygons(part, tolerance))
