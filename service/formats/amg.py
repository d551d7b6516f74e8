"""The folder that segment_anything's `scripts/amg.py` writes for a picture: 0.png, 1.png, ... and metadata.csv.

Header, rows and pixels are the script's, to the byte: boxes end with the last pixel of the object, so that their width
and height are one less than elsewhere, and the last line has no line feed. What the script always has, and we may
not (a point, a score), is an empty cell. There is no place for labels and provenance.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator

from .. import rle
from .encoding import encode_png
from .fields import number
from .result import ObjectResult, Result

HEADER = (
    "id,area,bbox_x0,bbox_y0,bbox_w,bbox_h,point_input_x,point_input_y,predicted_iou,stability_score,"
    "crop_box_x0,crop_box_y0,crop_box_w,crop_box_h"
)


def amg_files(result: Result) -> Iterator[tuple[str, bytes]]:
    """Names within the folder, and what the files hold, one by one; objects count from 0 in their order."""
    for place, item in enumerate(result.objects):
        yield f"{place}.png", encode_png(item.mask.astype("uint8") * 255)
    yield "metadata.csv", _metadata(result).encode()


def write_amg(result: Result) -> bytes:
    """The folder as a zip; the same objects give the same bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in amg_files(result):
            archive.writestr(zipfile.ZipInfo(name), data)
    return out.getvalue()


def _metadata(result: Result) -> str:
    whole = (0, 0, result.width, result.height)
    return "\n".join([HEADER, *(_row(place, item, whole) for place, item in enumerate(result.objects))])


def _row(place: int, item: ObjectResult, whole: tuple[int, int, int, int]) -> str:
    runs = item.runs
    x0, y0, x1, y1 = rle.box(runs) or (0, 0, 1, 1)
    left, top, right, bottom = item.crop or whole
    cells = [
        *(place, rle.area(runs)),
        *(x0, y0, x1 - 1 - x0, y1 - 1 - y0),
        *(item.point or (None, None)),
        *(number(item.score), number(item.stability)),
        *(left, top, right - left, bottom - top),
    ]
    return ",".join("" if cell is None else str(cell) for cell in cells)
