"""Photos on the disk: a folder with all in it, a pattern, a list, one file."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterator
from contextlib import suppress

from ....models.errors import ImageError
from .cloud import is_url, listed_urls
from .found import STATE, Scan, Trouble, key_of, why
from .source import Folder

_KINDS = {stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}


def walk(folder: str, out: str, found: Scan) -> None:
    """All files of a folder and the folders in it; links to folders are not followed, `out` is passed over."""
    place = found.sources.place(Folder.at(folder))
    waiting = [(folder, b"")]
    while waiting:
        folder, below = waiting.pop()
        try:
            for entry in _entries(folder):
                key = below + os.fsencode(entry.name)
                if _is_plain(entry):
                    found.sources.add(key, place)
                elif _is_folder(entry):
                    if _may_enter(entry, key, out, found):
                        waiting.append((entry.path, key + b"\0"))
                else:
                    _add(entry.path, key, place, found)
        except OSError as error:
            name = _name(below[:-1]) or "."
            found.failed.append(Trouble(name, type(error).__name__, f"the folder cannot be read: {why(error)}"))


def one_file(path: str, found: Scan) -> None:
    """A file that the user named."""
    folder, name = os.path.split(path)
    _add(path, key_of(name), found.sources.place(Folder.at(folder, named=True)), found, named=True)


def match(pattern: str, out: str, found: Scan) -> None:
    """The files that a pattern matches. Raises ImageError when there are none."""
    root = _fixed_part(pattern)
    matches_any = False
    place = found.sources.place(Folder.at("" if root in (None, ".") else root))
    for path in () if root is None else glob.iglob(pattern, recursive=True):
        matches_any = True
        inside = os.path.realpath(path)
        if inside == out or inside.startswith(out + os.sep) or os.path.isdir(path):
            continue
        _add(path, key_of(os.path.relpath(path, root).replace(os.sep, "/")), place, found)
    if not matches_any:
        raise ImageError(f"{pattern!r}: there is no such folder or file, and nothing matches; check the path")


def listed(path: str, found: Scan) -> None:
    """The files of a list: one path a line, relative to the list's folder, or one URL a line. Raises ImageError."""
    if any(is_url(line) for line in lines_of(path)):
        return listed_urls(list(lines_of(path)), path, found)
    folder = os.path.abspath(os.path.dirname(path))
    root: str | None = None
    for line in lines_of(path):
        own = os.path.dirname(os.path.normpath(os.path.join(folder, line)))
        try:
            root = own if root is None else root if own == root else os.path.commonpath([root, own])
        except ValueError:  # on several drives of Windows
            raise ImageError(f"{path}: the photos of a list must lie on one drive") from None
    place = found.sources.place(Folder.at((root or folder).replace(os.sep, "/"), named=True))
    for line in lines_of(path):
        full = os.path.normpath(os.path.join(folder, line))
        _add(full, key_of(os.path.relpath(full, root).replace(os.sep, "/")), place, found, named=True)
    found.failed[:] = dict.fromkeys(found.failed)


def lines_of(path: str) -> Iterator[str]:
    """A list's lines; empty ones and those that begin with # say nothing. Raises ImageError."""
    try:
        with open(path, "rb") as file:
            for number, line in enumerate(file):
                text = line.decode("utf-8", "surrogateescape").rstrip("\r\n")
                text = text.removeprefix("\ufeff") if number == 0 else text
                if text.strip() and not text.startswith("#"):
                    yield text
    except OSError as error:
        raise ImageError(f"@{path}: the list cannot be read: {why(error)}") from None


def _entries(folder: str) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        yield from entries


def _is_plain(entry: os.DirEntry[str]) -> bool:
    with suppress(OSError):
        return entry.is_file(follow_symlinks=False)
    return False


def _is_folder(entry: os.DirEntry[str]) -> bool:
    with suppress(OSError):  # a link to itself
        return entry.is_dir()
    return False


def _may_enter(entry: os.DirEntry[str], key: bytes, out: str, found: Scan) -> bool:
    if entry.is_symlink():
        found.skipped.append(Trouble(_name(key), "Link", "a link to a folder: links to folders are not followed"))
    elif os.path.realpath(entry.path) == out or os.path.isdir(os.path.join(entry.path, STATE)):
        found.skipped.append(Trouble(_name(key), "Output", "an output folder of clickmask batch"))
    else:
        return entry.name != STATE
    return False


def _add(path: str, key: bytes, place: bytes, found: Scan, *, named: bool = False) -> None:
    """Only ordinary files are ever opened: a pipe would make us wait for ever."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError) as error:
        found.failed.append(Trouble(_name(key), type(error).__name__, f"cannot be read: {why(error)}"))
        return
    if stat.S_ISREG(mode):
        found.sources.add(key, place)
    else:
        kind = _KINDS.get(stat.S_IFMT(mode), "a folder")
        (found.failed if named else found.skipped).append(Trouble(_name(key), "NotAFile", f"{kind}, expected a file"))


def _fixed_part(pattern: str) -> str | None:
    """The folder before the first wildcard; None where there is no wildcard at all."""
    parts = pattern.split("/")
    for at, part in enumerate(parts):
        if glob.has_magic(part):
            return "/".join(parts[:at]) or ("/" if pattern.startswith("/") else ".")
    return None


def _name(key: bytes) -> str:
    return os.fsdecode(key.replace(b"\0", b"/"))
