"""Compressed data read from front to end, never more at once than asked for, and no further than is sane.

Decoders have the shape of `bz2.BZ2Decompressor`: decompress(data, max_length), eof, needs_input, unused_data.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable
from typing import BinaryIO, Protocol

from ....models.errors import ImageError

MOST_RATIO = 200  # photos are compressed already; 200 times is a blank page
MOST_BYTES = 256 << 20  # of one photo's file
_PIECE, _READ = 1 << 20, 1 << 16
_LZMA_MEMORY = 256 << 20


class DamagedError(ImageError):
    """Compressed data that end early or are spoilt."""


class Decoder(Protocol):
    """What zlib, bz2 and lzma have in common."""

    @property
    def eof(self) -> bool:
        """Whether the compressed data are at their end."""
        ...

    @property
    def needs_input(self) -> bool:
        """Whether more can only come of more data."""
        ...

    @property
    def unused_data(self) -> bytes:
        """What follows the end."""
        ...

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        """At most so many bytes."""
        ...


class Inflater:
    """zlib's decoder in the shape of the others. wbits: as zlib has it, -15 for zip, 31 for gzip."""

    def __init__(self, wbits: int) -> None:
        self._zlib = zlib.decompressobj(wbits)

    @property
    def eof(self) -> bool:
        """Whether the compressed data are at their end."""
        return self._zlib.eof

    @property
    def needs_input(self) -> bool:
        """Whether more can only come of more data."""
        return not self._zlib.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        """What follows the end."""
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        """At most so many bytes."""
        return self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)


DECODERS: dict[str, Callable[[], Decoder]] = {
    "gzip": lambda: Inflater(31),
    "bzip2": bz2.BZ2Decompressor,
    "xz": lambda: lzma.LZMADecompressor(memlimit=_LZMA_MEMORY),
    "deflate": lambda: Inflater(-15),
}
_MAGIC = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\0": "xz"}


def compression_of(head: bytes) -> str | None:
    """How a file is compressed, by its first bytes; None when it is not, or not in a way that is known."""
    return next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), None)


class Inflated:
    """A compressed file read forward only. Raises DamagedError for data that end early or are spoilt, ImageError for a
    bomb: data that become more than MOST_RATIO times as many, once they are many.
    """

    def __init__(self, path: str, kind: str) -> None:
        self._file: BinaryIO = open(path, "rb")
        self._what, self._new = f"{path} ({kind})", DECODERS[kind]
        self._decoder = self._new()
        self._taken = self._given = 0
        self._piece, self._at = b"", 0
        self.position = 0

    def read(self, count: int) -> bytes:
        """So many bytes, fewer at the end."""
        parts = []
        while count > 0 and self._has_more():
            part = self._piece[self._at : self._at + count]
            self._advance(len(part))
            count -= len(part)
            parts.append(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def skip_to(self, position: int) -> bool:
        """Pass over all before; whether the data are that long."""
        while self.position < position and self._has_more():
            self._advance(min(position - self.position, len(self._piece) - self._at))
        return self.position >= position

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __del__(self) -> None:
        """A thread's stream ends with its thread."""
        if hasattr(self, "_file"):
            self._file.close()

    def _advance(self, count: int) -> None:
        self._at += count
        self.position += count

    def _has_more(self) -> bool:
        if self._at < len(self._piece):
            return True
        try:
            self._piece, self._at = self._next(), 0
        except (zlib.error, OSError, lzma.LZMAError, EOFError) as error:
            raise DamagedError(f"{self._what}: the compressed data are damaged: {error}") from None
        self._given += len(self._piece)
        if self._given > 100_000_000 and self._given > MOST_RATIO * self._taken:
            raise ImageError(
                f"{self._what} is a bomb: its first {self._taken:,} bytes become {self._given:,}, more than "
                f"{MOST_RATIO} times as many; it is not read"
            )
        return bool(self._piece)

    def _next(self) -> bytes:
        """The next piece, nothing at the end."""
        while True:
            data = b""
            if self._decoder.eof:  # another may follow: they can be strung together
                data = (self._decoder.unused_data or self._read()).lstrip(b"\0")
                if not data:
                    return b""
                self._decoder = self._new()
            elif self._decoder.needs_input:
                data = self._read()
                if not data and not (piece := self._decoder.decompress(b"", _PIECE)):
                    raise DamagedError(f"{self._what} is cut off: it ends before its data do")
                elif not data:
                    return piece
            piece = self._decoder.decompress(data, _PIECE)
            if piece:
                return piece

    def _read(self) -> bytes:
        data = self._file.read(_READ)
        self._taken += len(data)
        return data


class Plain:
    """An ordinary file in the shape of `Inflated`."""

    def __init__(self, path: str) -> None:
        self._file: BinaryIO = open(path, "rb")
        self._size = self._file.seek(0, 2)
        self._file.seek(0)
        self.position = 0

    def read(self, count: int) -> bytes:
        """So many bytes, fewer at the end."""
        data = self._file.read(count)
        self.position += len(data)
        return data

    def skip_to(self, position: int) -> bool:
        """Pass over all before; whether the file is that long."""
        if position > self.position:
            self.position = self._file.seek(min(position, self._size))
        return self.position >= position

    def close(self) -> None:
        """Close the file."""
        self._file.close()
