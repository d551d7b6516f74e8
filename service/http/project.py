"""A project: a folder of photos, and beside them, in `.clickmask/`, the work on each as a session file.

Photos are read and never written. Whatever a caller asks for is one of the photos that the folder was found to hold, by
an id that nobody can make up; links are not followed, neither to photos nor to sessions.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import NoReturn

from ...models.errors import OutputError, SettingsError
from ..files import write_atomic
from .errors import ApiError
from .secret import sign

EXTENSIONS = frozenset((".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"))
MOST_PHOTOS = 5000  # that a page can show in a row
LARGEST_SESSION = 32 << 20  # bytes
FOLDER = ".clickmask"

_LONGEST_NAME = 255  # bytes, as most file systems have it
# What the server puts before a session of its own: the file stays one that the page can open.
_HEAD = re.compile(rb'\{"version":(\d{1,15}),"edition":"([0-9a-f]{16})",')


@dataclass(frozen=True)
class Photo:
    """A photo of a project. name: its path below the folder, with slashes. size: bytes."""

    id: str
    name: str
    size: int
    has_work: bool = False  # when it was listed


@dataclass(frozen=True)
class Session:
    """The work on a photo. tag: `<version>-<edition>`; of two versions the higher is the newer. data: JSON."""

    tag: str
    data: bytes


class Project:
    """The folder. Everything here waits for the disk: not for the event loop."""

    def __init__(self, folder: Path, secret: bytes) -> None:
        """secret: ids are signed with it. Raises SettingsError: the folder is none, or cannot be read."""
        try:
            self._root = folder.resolve(strict=True)
            os.listdir(self._root)
        except OSError as error:
            raise SettingsError(f"--project {folder}: the folder cannot be read: {error.strerror}") from None
        self._secret, self._lock = secret, Lock()
        self._found: dict[str, Photo] = {}

    @property
    def name(self) -> str:
        """What the folder is called."""
        return self._root.name

    def photos(self) -> list[Photo]:
        """Those that are there now, in natural order; those of sub-folders come after those beside them."""
        found: dict[str, Photo] = {}
        kept = self._kept()
        for name, size in _walk(self._root, ""):
            photo = Photo(self._id(name), name, size, has_work=_session_name(name) in kept)
            found[photo.id] = photo
            if len(found) == MOST_PHOTOS:
                break
        self._found = found
        return list(found.values())

    def read_photo(self, id: str, most: int) -> bytes:
        """A photo's file. Raises ApiError 404, or 413 where it has over `most` bytes."""
        data = _read(self._root, self._photo(id).name, most)
        if data is None:
            raise _missing()
        return data

    def read_session(self, id: str) -> Session | None:
        """The work on a photo, None where there is none yet. Raises ApiError 404 or 413."""
        data = self._read_session(id)
        return None if data is None else Session(_tag(data), data)

    def write_session(self, id: str, data: bytes, tag: str | None) -> str:
        """Keep the work on a photo in place of that with this tag (None: of none); the new tag.

        Raises ApiError: 404 no such photo; 412 the work has another tag by now; 422 `data` is no JSON object; 500 it
        cannot be written.
        """
        rest = _inside(data)
        with self._lock:
            old = self._read_session(id)
            now = None if old is None else _tag(old)
            if now != tag:
                raise ApiError(412, "changed_meanwhile", "somebody else has saved work on this photo meanwhile")
            version, edition = int((now or "0-").partition("-")[0]) + 1, secrets.token_hex(8)
            head = b'{"version":%d,"edition":"%s",' % (version, edition.encode())
            self._keep(self._session_path(id), head + rest)
        return f"{version}-{edition}"

    def _keep(self, path: Path, data: bytes) -> None:
        try:
            write_atomic(path, data)
        except OutputError as error:
            raise ApiError(500, "not_kept", "the project's folder cannot be written") from error

    def _kept(self) -> set[str]:
        folder = self._root / FOLDER
        try:
            return set() if folder.is_symlink() else set(os.listdir(folder))
        except OSError:  # there is none yet
            return set()

    def _read_session(self, id: str) -> bytes | None:
        path = self._session_path(id)
        return _read(self._root, path.relative_to(self._root).as_posix(), 2 * LARGEST_SESSION)

    def _session_path(self, id: str) -> Path:
        """Where the work on a photo is kept. Raises ApiError 404: no such photo, or a link stands in the way."""
        folder = self._root / FOLDER
        path = folder / _session_name(self._photo(id).name)
        if folder.is_symlink() or path.is_symlink():
            raise _missing()
        return path

    def _photo(self, id: str) -> Photo:
        if id not in self._found:  # never listed, or by an earlier process
            self.photos()
        if id not in self._found:
            raise _missing()
        return self._found[id]

    def _id(self, name: str) -> str:
        return f"pho_{sign(self._secret, 'project', str(self._root), name)[:15].hex()}"


def _walk(folder: Path, below: str) -> Iterator[tuple[str, int]]:
    """Paths below the project's folder, and sizes, of photos; nothing hidden, no links, no names that are no text."""
    try:
        with os.scandir(folder) as found:
            shown = [entry for entry in found if not entry.name.startswith(".") and _is_text(entry.name)]
    except OSError:  # not for us to read
        return
    entries = sorted(shown, key=lambda entry: _natural(entry.name))
    for entry in entries:
        if entry.is_file(follow_symlinks=False) and os.path.splitext(entry.name)[1].lower() in EXTENSIONS:
            yield below + entry.name, entry.stat(follow_symlinks=False).st_size
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(folder / entry.name, f"{below}{entry.name}/")


def _natural(name: str) -> list[tuple[int, int, str]]:
    """img2 comes before img10."""
    parts = re.split(r"(\d+)", name.casefold())
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part] + [(2, 0, name)]


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _read(root: Path, name: str, most: int) -> bytes | None:
    """A file below the root; None where there is none, or what is there is a link, or no file. Raises ApiError 413."""
    path = root / name
    try:
        if path.resolve(strict=True) != path:  # a link stands somewhere on the way
            return None
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        with os.fdopen(os.open(path, flags), "rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                return None
            data = file.read(most + 1)
    except OSError:
        return None
    if len(data) > most:
        raise ApiError(413, "body_too_large", f"the file has over {most} bytes")
    return data


def _session_name(photo: str) -> str:
    """The name of a photo's session: sub/a.jpg -> sub%2Fa.jpg.json; a digest where that is too long."""
    name = photo.replace("%", "%25").replace("/", "%2F").replace("\\", "%5C") + ".json"
    return name if len(name.encode()) <= _LONGEST_NAME else f"{hashlib.sha256(photo.encode()).hexdigest()}.json"


def _tag(data: bytes) -> str:
    """Of a session that somebody else put there: version 0, and a digest."""
    head = _HEAD.match(data)
    return "-".join(part.decode() for part in head.groups()) if head else f"0-{hashlib.sha256(data).hexdigest()[:16]}"


def _inside(data: bytes) -> bytes:
    """The JSON object's text after its first brace. Raises ApiError 422."""
    try:
        document = json.loads(data.decode(), parse_constant=_no_number)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict) or not document or {"version", "edition"} & document.keys():
        raise ApiError(422, "bad_request", "expected a session: a JSON object without version and edition")
    return data.lstrip()[1:].lstrip()


def _no_number(text: str) -> NoReturn:
    """NaN and its like, which Python reads and browsers do not."""
    raise ValueError(text)


def _missing() -> ApiError:
    return ApiError(404, "not_found", "the project has no such photo")
