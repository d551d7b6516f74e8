"""Names that others chose, in archives and buckets: which of them may become names of ours."""

from __future__ import annotations

import os
import re

from .found import STATE, Scan, Trouble

_NOT_PHOTOS = b"__MACOSX"  # where macOS puts attributes of files, under the files' names
_LIKE_PHOTOS = frozenset(
    ".jpg .jpeg .jpe .jfif .png .webp .bmp .dib .gif .tif .tiff .heic .heif .avif .jxl .jp2".split()
)
_LONGEST = 4096
_BETWEEN = re.compile(rb"[/\\]")
_ABSOLUTE = re.compile(rb"[/\\]|[A-Za-z]:")


# As almost all are: no part is empty or begins with a dot, and there is no drive in front.
_ORDINARY = re.compile(rb"[^/\\\0.][^/\\\0:]*(/[^/\\\0.][^/\\\0]*)*")


class UnsafeNameError(ValueError):
    """A name that leads elsewhere, or nowhere; the message says why."""


def checked_key(raw: bytes) -> bytes:
    """The key (`found.key_of`) of a relative name. Raises UnsafeNameError."""
    if len(raw) <= _LONGEST and _ORDINARY.fullmatch(raw):
        return raw.replace(b"/", b"\0")
    if b"\0" in raw:
        raise UnsafeNameError("the name holds a zero byte")
    if len(raw) > _LONGEST:
        raise UnsafeNameError(f"the name is longer than {_LONGEST} bytes")
    if _ABSOLUTE.match(raw):
        raise UnsafeNameError("the name is absolute, expected a relative one")
    if b".." in _BETWEEN.split(raw):
        raise UnsafeNameError('the name leads out of its folder by ".."')
    parts = [part for part in raw.split(b"/") if part not in (b"", b".")]
    if not parts:
        raise UnsafeNameError("the name is empty")
    return b"\0".join(parts)


def add_member(raw: bytes, place: bytes, extra: bytes, found: Scan) -> None:
    """A source by a name that others chose; or a row that says why not."""
    try:
        key = checked_key(raw)
    except UnsafeNameError as error:
        found.failed.append(Trouble(shown(raw), "UnsafeName", str(error)))
        return
    if STATE.encode() in key.lower().split(b"\0"):
        found.skipped.append(Trouble(shown(raw), "Output", "in the folder where clickmask batch keeps its journal"))
    elif key.startswith(_NOT_PHOTOS + b"\0"):
        found.skipped.append(Trouble(shown(raw), "NotAPhoto", "attributes of a file, as macOS packs them"))
    else:
        found.sources.add(key, place, extra)


def shown(raw: bytes) -> str:
    """A name for messages; bytes that are no UTF-8 come through."""
    return raw.decode("utf-8", "surrogateescape")


def looks_like_photo(name: str) -> bool:
    """Whether a file of this name ought to be a photo."""
    return os.path.splitext(name)[1].lower() in _LIKE_PHOTOS
