"""Where results go: where the user said, never over an input, and over nothing else by surprise."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ...models.errors import OutputError
from ..files import guard_output
from ..formats import FORMATS, Options, check_options, format_for
from ..formats.names import file_name
from .shell import STREAM


@dataclass(frozen=True)
class Outputs:
    """One path for each mask, or none at all for standard output; and how they are written."""

    paths: tuple[Path, ...]
    format: str
    options: Options

    @property
    def extension(self) -> str:
        """What the format's files are called, ".png" for example."""
        return self.paths[0].suffix if self.paths else _usual_extension(self.format)


def plan_outputs(
    photo: str,
    output: str | None,
    format: str | None,
    options: Options,
    *,
    count: int | None = None,
    force: bool = False,
    inputs: Iterable[str] = (),
) -> Outputs:
    """Decide on names before any work is done.

    `output` is a path, "-" or None. `count` masks get numbers in their names; None is a single mask without.
    A file that the user named is written over; a name chosen here is not, unless `force`.
    Raises OutputError for a name that cannot be used, an unknown format, or options it does not have.
    """
    if output is None and photo == STREAM:
        output = STREAM
    if output == STREAM:
        return _to_stream(format or "png", options, count)
    path = Path(_default_name(photo, format or "png") if output is None else output)
    if os.path.isdir(path):
        raise OutputError(f"-o {path} is a folder: name a file in it")
    name = format_for(path, format)
    check_options(name, options)
    paths = (path,) if count is None else tuple(numbered(path, number) for number in range(1, count + 1))
    sources = list(inputs)
    for chosen in paths:
        guard_output(chosen, sources)
        check_folder(chosen)
        if os.path.exists(chosen) and not force and (output is None or chosen != path):
            raise OutputError(f"{chosen} exists already: choose another name with -o, or write over it with --force")
    return Outputs(paths, name, options)


def numbered(path: Path, number: int) -> Path:
    """out.png -> out_1.png."""
    return path.with_name(f"{path.stem}_{number}{path.suffix}")


def check_folder(path: Path) -> None:
    """Find out now, and not after the work, that there is no writing beside `path` (missing folders are made)."""
    if os.path.exists(path) and not os.path.isfile(path):  # a device or a pipe, written to as it is
        return
    folder = next(parent for parent in Path(os.path.realpath(path)).parents if os.path.exists(parent))
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        reason = "may not be written to" if folder.is_dir() else "is not a folder"
        raise OutputError(f"{path} cannot be written: {folder} {reason}; choose another output path")


def _to_stream(format: str, options: Options, count: int | None) -> Outputs:
    if count is not None:
        raise OutputError("-o - takes one mask: with --candidates give -o a file's name")
    outputs = Outputs((), format_for(f"-{_usual_extension(format)}", format), options)
    check_options(outputs.format, options)
    if outputs.extension != ".json" and sys.stdout is not None and sys.stdout.isatty():
        raise OutputError(f"-o -: {outputs.format} is not for a terminal: send it to a file or a program")
    return outputs


def _default_name(photo: str, format: str) -> str:
    """photo.jpg -> photo_mask.png, in the current folder."""
    word = FORMATS[format].word if format in FORMATS else "mask"
    return file_name(Path(photo).name, word, _usual_extension(format))


def _usual_extension(format: str) -> str:
    return FORMATS[format].extension if format in FORMATS else ""
