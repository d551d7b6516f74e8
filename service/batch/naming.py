"""What the files about a photo are called: no two photos of a run ever share a name.

sub/photo.jpg gives sub/photo_mask.png, as `clickmask segment` names it. Where two photos of a folder would meet
(photo.jpg and photo.png, on some systems also Photo.jpg), each keeps its extension: photo.jpg_mask.png; where that
does not help, a digest of the name follows. What a name cannot safely hold is written as %XX.
"""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache

import numpy as np

from ..formats import FORMATS

_LONGEST = 160  # bytes of a name's own part: endings come behind it
_UNSAFE = frozenset('<>:"|?*\\')  # Windows has no such names
_OF_ALL = ("shards",)  # a folder of results of all photos; the others are files
_EXTENSIONS = {extension for row in FORMATS.values() for extension in row.writers} | {".yaml", ".safetensors"}
_DEVICE = r"(con|prn|aux|nul|com\d|lpt\d)(?=\.|$)"
_DEVICES = re.compile(_DEVICE, re.IGNORECASE)
# As most are:
_PLAIN = re.compile(rf"(?!{_DEVICE})[A-Z0-9_](?:[A-Z0-9_. -]{{0,98}}[A-Z0-9_])?", re.IGNORECASE | re.ASCII)


def safe(part: str) -> str:
    """A name of a file or folder without what makes trouble: control characters, broken UTF-8, a leading dash, ..."""
    if _PLAIN.fullmatch(part):
        return part
    text = "".join(_escape(letter) if _is_unsafe(letter) else letter for letter in part)
    if text.startswith("-") or _DEVICES.match(text):
        text = f"%{ord(text[0]):02X}{text[1:]}"
    if text.endswith((" ", ".")):
        text = f"{text[:-1]}%{ord(text[-1]):02X}"
    return _shortened(text, part)


class Bases:
    """Photos' relative names -> where their files go: folder and beginning of the name.

    Held are a few bytes a photo while the names are counted, and afterwards what is special; so millions fit.
    """

    def __init__(self, names: Iterable[str], formats: Sequence[str]) -> None:
        words = "|".join(re.escape(FORMATS[name].word) for name in FORMATS if FORMATS[name].word)
        self._is_like_ours = re.compile(rf".*_({words})(_\d+)?", re.DOTALL)
        self._has_bare = any(not FORMATS[name].word for name in formats)  # photo.json, which photo_mask's could be
        self._has_folders = any(FORMATS[name].folder is not None for name in formats)
        names = names if isinstance(names, Sequence) else list(names)
        folders: list[str] = []
        self._shared = _repeated(lambda: _stem_keys(names, folders))
        self._twins: frozenset[int] = frozenset()
        if self._shared or self._has_bare or len({_folded(_place(folder)) for folder in folders}) < len(folders):
            self._twins = _repeated(lambda: (_folded(self._plain(name)) for name in names))

    def __getitem__(self, name: str) -> str:
        """Of one of the names that were given."""
        base = self._plain(name)  # twins by case or by Unicode's ways of writing get a digest: no two are alike
        return f"{base}~{_digest(name)}" if self._twins and _number(_folded(base)) in self._twins else base

    def _plain(self, name: str) -> str:
        """The shortest beginning by which a photo can be told from others of its folder, but for twins."""
        folder, _, own = name.rpartition("/")
        stem = _stem(own)
        if self._shared and _number(_stem_key(folder, own)) in self._shared:
            is_like_a_file = self._has_folders and self._is_like_ours.fullmatch(stem)
            stem = _no_file(safe(own)) if is_like_a_file else safe(own)
        elif self._has_bare and self._is_like_ours.fullmatch(stem):
            stem = safe(own)
        return f"{_place(folder)}/{stem}" if folder else stem


def name_bases(names: Iterable[str], formats: Sequence[str]) -> Bases:
    """Where the files of each of these photos go."""
    return Bases(names, formats)


@lru_cache(1024)
def _place(folder: str) -> str:
    """A folder's name is never that of a result beside it, nor at the top that of a document about all photos."""
    first, *others = (_no_file(safe(part)) for part in folder.split("/"))
    if first.casefold() in _OF_ALL:
        first = f"%{ord(first[0]):02X}{first[1:]}"
    return "/".join([first, *others])


def _no_file(part: str) -> str:
    """A name that no result has: its last dot is written as %2E where it has a result's extension."""
    stem, extension = os.path.splitext(part)
    return f"{stem}%2E{extension[1:]}" if extension.lower() in _EXTENSIONS else part


def _stem(own: str) -> str:
    if _PLAIN.fullmatch(own):  # it begins with no dot
        stem, dot, _ = own.rpartition(".")
        return stem if dot else own
    return os.path.splitext(safe(own))[0]


def _stem_keys(names: Iterable[str], folders: list[str]) -> Iterator[str]:
    """Of each name; its folder is put down each time that it is another than the last, which is rarely twice."""
    before = None
    for name in names:
        folder, _, own = name.rpartition("/")
        if folder != before:
            folders.append(before := folder)
        yield _stem_key(folder, own)


def _stem_key(folder: str, own: str) -> str:
    """Equal of photos of one folder whose stems are."""
    return f"{folder}\0{_folded(_stem(own))}"


def _repeated(keys: Callable[[], Iterable[str]]) -> frozenset[int]:
    """The numbers of keys that come more than once; Python's hash is quick to tell that of most, not the same in all
    processes, and finds a few too many."""
    again = _twice(map(hash, keys()), np.int64)
    return _twice((_number(key) for key in keys() if hash(key) in again), np.uint64) if again else frozenset()


def _twice(numbers: Iterable[int], kind: type[np.integer]) -> frozenset[int]:
    found = np.sort(np.fromiter(numbers, kind))
    return frozenset(found[1:][found[1:] == found[:-1]].tolist())


def _number(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8).digest())


def _folded(text: str) -> str:
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def _is_unsafe(letter: str) -> bool:
    return letter in _UNSAFE or unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Zl", "Zp")


def _escape(letter: str) -> str:
    return "".join(f"%{byte:02X}" for byte in letter.encode("utf-8", "surrogateescape"))


def _shortened(text: str, name: str) -> str:
    stem, extension = os.path.splitext(text)
    data = stem.encode()
    if len(data) + len(extension.encode()) <= _LONGEST:
        return text
    extension = extension if len(extension.encode()) <= 16 else ""
    return f"{data[: _LONGEST - 40].decode(errors='ignore')}~{_digest(name)}{extension}"


def _digest(name: str) -> str:
    return hashlib.sha256(os.fsencode(name)).hexdigest()[:16]
