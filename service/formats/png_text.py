"""Texts within PNG files: chunks of the kind iTXt, which hold UTF-8."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_KIND = b"iTXt"
_HEADER_ENDS = 33  # signature and IHDR, which comes first
_MOST = 1 << 26


def add_text(png: bytes, keyword: str, text: str) -> bytes:
    """The same picture with a text of that name (1 to 79 letters of Latin-1)."""
    data = keyword.encode("latin-1") + b"\0\x01\0\0\0" + zlib.compress(text.encode(), 9)
    chunk = struct.pack(">I", len(data)) + _KIND + data + struct.pack(">I", zlib.crc32(_KIND + data))
    return png[:_HEADER_ENDS] + chunk + png[_HEADER_ENDS:]


def find_text(png: bytes, keyword: str) -> str | None:
    """The text that `add_text` added; None where there is none of that name, or none that can be read."""
    begin = keyword.encode("latin-1") + b"\0\x01\0\0\0"
    for kind, data in _chunks(png):
        if kind == _KIND and data.startswith(begin):
            unpacking = zlib.decompressobj()
            try:
                return unpacking.decompress(data[len(begin) :], _MOST).decode()
            except (zlib.error, UnicodeDecodeError):
                return None
    return None


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(_SIGNATURE)
    while png.startswith(_SIGNATURE) and at + 12 <= len(png):
        (length,) = struct.unpack_from(">I", png, at)
        yield png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        at += 12 + length
