"""COCO's instances: the JSON that most tools for training and looking at data sets read.

One document holds images, annotations (one an object) and categories (one a label). Here `iscrowd` is always 0,
run lengths or not: training code and pycocotools' evaluation pass over crowds, and whoever reads masks goes by the
kind of `segmentation`. Objects without a pixel are left out, since readers stumble over them. Beyond COCO's own
fields there are `predicted_iou` and `stability_score`, as segment_anything's `amg.py` calls them, the image's
`sha256` and EXIF `orientation` (which has been applied: sizes and masks are the upright image's), and `provenance`.
No time of day is written: the same objects give the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from .. import rle
from ..version import version
from .fields import number
from .result import ObjectResult, Result
from .rings import to_rings
from .text import encode_document

_IMAGE_ID = 1


def write_coco(result: Result, polygons: bool | None = None, tolerance: float = 0.0) -> bytes:
    """The document as UTF-8 JSON, one line an annotation; see `to_coco`.

    Raises OutputError when name, labels or provenance hold more than JSON can say.
    """
    return encode_document(_head(result), "annotations", _annotations(result, bool(polygons), tolerance))


def to_coco(result: Result, polygons: bool | None = None, tolerance: float = 0.0) -> dict[str, Any]:
    """The document as plain values.

    `polygons`: segmentations are rings instead of compressed run lengths, holes joined by slits (see `rings.py`);
    `tolerance`, in pixels, makes them simpler. Categories are in the order of their names, from 1 up.
    """
    return {**_head(result), "annotations": list(_annotations(result, bool(polygons), tolerance))}


def coco_categories(names: Sequence[str]) -> list[dict[str, Any]]:
    """Categories of these names: each once, by code points, so that the same labels always have the same ids."""
    return [{"id": at, "name": name, "supercategory": ""} for at, name in enumerate(sorted(set(names)), start=1)]


def _head(result: Result) -> dict[str, Any]:
    image = {
        "id": _IMAGE_ID,
        "width": result.width,
        "height": result.height,
        "file_name": result.file_name,
        "sha256": result.sha256 if result.picture is None else result.picture.digest,
        "orientation": result.orientation,
    }
    info = {"description": "made with clickmask", "version": version(), "provenance": dict(result.provenance)}
    categories = coco_categories([item.category for item in result.objects])
    return {"info": info, "licenses": [], "images": [image], "categories": categories}


def _annotations(result: Result, polygons: bool, tolerance: float) -> Iterator[dict[str, Any]]:
    ids = {row["name"]: row["id"] for row in coco_categories([item.category for item in result.objects])}
    count = 0
    for item in result.objects:
        runs = item.runs
        box = rle.box(runs)
        if box is None:
            continue
        count += 1
        yield {
            "id": count,
            "image_id": _IMAGE_ID,
            "category_id": ids[item.category],
            "segmentation": _rings(item, tolerance) if polygons else runs,
            "area": rle.area(runs),
            "bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]],
            "iscrowd": 0,
            **_scores(item),
        }


def _rings(item: ObjectResult, tolerance: float) -> list[list[float]]:
    return [ring.ravel().tolist() for ring in to_rings(item.mask, tolerance)]


def _scores(item: ObjectResult) -> dict[str, float]:
    scores = {"predicted_iou": number(item.score), "stability_score": number(item.stability)}
    return {name: score for name, score in scores.items() if score is not None}
