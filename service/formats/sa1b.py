"""SA-1B's JSON, one file a picture: an image record, and annotations with compressed run lengths.

The fields, and their names and order, are the data set's: boxes are [x, y, width, height] in whole pixels, as
pycocotools has them. Where no point was asked, `point_coords` is empty; a score that is unknown is left out. Beyond
SA-1B's own fields there are `label` (where there is one), the image's `sha256` and EXIF `orientation` (which has been
applied), and `info` with the provenance. Objects without a pixel are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .. import rle
from ..version import version
from .fields import number
from .result import ObjectResult, Result
from .text import encode_document

_IMAGE_ID = 1


def write_sa1b(result: Result) -> bytes:
    """UTF-8 JSON, one line an annotation.

    Raises OutputError when name, labels or provenance hold more than JSON can say.
    """
    image = {
        "image_id": _IMAGE_ID,
        "width": result.width,
        "height": result.height,
        "file_name": result.file_name,
        "sha256": result.sha256 if result.picture is None else result.picture.digest,
        "orientation": result.orientation,
    }
    info = {"description": "made with clickmask", "version": version(), "provenance": dict(result.provenance)}
    return encode_document({"info": info, "image": image}, "annotations", _annotations(result))


def _annotations(result: Result) -> Iterator[dict[str, Any]]:
    count = 0
    for item in result.objects:
        runs = item.runs
        box = rle.box(runs)
        if box is not None:
            count += 1
            yield {
                "id": count,
                "segmentation": runs,
                "bbox": _sides(box),
                "area": rle.area(runs),
                **_scores(item),
                "point_coords": [] if item.point is None else [list(item.point)],
                "crop_box": _sides(item.crop or (0, 0, result.width, result.height)),
                **({"label": item.label} if item.label else {}),
            }


def _sides(box: tuple[int, int, int, int]) -> list[int]:
    x0, y0, x1, y1 = box
    return [x0, y0, x1 - x0, y1 - y0]


def _scores(item: ObjectResult) -> dict[str, float]:
    scores = {"predicted_iou": number(item.score), "stability_score": number(item.stability)}
    return {name: score for name, score in scores.items() if score is not None}
