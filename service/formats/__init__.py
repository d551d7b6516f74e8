"""Ways to write a result: one writer a file, one table here.

A writer is a function from a `Result`, and the options it takes, to the bytes of a file. To add a format, write one
and add a row. `write` gives the bytes of one file, `write_files` all files of a picture with their names.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ...models.errors import OutputError
from .amg import amg_files, write_amg
from .coco import write_coco
from .cutout import write_cutout
from .geojson import write_geojson
from .json_file import write_json
from .labelmap import labelmap_losses, write_labelmap
from .labelme import write_labelme
from .loss import Loss
from .measurements import write_csv
from .names import file_name
from .overlay import write_overlay_jpeg, write_overlay_png
from .png import write_png
from .result import Result
from .sa1b import write_sa1b
from .yolo import write_yolo, yolo_losses

Writer = Callable[..., bytes]


@dataclass(frozen=True)
class Options:
    """How results are drawn. A format takes some of these and refuses to be given others.

    `pad`, `feather`, `soft`: of cut-outs, see `cutouts.cutout`. `polygons`: outlines (True) or the pixels themselves
    (False) in formats that can say both; None is the usual way of each. `tolerance`: how far, in pixels, such
    outlines may be made simpler. `classes`: the names that yolo's numbers stand for, in their order; without them
    they are the picture's own labels, sorted.
    """

    pad: int = 0
    feather: float = 0.0
    polygons: bool | None = None
    tolerance: float = 0.0
    classes: tuple[str, ...] = ()
    soft: bool = False

    def of(self, name: str) -> dict[str, Any]:
        """Those that the format called `name` takes, as JSON has them: whoever writes them down reads the same back."""
        found = {option: getattr(self, option) for option in FORMATS[name].takes}
        return {option: list(value) if isinstance(value, tuple) else value for option, value in found.items()}


DEFAULTS = Options()


@dataclass(frozen=True)
class Format:
    """A format's writers by extension, the usual one first.

    `word`: stands in its files' names after the picture's. `per_object`: it writes one file an object.
    `needs_photo`: it shows the photo. `takes`: its options. `losses`: counts what the format cannot
    keep. `folder`: the names and bytes of a format that is a folder of files, one an object and one more; its writers
    zip them.
    """

    writers: Mapping[str, Writer]
    word: str
    per_object: bool = False
    needs_photo: bool = False
    takes: tuple[str, ...] = ()
    folder: Callable[[Result], Iterator[tuple[str, bytes]]] | None = None
    losses: Callable[..., list[Loss]] | None = None

    @property
    def extension(self) -> str:
        """The usual extension."""
        return next(iter(self.writers))


_OVERLAY = {".jpg": write_overlay_jpeg, ".jpeg": write_overlay_jpeg, ".png": write_overlay_png}
_OUTLINES = ("polygons", "tolerance")
_GEOJSON = {".geojson": write_geojson, ".json": write_geojson}

FORMATS: Mapping[str, Format] = {
    "png": Format({".png": write_png}, "mask", per_object=True),
    "cutout": Format(
        {".png": write_cutout}, "cutout", per_object=True, needs_photo=True, takes=("pad", "feather", "soft")
    ),
    "overlay": Format(_OVERLAY, "overlay", needs_photo=True),
    "json": Format({".json": write_json}, "objects"),
    "coco": Format({".json": write_coco}, "coco", takes=_OUTLINES),
    "labelme": Format({".json": write_labelme}, "", takes=_OUTLINES),  # labelme looks for photo.json beside photo.jpg
    "sa1b": Format({".json": write_sa1b}, "sa1b"),
    "amg": Format({".zip": write_amg}, "amg", folder=amg_files),
    "yolo": Format({".txt": write_yolo}, "", takes=("tolerance", "classes"), losses=yolo_losses),  # likewise photo.txt
    "labelmap": Format({".png": write_labelmap}, "labels", losses=labelmap_losses),
    "geojson": Format(_GEOJSON, "", takes=("tolerance",)),
    "csv": Format({".csv": write_csv}, "measurements"),
}

# What an extension means when no format is named.
_BY_EXTENSION = {".png": "png", ".jpg": "overlay", ".jpeg": "overlay", ".json": "json"}
_BY_EXTENSION |= {".geojson": "geojson", ".csv": "csv", ".txt": "yolo"}


def format_for(path: str | os.PathLike[str], explicit: str | None = None) -> str:
    """The name of the format that `path` asks for by its extension, or `explicit` where given.

    Raises OutputError, listing what there is, for an unknown name or extension, or two that do not fit.
    """
    extension = Path(path).suffix.lower()
    if explicit is None:
        if extension not in _BY_EXTENSION:
            raise OutputError(f"{path}: unknown extension {extension!r}: expected one of {', '.join(_BY_EXTENSION)}")
        return _BY_EXTENSION[extension]
    if explicit not in FORMATS:
        raise OutputError(f"unknown format {explicit!r}: expected one of {', '.join(FORMATS)}")
    if extension not in FORMATS[explicit].writers:
        expected = " or ".join(FORMATS[explicit].writers)
        raise OutputError(f"{path}: format {explicit} is written to {expected}, not to {extension!r}")
    return explicit


def check_options(name: str, options: Options) -> None:
    """Raise OutputError when an option was set that the format called `name` does not take."""
    for option, value in asdict(options).items():
        if value != getattr(DEFAULTS, option) and option not in FORMATS[name].takes:
            takers = ", ".join(other for other, row in FORMATS.items() if option in row.takes)
            raise OutputError(f"format {name} has no {option}: that is for {takers}")


def write(
    result: Result, path: str | os.PathLike[str], explicit: str | None = None, options: Options = DEFAULTS
) -> bytes:
    """The bytes of the one file that `path` asks for (see `format_for`); nothing is written to disk.

    Formats of one file an object show all objects together here.
    Raises OutputError as `format_for` and `check_options` do, and when the format shows a photo that the result lacks.
    """
    name = format_for(path, explicit)
    check_options(name, options)
    return FORMATS[name].writers[Path(path).suffix.lower()](result, **options.of(name))


@dataclass(frozen=True, eq=False)
class File:
    """A file to be written: its name, with no folder but one of the picture's own ("a/0.png"); and its bytes."""

    name: str
    data: bytes


def count_files(result: Result, formats: Iterable[str]) -> int:
    """How many files `write_files` gives."""
    return sum(_count(FORMATS[name], len(result.objects)) for name in dict.fromkeys(formats))


def _count(row: Format, objects: int) -> int:
    if row.folder is not None:
        return objects + 1
    return objects if row.per_object else 1


def count_losses(result: Result, name: str, options: Options = DEFAULTS) -> list[Loss]:
    """What the format called `name` cannot keep of these objects."""
    losses = FORMATS[name].losses
    return [] if losses is None else losses(result, **options.of(name))


def write_files(result: Result, formats: Iterable[str], options: Options = DEFAULTS) -> Iterator[File]:
    """All files of a picture in these formats, one by one, each made when it is asked for.

    The same objects give the same names and bytes. Objects are numbered from 1 in their order, where there are several.
    `options` reach the formats that take them. Raises OutputError, naming the format (and object), when one cannot
    be written.
    """
    for name in dict.fromkeys(formats):
        row = FORMATS[name]
        if row.folder is not None:
            folder = file_name(result.name, "", "")
            yield from (File(f"{folder}/{file}", data) for file, data in row.folder(result))
            continue
        for number, part in _parts(result) if row.per_object else [("", result)]:
            try:
                data = row.writers[row.extension](part, **options.of(name))
            except OutputError as error:
                raise OutputError(f"{name}{number and f' of object {number}'}: {error}") from None
            yield File(file_name(result.name, row.word, row.extension, number), data)


def _parts(result: Result) -> Iterator[tuple[str, Result]]:
    """Each object by itself, with its number; without one where it is the only one."""
    count = len(result.objects)
    for place, item in enumerate(result.objects, start=1):
        number = str(place).zfill(len(str(count))) if count > 1 else ""
        yield number, replace(result, objects=[item])
