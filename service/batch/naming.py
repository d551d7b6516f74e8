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
from collections.abc import Iterable, Sequence

from ..formats import FORMATS

_LONGEST = 160  # bytes of a name's own part: endings come behind it
_UNSAFE = frozenset('<>:"|?*\\')  # Windows has no such names
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(?=\.|$)", re.IGNORECASE)


def safe(part: str) -> str:
    """A name of a file or folder without what makes trouble: control characters, broken UTF-8, a leading dash, ..."""
    text = "".join(_escape(letter) if _is_unsafe(letter) else letter for letter in part)
    if text.startswith("-") or _DEVICES.match(text):
        text = f"%{ord(text[0]):02X}{text[1:]}"
    if text.endswith((" ", ".")):
        text = f"{text[:-1]}%{ord(text[-1]):02X}"
    return _shortened(text, part)


def name_bases(names: Iterable[str], formats: Sequence[str]) -> dict[str, str]:
    """Photos' relative names -> where their files go: folder and beginning of the name."""
    bases: dict[str, str] = {}
    for folder, members in _by_folder(names).items():
        own = _stems(members, formats)
        for name, stem in own.items():
            bases[f"{folder}/{name}" if folder else name] = "/".join(part for part in (_place(folder), stem) if part)
    return _told_apart(bases)


def _by_folder(names: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name in names:
        folder, _, own = name.rpartition("/")
        found.setdefault(folder, []).append(own)
    return found


def _place(folder: str) -> str:
    return "/".join(safe(part) for part in folder.split("/"))


def _stems(names: Sequence[str], formats: Sequence[str]) -> dict[str, str]:
    """The shortest beginnings by which the photos of a folder can be told apart."""
    words = "|".join(re.escape(FORMATS[name].word) for name in FORMATS if FORMATS[name].word)
    is_like_ours = re.compile(rf".*_({words})(_\d+)?", re.DOTALL)
    has_bare = any(not FORMATS[name].word for name in formats)  # photo.json, which photo_mask's own could be
    stems = {name: os.path.splitext(safe(name))[0] for name in names}
    shared = _count(stems.values())
    return {
        name: safe(name) if shared[_folded(stem)] > 1 or (has_bare and is_like_ours.fullmatch(stem)) else stem
        for name, stem in stems.items()
    }


def _told_apart(bases: dict[str, str]) -> dict[str, str]:
    """Twins by case or by Unicode's ways of writing get a digest of their names, of which no two are alike."""
    shared = _count(bases.values())
    return {name: f"{base}~{_digest(name)}" if shared[_folded(base)] > 1 else base for name, base in bases.items()}


def _count(texts: Iterable[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for text in texts:
        found[_folded(text)] = found.get(_folded(text), 0) + 1
    return found


def _folded(text: str) -> str:
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
