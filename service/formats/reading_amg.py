"""The folder of segment_anything's `amg.py` read back, zipped or as it lies: masks as PNGs, and metadata.csv.

Nothing is unpacked to the disk: files are taken out of the zip by their names, and no more of each than a mask may be.
"""

from __future__ import annotations

import csv
import io
import lzma
import math
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from ...models.errors import PromptError
from .. import rle
from ..images import MAX_PIXELS
from .fields import naming_file
from .reading_png import decode_grey
from .result import ObjectResult, Result

METADATA = "metadata.csv"
SIGNATURE = b"PK\x03\x04"
_MOST_OBJECTS = 65_535
_MOST_BYTES = 1 << 24  # of metadata.csv: over a hundred thousand rows
_SLACK = 1 << 16  # bytes of a PNG beside its pixels

# What `zipfile` raises for damaged, encrypted and unheard-of archives.
_BROKEN = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, RuntimeError, EOFError, OSError, ValueError)

Row = Mapping[str, str]
Size = tuple[int, int]


def read_amg(
    data: bytes, *, file: str, size: Size | None = None, name: str | None = None, max_pixels: int = MAX_PIXELS
) -> Result:
    """The objects of a zip with one metadata.csv and the PNGs that its column `id` names, without the picture.

    `file`: what messages call the zip. `size`: the image's (width, height), needed where there is no object. `name`:
    its file name. Of a mask every pixel that is not black is the object. Raises PromptError, naming the file and the
    one in it, for what is no such zip, masks that are missing, or not all of one size, or have over `max_pixels`.
    """
    with naming_file(file):
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                folder = _folder(archive.namelist())
                objects = list(_objects(archive, folder, max_pixels))
        except PromptError:
            raise
        except _BROKEN as error:
            raise PromptError(f"expected a zip of amg.py's files, got something else: {error}") from None
        if not objects and size is None:
            raise PromptError("it holds no mask, and does not say how large its image is: give the photo too")
        height, width = objects[0].runs["size"] if objects else (size or (0, 0))[::-1]
        for item in objects:
            if item.runs["size"] != [height, width]:
                sizes = f"{item.runs['size'][1]} x {item.runs['size'][0]}, others {width} x {height}"
                raise PromptError(f"{item.index}.png: {sizes}: expected masks of one image")
        return Result(width, height, objects, name=name)


def zip_folder(folder: Path) -> bytes:
    """The files of amg.py in a folder, as `read_amg` takes them. Raises PromptError when there is no metadata.csv."""
    out = io.BytesIO()
    try:
        with zipfile.ZipFile(out, "w") as archive:
            for path in (folder / METADATA, *sorted(folder.glob("[0-9]*.png"))):
                archive.writestr(zipfile.ZipInfo(path.name), path.read_bytes())
    except OSError as error:
        raise PromptError(f"{folder} cannot be read as amg.py's folder: {error.filename}: {error.strerror}") from None
    return out.getvalue()


def _folder(names: list[str]) -> str:
    """What stands before the names of the files: "" or "photo/"."""
    for name in names:
        if name.startswith(("/", "\\")) or ".." in name.replace("\\", "/").split("/"):
            raise PromptError(f"{name!r} leads out of the zip: expected names of files in it")
    found = [name for name in names if name.rpartition("/")[2] == METADATA]
    if len(found) != 1:
        raise PromptError(f"expected one {METADATA}, got {len(found)}; of several folders zip one")
    return found[0].removesuffix(METADATA)


def _objects(archive: zipfile.ZipFile, folder: str, max_pixels: int) -> Iterator[ObjectResult]:
    seen: set[int] = set()
    for at, row in enumerate(_rows(archive, folder), start=2):
        field = f"{METADATA}, line {at}"
        number = _whole(row, "id", field)
        if number in seen:
            raise PromptError(f"{field}: id: there is a mask {number} already")
        if len(seen) >= _MOST_OBJECTS:
            raise PromptError(f"{field}: expected at most {_MOST_OBJECTS} objects")
        seen.add(number)
        yield _object(row, field, _mask(archive, f"{folder}{number}.png", max_pixels), number)


def _rows(archive: zipfile.ZipFile, folder: str) -> Iterator[Row]:
    try:
        text = _taken(archive, folder + METADATA, _MOST_BYTES).decode("utf-8-sig")
        reader = csv.DictReader(io.StringIO(text, newline=""), restval="")
        if "id" not in (reader.fieldnames or ()):
            raise PromptError(f"{METADATA}: expected a head line with the column id")
        yield from reader
    except (UnicodeDecodeError, csv.Error) as error:
        raise PromptError(f"{METADATA}: not CSV: {error}") from None


def _taken(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """A file out of the zip, of which no more is unpacked than `most` bytes, whatever the zip says of its size."""
    try:
        with archive.open(name) as file:
            data = file.read(most + 1)
    except KeyError:
        raise PromptError(f"{name}: it is not there, but {METADATA} names it") from None
    if len(data) > most:
        raise PromptError(f"{name}: it has more than {most:,} bytes")
    return data


def _mask(archive: zipfile.ZipFile, name: str, max_pixels: int) -> rle.Rle:
    data = _taken(archive, name, max_pixels + _SLACK)
    try:
        return rle.encode(decode_grey(data, max_pixels, "mask") > 0)
    except PromptError as error:
        raise PromptError(f"{name}: {error}") from None


def _object(row: Row, field: str, runs: rle.Rle, number: int) -> ObjectResult:
    score, stability, x, y = (
        _real(row, column, field) for column in ("predicted_iou", "stability_score", "point_input_x", "point_input_y")
    )
    asked = None
    if x is not None and y is not None:
        asked = {"points": [[x, y]], "labels": [1], "box": None, "previous": False}
    return ObjectResult(runs, score, stability, number, None, asked, _crop(row, field, runs))


def _crop(row: Row, field: str, runs: rle.Rle) -> tuple[int, int, int, int] | None:
    """The part of the image that was looked at; None for all of it, or where nobody says."""
    columns = "crop_box_x0", "crop_box_y0", "crop_box_w", "crop_box_h"
    if not all(row.get(column) for column in columns):
        return None
    left, top, width, height = (_whole(row, column, field) for column in columns)
    return None if [left, top, height, width] == [0, 0, *runs["size"]] else (left, top, left + width, top + height)


def _whole(row: Row, column: str, field: str) -> int:
    text = (row.get(column) or "").strip()
    if not (text.isascii() and text.isdecimal() and len(text) <= 9):
        raise PromptError(f"{field}: {column}: expected a whole number, got {text[:40]!r}")
    return int(text)


def _real(row: Row, column: str, field: str) -> float | None:
    text = (row.get(column) or "").strip()
    try:
        value = float(text) if text else None
    except ValueError:
        value = math.nan
    if value is not None and not math.isfinite(value):
        raise PromptError(f"{field}: {column}: expected a number, got {text[:40]!r}")
    return value
