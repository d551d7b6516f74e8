"""Ways to write a result: one writer a file, one table here.

A writer is a function from a `Result`, and the options it takes, to the bytes of a file. To add a format, write one
and add a row.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from ...models.errors import OutputError
from .cutout import write_cutout
from .json_file import write_json
from .overlay import write_overlay_jpeg, write_overlay_png
from .png import write_png
from .result import Result

Writer = Callable[..., bytes]


@dataclass(frozen=True)
class Options:
    """How results are drawn. A format takes some of these and refuses to be given others.

    `pad`, `feather`: of cut-outs, in pixels; see `cutouts.cutout`.
    """

    pad: int = 0
    feather: float = 0.0


DEFAULTS = Options()


@dataclass(frozen=True)
class Format:
    """A format's writers by extension, the usual one first; whether they show the photo; the options they take."""

    writers: Mapping[str, Writer]
    needs_photo: bool = False
    takes: tuple[str, ...] = ()


FORMATS: Mapping[str, Format] = {
    "png": Format({".png": write_png}),
    "cutout": Format({".png": write_cutout}, needs_photo=True, takes=("pad", "feather")),
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


def check_options(name: str, options: Options) -> None:
    """Raise OutputError when an option was set that the format called `name` does not take."""
    for option, value in asdict(options).items():
        if value != getattr(DEFAULTS, option) and option not in FORMATS[name].takes:
            takers = ", ".join(other for other, row in FORMATS.items() if option in row.takes)
            raise OutputError(f"format {name} has no {option}: that is for {takers}")


def write(
    result: Result, path: str | os.PathLike[str], explicit: str | None = None, options: Options = DEFAULTS
) -> bytes:
    """The bytes of the file that `path` asks for (see `format_for`); nothing is written to disk.

    Raises OutputError as `format_for` and `check_options` do, and when the format shows a photo that the result lacks.
    """
    name = format_for(path, explicit)
    check_options(name, options)
    chosen = {option: getattr(options, option) for option in FORMATS[name].takes}
    return FORMATS[name].writers[Path(path).suffix.lower()](result, **chosen)
