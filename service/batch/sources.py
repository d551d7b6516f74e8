"""What there is to segment: from a folder, a glob or a list to photos in a stable order."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ...models.errors import ImageError

STATE = ".clickmask-batch"  # the folder in an output folder that holds journal, lock, status and parts

_KINDS = {stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}


@dataclass(frozen=True, slots=True)
class Source:
    """A file that may be a photo.

    name: relative, with "/" between folders; bytes that are no UTF-8 stand in it as Python's surrogates do. path: where
    it is. named: the user named it (in a list), so that it must be a photo.
    """

    name: str
    path: str
    named: bool = False


@dataclass(frozen=True, slots=True)
class Trouble:
    """What cannot be looked at: its relative name, the kind of error, and the reason in words."""

    name: str
    kind: str
    reason: str


@dataclass
class Scan:
    """Files in their order; folders and files that could not be read; and what was passed over, with the reason."""

    sources: list[Source] = field(default_factory=list)
    failed: list[Trouble] = field(default_factory=list)
    skipped: list[Trouble] = field(default_factory=list)


def scan(photos: str, out: str | os.PathLike[str]) -> Scan:
    """The files of a folder and all folders in it, of a glob ("photos/**/*.jpg"), of a list ("@list.txt"), or one file.

    Order: by name, byte by byte, folder by folder. Links to folders are not followed; `out` and whatever else holds
    results of `clickmask batch` is passed over. Raises ImageError when there is nothing by that name.
    """
    found = Scan()
    if photos.startswith("@"):
        _read_list(photos[1:], found)
    elif os.path.isdir(photos):
        _walk(photos, "", os.path.realpath(out), found)
    elif os.path.lexists(photos):
        _add(photos, os.path.basename(photos), found, named=True)
    else:
        _match(photos, os.path.realpath(out), found)
    found.sources.sort(key=lambda source: order(source.name))
    return found


def order(name: str) -> list[bytes]:
    """The key by which names are sorted: bytes, folder by folder."""
    return [os.fsencode(part) for part in name.split("/")]


def _walk(folder: str, below: str, out: str, found: Scan) -> None:
    waiting = [(folder, below)]
    while waiting:
        folder, below = waiting.pop()
        try:
            with os.scandir(folder) as entries:
                listed = sorted(entries, key=lambda entry: os.fsencode(entry.name))
        except OSError as error:
            found.failed.append(
                Trouble(below or ".", type(error).__name__, f"the folder cannot be read: {_why(error)}")
            )
            continue
        for entry in listed:
            name = f"{below}/{entry.name}" if below else entry.name
            if not _is_folder(entry):
                _add(entry.path, name, found)
            elif entry.is_symlink():
                found.skipped.append(Trouble(name, "Link", "a link to a folder: links to folders are not followed"))
            elif os.path.realpath(entry.path) == out or os.path.isdir(os.path.join(entry.path, STATE)):
                found.skipped.append(Trouble(name, "Output", "an output folder of clickmask batch"))
            elif entry.name != STATE:
                waiting.append((entry.path, name))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _add(path: str, name: str, found: Scan, *, named: bool = False) -> None:
    """Only ordinary files are ever opened: a pipe would make us wait for ever."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError) as error:
        found.failed.append(Trouble(name, type(error).__name__, f"cannot be read: {_why(error)}"))
        return
    if stat.S_ISREG(mode):
        found.sources.append(Source(name, path, named))
    else:
        kind = _KINDS.get(stat.S_IFMT(mode), "a folder")
        (found.failed if named else found.skipped).append(Trouble(name, "NotAFile", f"{kind}, expected a file"))


def _match(pattern: str, out: str, found: Scan) -> None:
    root = _fixed_part(pattern)
    paths = [] if root is None else sorted(glob.iglob(pattern, recursive=True), key=os.fsencode)
    if not paths:
        raise ImageError(f"{pattern!r}: there is no such folder or file, and nothing matches; check the path")
    for path in paths:
        inside = os.path.realpath(path)
        if inside == out or inside.startswith(out + os.sep) or os.path.isdir(path):
            continue
        _add(path, os.path.relpath(path, root or ".").replace(os.sep, "/"), found)


def _fixed_part(pattern: str) -> str | None:
    """The folder before the first wildcard; None where there is no wildcard at all."""
    parts = pattern.split("/")
    for at, part in enumerate(parts):
        if glob.has_magic(part):
            return "/".join(parts[:at]) or ("/" if pattern.startswith("/") else ".")
    return None


def _read_list(path: str, found: Scan) -> None:
    """One path a line, relative to the list's folder; empty lines and those that begin with # say nothing."""
    folder = os.path.abspath(os.path.dirname(path))
    lines = list(dict.fromkeys(os.path.normpath(os.path.join(folder, line)) for line in _lines(path)))
    try:
        root = os.path.commonpath([os.path.dirname(line) for line in lines]) if lines else folder
    except ValueError:  # on several drives of Windows
        raise ImageError(f"{path}: the photos of a list must lie on one drive") from None
    for line in lines:
        _add(line, os.path.relpath(line, root).replace(os.sep, "/"), found, named=True)


def _lines(path: str) -> Iterator[str]:
    try:
        text = Path(path).read_bytes().decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    except OSError as error:
        raise ImageError(f"@{path}: the list cannot be read: {_why(error)}") from None
    return (line.rstrip("\r") for line in text.split("\n") if line.strip() and not line.startswith("#"))


def _why(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
