"""Measurements as CSV, one row an object.

Areas are pixels, boxes end exclusively, centroids are the mean of the pixels' middles (the only pixel of an image has
its centroid at 0.5, 0.5), the perimeter is the length of all outlines along the edges of pixels, holes and the image's
own border included. What is unknown, or an empty mask does not have, is an empty cell.

Texts that begin with = + - @ (of any width), a tab or a line's end would be formulas to spreadsheets: they get an
apostrophe before them, as spreadsheets themselves mark a text. There is no place for provenance.
"""

from __future__ import annotations

import csv
import io

import cv2
import numpy as np

from .. import rle
from .fields import number
from .result import ObjectResult, Result

COLUMNS = (
    *("image", "index", "label", "score", "stability", "area"),
    *("box_x0", "box_y0", "box_x1", "box_y1", "centroid_x", "centroid_y", "perimeter", "touches_border"),
)
_BEGIN_FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_DECIMALS = 3


def write_csv(result: Result) -> bytes:
    """UTF-8, a header and one row an object, quoted where there is need."""
    out = io.StringIO(newline="")
    table = csv.writer(out, lineterminator="\r\n")
    table.writerow(COLUMNS)
    for item in result.objects:
        table.writerow([plain(result.name or ""), item.index, plain(item.label or ""), *_measured(item, result)])
    return out.getvalue().encode(errors="replace")


def plain(text: str) -> str:
    """The text as a cell that no spreadsheet takes for a formula."""
    return f"'{text}" if text.lstrip(" ").startswith(_BEGIN_FORMULAS) else text


def _measured(item: ObjectResult, result: Result) -> list[object]:
    runs = item.runs
    box = rle.box(runs)
    scores: list[object] = [number(item.score), number(item.stability), rle.area(runs)]
    if box is None:
        return [*scores, *[None] * 6, 0, "false"]
    x0, y0, x1, y1 = box
    part = np.ascontiguousarray(item.mask[y0:y1, x0:x1]).view(np.uint8)
    touches = x0 == 0 or y0 == 0 or x1 == result.width or y1 == result.height
    x, y = _centroid(part)
    middle = [round(x0 + x, _DECIMALS), round(y0 + y, _DECIMALS)]
    return [*scores, *box, *middle, _perimeter(part), "true" if touches else "false"]


def _centroid(part: np.ndarray) -> tuple[float, float]:
    columns, rows = part.sum(axis=0, dtype=np.int64), part.sum(axis=1, dtype=np.int64)
    count = int(columns.sum())
    return tuple(float((line * (np.arange(len(line)) + 0.5)).sum()) / count for line in (columns, rows))  # pyright: ignore


def _perimeter(part: np.ndarray) -> int:
    """Edges between a pixel of the object and one that is none. `part`: (h, w) uint8, 0 and 1."""
    padded = cv2.copyMakeBorder(part, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    across = np.count_nonzero(padded[:, 1:] != padded[:, :-1])
    return int(across + np.count_nonzero(padded[1:] != padded[:-1]))
