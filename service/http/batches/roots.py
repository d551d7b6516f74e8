"""Folders that callers may choose: those that the settings name, and what lies below, by paths of names.

A path begins with a root's name: "photos/holiday" is the folder holiday in the root called photos. Links are not
followed, and no answer says where a root lies.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ....models.errors import SettingsError
from ...batch.sources import STATE
from ...formats.names import is_file_name
from ..errors import ApiError
from ..project import EXTENSIONS

MOST_LISTED = 1000  # folders of an answer
MOST_COUNTED = 10_000  # entries of a folder that are looked at for counting its photos
_MOST_DEEP, _LONGEST = 32, 4096


@dataclass(frozen=True)
class Folder:
    """A folder as it is listed. path: to be asked for. photos: files in it that are called like photos."""

    name: str
    path: str
    photos: int
    has_results: bool


class Roots:
    """The folders of the settings, by name; two of one name are told apart. Everything here waits for the disk."""

    def __init__(self, folders: Sequence[Path]) -> None:
        """Raises SettingsError: one of them is no folder, or cannot be read."""
        self._roots: dict[str, Path] = {}
        for folder in folders:
            try:
                root = folder.expanduser().resolve(strict=True)
                os.listdir(root)
            except OSError as error:
                raise SettingsError(f"--batch-root {folder}: the folder cannot be read: {error.strerror}") from None
            self._roots[self._free_name(root.name or "root")] = root

    def __bool__(self) -> bool:
        return bool(self._roots)

    def _free_name(self, name: str) -> str:
        names = [name, *(f"{name} ({number})" for number in range(2, len(self._roots) + 2))]
        return next(free for free in names if free not in self._roots)

    def resolve(self, path: str, field: str) -> Path:
        """The folder that a path names. Raises ApiError 422 naming the field: none, or a link is on the way."""
        found = self._place(path, field)
        if not found.is_dir():
            raise _wrong(field, f"there is no folder {path!r}")
        return found

    def resolve_new(self, path: str, field: str) -> Path:
        """The same for a folder that may not be there yet, below a root. Raises ApiError 422 naming the field."""
        found = self._place(path, field)
        if "/" not in path:
            raise _wrong(field, "expected a folder below one of the server's, not one of them itself")
        if os.path.lexists(found) and not found.is_dir():
            raise _wrong(field, f"{path!r} is no folder")
        return found

    def folders(self, path: str) -> tuple[list[Folder], bool]:
        """The folders in a folder (of an empty path: the roots), by name, and whether these are all."""
        if not path:
            return [_look(name, name, root) for name, root in self._roots.items()], True
        names = sorted(_folders_in(self.resolve(path, "path")), key=str.casefold)
        parent = self.resolve(path, "path")
        listed = [_look(name, f"{path}/{name}", parent / name) for name in names[:MOST_LISTED]]
        return listed, len(names) <= MOST_LISTED

    def folder(self, path: str) -> Folder:
        """One folder. Raises ApiError 422."""
        return _look(path.rpartition("/")[2], path, self.resolve(path, "path"))

    def hide(self, text: str) -> str:
        """A message without where the roots lie."""
        for name, root in sorted(self._roots.items(), key=lambda item: -len(str(item[1]))):
            text = text.replace(str(root), name)
        return text

    def _place(self, path: str, field: str) -> Path:
        parts = path.split("/")
        if not self._roots:
            raise _wrong(field, "this server was given no folders: upload the photos, or start it with --batch-root")
        if len(path) > _LONGEST or len(parts) > _MOST_DEEP or not all(_is_plain(part) for part in parts):
            raise _wrong(field, "expected names of folders with / between, as /v1/folders tells them")
        if parts[0] not in self._roots:
            raise _wrong(field, f"there is no folder {parts[0]!r}; /v1/folders tells which there are")
        root = self._roots[parts[0]]
        place = root.joinpath(*parts[1:])
        if os.path.realpath(place) != str(place):
            raise _wrong(field, "a link stands on the way, and links are not followed")
        return place


def _is_plain(part: str) -> bool:
    """Whether it is the name of a folder, and of none of those that the batch tool keeps for itself."""
    try:
        return is_file_name(part) and part != STATE
    except UnicodeEncodeError:
        return False


def _folders_in(folder: Path) -> Iterator[str]:
    for entry in _entries(folder):
        if not entry.name.startswith(".") and _is_plain(entry.name) and entry.is_dir(follow_symlinks=False):
            yield entry.name


def _look(name: str, path: str, folder: Path) -> Folder:
    photos = 0
    for number, entry in enumerate(_entries(folder)):
        is_photo = os.path.splitext(entry.name)[1].lower() in EXTENSIONS
        photos += is_photo and entry.is_file(follow_symlinks=False)
        if number == MOST_COUNTED:
            break
    return Folder(name, path, photos, (folder / STATE).is_dir())


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            yield from found
    except OSError:  # not for us to read
        return


def _wrong(field: str, message: str) -> ApiError:
    return ApiError(422, "bad_request", f"{field}: {message}", field=field)
