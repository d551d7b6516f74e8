"""What files are called after the picture they are about."""

from __future__ import annotations

import os
import unicodedata

from .result import UNNAMED

LONGEST = 255  # bytes of a name, as most file systems have it

_CONTROLS = {"Cc", "Cs", "Zl", "Zp"}  # control characters, halves of characters, separators of lines
_TURNS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")  # they make a name read backwards


def is_file_name(name: str) -> bool:
    """Whether `name` names a file in a folder, and nothing else: no path, no control characters, not too long."""
    if name in ("", ".", "..") or "/" in name or "\\" in name:
        return False
    if any(unicodedata.category(letter) in _CONTROLS or letter in _TURNS for letter in name):
        return False
    return len(name.encode()) <= LONGEST


def file_name(picture: str | None, word: str, extension: str, number: str = "") -> str:
    """The name of a file about a picture: photo.jpg, mask, .png, 2 -> photo_mask_2.png.

    `picture`: the picture's file name, or None where it has none; then, and where there is no `word`, the others
    make do. A name that would be too long has its beginning cut short.
    """
    stem = os.path.splitext(picture)[0] if picture else ""
    end = "_".join(part for part in (word, number) if part)
    if not stem:
        return (end or UNNAMED) + extension
    end = (f"_{end}" if end else "") + extension
    return _cut(stem, LONGEST - len(end)) + end


def _cut(text: str, most: int) -> str:
    """At most so many bytes of UTF-8, whole characters."""
    data = text.encode(errors="surrogateescape")
    return text if len(data) <= most else data[:most].decode(errors="ignore")
