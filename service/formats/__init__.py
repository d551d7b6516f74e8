"""Ways to write a result: one writer a file, one table here.

A writer is a function from a `Result` to the bytes of a file. To add a format, write one and add a row.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ...models.errors import OutputError
from .cutout import write_cutout
from .json_file import write_json
from .overlay import write_overlay_jpeg, write_overlay_png
from .png import write_png
from .result import Result

Writer = Callable[[Result], bytes]


@dataclass(frozen=True)
class Format:
    """A format's writers by extension, the usual one first, and whether they show the photo."""

    writers: Mapping[str, Writer]
    needs_photo: bool = False


FORMATS: Mapping[str, Format] = {
    "png": Format({".png": write_png}),
    "cutout": Format({".png": write_cutout}, needs_photo=True),
    "overlay": Format(
        {".jpg": write_overlay_jpeg, ".jpeg": write_overlay_jpeg, ".png": write_overlay_png}, needs_photo=True
    ),
    "json": Format({".json": write_json}),
}

# What an extension means when no format is named.
_BY_EXTENSION = {".png": "png", ".jpg": "overlay", ".jpeg": "overlay", ".json": "json"}


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


def write(result: Result, path: str | os.PathLike[str], explicit: str | None = None) -> bytes:
    """The bytes of the file that `path` asks for (see `format_for`); nothing is written to disk.

    Raises OutputError as `format_for` does, and when the format shows a photo that the result lacks.
    """
    writers = FORMATS[format_for(path, explicit)].writers
    return writers[Path(path).suffix.lower()](result)
