"""Files of results read back: one reader a file, one table here, as `FORMATS` is of writers."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...models.errors import PromptError
from ..images import MAX_PIXELS
from .fields import naming_file
from .json_file import read_json
from .reading_amg import SIGNATURE as ZIP
from .reading_amg import read_amg
from .reading_coco import read_coco
from .reading_geojson import read_geojson
from .reading_labelmap import read_labelmap
from .reading_labelme import read_labelme
from .reading_png import read_png
from .reading_sa1b import read_sa1b
from .reading_yolo import read_yolo
from .result import Result


@dataclass(frozen=True)
class Known:
    """What is known beside a file's bytes.

    `file`: what messages call the file. `size`: (width, height) of its image. `image`: the image's file name; of
    documents that hold many it is the one that is wanted. `classes`: the names that yolo's numbers stand for.
    """

    file: str
    size: tuple[int, int] | None = None
    image: str | None = None
    classes: Sequence[str] = ()
    max_pixels: int = MAX_PIXELS


def _json(data: bytes, known: Known) -> Result:
    with naming_file(known.file):
        return read_json(data, max_pixels=known.max_pixels)


def _coco(data: bytes, known: Known) -> Result:
    return read_coco(data, file=known.file, image=known.image, max_pixels=known.max_pixels)


def _labelme(data: bytes, known: Known) -> Result:
    return read_labelme(data, file=known.file, size=known.size, max_pixels=known.max_pixels)


def _sa1b(data: bytes, known: Known) -> Result:
    return read_sa1b(data, file=known.file, max_pixels=known.max_pixels)


def _yolo(data: bytes, known: Known) -> Result:
    if known.size is None:
        raise PromptError(f"{known.file}: yolo's lines do not say how large their image is: give the photo too")
    options = {"classes": known.classes, "name": known.image, "max_pixels": known.max_pixels}
    return read_yolo(data, file=known.file, size=known.size, **options)


def _labelmap(data: bytes, known: Known) -> Result:
    return read_labelmap(data, file=known.file, name=known.image, max_pixels=known.max_pixels)


def _geojson(data: bytes, known: Known) -> Result:
    return read_geojson(data, file=known.file, size=known.size, max_pixels=known.max_pixels)


def _amg(data: bytes, known: Known) -> Result:
    return read_amg(data, file=known.file, size=known.size, name=known.image, max_pixels=known.max_pixels)


def _png(data: bytes, known: Known) -> Result:
    return read_png(data, file=known.file, name=known.image, max_pixels=known.max_pixels)


READERS: Mapping[str, Callable[[bytes, Known], Result]] = {
    "json": _json,
    "coco": _coco,
    "labelme": _labelme,
    "sa1b": _sa1b,
    "yolo": _yolo,
    "labelmap": _labelmap,
    "geojson": _geojson,
    "amg": _amg,
    "png": _png,
}
_NO_MASKS = {
    "csv": "measurements without masks",
    "cutout": "a part of the photo, without its place in it",
    "overlay": "a picture to look at",
}

# A black and white mask is a label map too, of one object.
_BY_EXTENSION = {".txt": "yolo", ".png": "labelmap", ".geojson": "geojson", ".zip": "amg", ".csv": "csv"}
# The fields by which documents are told apart, the first that fits.
_BY_FIELD = {"images": "coco", "shapes": "labelme", "image": "sa1b", "features": "geojson"}


def read_result(data: bytes, known: Known, format: str | None = None) -> Result:
    """The objects that `data`, a file in `format`, says of one image, without the picture.

    Without `format` it is told by the file's extension, and of .json by what is in it. Raises PromptError, naming the
    file, for an unknown format, and when `data` is not in it.
    """
    name = recognise(known.file, data) if format is None else format
    if name not in READERS:
        why = f", as it is {_NO_MASKS[name]}" if name in _NO_MASKS else ""
        raise PromptError(f"{known.file}: {name!r} is not read{why}: expected one of {', '.join(READERS)}")
    result = READERS[name](data, known)
    if known.size is not None and known.size != (result.width, result.height):
        (width, height), found = known.size, f"{result.width} x {result.height}"
        raise PromptError(f"{known.file}: it is about an image of {found} pixels, but the photo has {width} x {height}")
    return result


def recognise(path: str | os.PathLike[str], data: bytes) -> str:
    """The name of the format of a file. Raises PromptError when none is known."""
    if data.startswith(ZIP):  # also a folder's, whatever it is called
        return "amg"
    extension = Path(path).suffix.lower()
    if extension in _BY_EXTENSION:
        return _BY_EXTENSION[extension]
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        document = None
    if isinstance(document, dict):
        if "schema" in document:
            return "json"
        for field, name in _BY_FIELD.items():
            if field in document:
                return name
    raise PromptError(f"{path}: in none of the formats that are read: {', '.join(READERS)}; say which it is")
