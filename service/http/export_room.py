"""How much memory an export may take, told before anything is drawn."""

from __future__ import annotations

from collections.abc import Sequence

from ..formats import Options
from ..formats.result import ObjectResult, Result
from ..rle import box

# Bytes for each pixel of the image: a mask or two, and what they are made from; and the photo marked anew, or numbers.
_WORK, _WHOLE = 8, 16
_OF_ALL_PIXELS = {"overlay", "labelmap", "geojson"}
# Bytes for each run of the longest mask: while it is decoded, and while its outline is found (a chessboard's is worst).
_RUN_WORK, _OUTLINE_WORK = 64, 3000
# Bytes for each run in a file: as it is, and as an outline.
_RUN, _OUTLINE = 4, 200
# Pixels for each byte of a PNG, where a mask is noise and where it is plain.
_NOISE, _PLAIN = 4, 128


def room_for(result: Result, formats: Sequence[str], options: Options) -> int:
    """Bytes, at most, beside the run lengths: what is worked on, and the files twice, as a zip of them needs."""
    lengths = [len(item.runs["counts"]) for item in result.objects]  # a run is a character or more
    area = result.width * result.height
    room = _WORK * area + _RUN_WORK * max(lengths) + (_WHOLE * area if _OF_ALL_PIXELS & set(formats) else 0)
    for name in set(formats):
        outlines = _has_outlines(name, options)
        room += _OUTLINE_WORK * max(lengths) if outlines else 0
        room += 2 * sum(lengths) * (_OUTLINE if outlines else _RUN)
        room += 2 * sum(_pictured(name, item, result, options) for item in result.objects)
    return room


def _has_outlines(name: str, options: Options) -> bool:
    return name in ("labelme", "yolo", "geojson") or (name == "coco" and bool(options.polygons))


def _pictured(name: str, item: ObjectResult, result: Result, options: Options) -> int:
    """Bytes of one object's share of the pictures in a format."""
    if name in ("png", "amg"):
        return _area(item, result, 0) // _NOISE + result.width * result.height // _PLAIN
    return 4 * _area(item, result, options.pad) if name == "cutout" else 0


def _area(item: ObjectResult, result: Result, pad: int) -> int:
    """Pixels of the object's box, grown by `pad`."""
    found = box(item.runs)
    if found is None:
        return 0
    x0, y0, x1, y1 = found
    return min(x1 - x0 + 2 * pad, result.width) * min(y1 - y0 + 2 * pad, result.height)
