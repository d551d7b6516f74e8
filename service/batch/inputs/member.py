"""A member of an archive as a file that is read from front to end, within bounds."""

from __future__ import annotations

import io
import zlib
from typing import BinaryIO, Protocol

from ....models.errors import ImageError
from .inflating import MOST_BYTES, MOST_RATIO, DamagedError, Decoder

_READ = 1 << 16
_RATIO_FROM = 10 << 20  # bytes; below, no ratio is suspicious


class Bytes(Protocol):
    """Where raw bytes come from."""

    def read(self, count: int, /) -> bytes:
        """So many bytes, fewer at the end."""
        ...


def check_size(what: str, size: int, packed: int) -> None:
    """Raise ImageError for a member too large to be read at once, or one that is a bomb."""
    if size > MOST_BYTES:
        raise ImageError(f"{what} has {size:,} bytes, more than the limit of {MOST_BYTES:,} for a photo in an archive")
    if size > _RATIO_FROM and size > MOST_RATIO * packed:
        raise ImageError(
            f"{what} is a bomb: {packed:,} bytes become {size:,}, more than {MOST_RATIO} times as many; it is not read"
        )


class Unpacked(io.BufferedIOBase):
    """A member's content. Only the first bytes, asked for by number, come without the checks of `check_size`.

    raw: begins with the `packed` bytes of the member, of `size` unpacked ones. decoder: None for bytes as they are.
    crc: what CRC-32 must be, None where it is not known. keep: whether `raw` outlives the member.
    Raises DamagedError for data that end early, do not fit the size or the check sum.
    """

    def __init__(
        self,
        what: str,
        raw: Bytes,
        packed: int,
        size: int,
        decoder: Decoder | None = None,
        crc: int | None = None,
        *,
        keep: bool = False,
    ) -> None:
        self._what, self._raw, self._keep = what, raw, keep
        self._packed, self._size, self._left, self._given = packed, size, packed, 0
        self._decoder, self._crc, self._sum = decoder, crc, 0

    def readable(self) -> bool:
        """It is."""
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        """So many bytes, or the rest."""
        if size is None or size < 0:
            check_size(self._what, self._size, self._packed)
            size = self._size - self._given
            data = self._some(size)
            self._check_end(len(data) == size)
            return data
        return self._some(min(size, self._size - self._given))

    def close(self) -> None:
        """Close what it is read from, unless others use it too."""
        if not self._keep and isinstance(self._raw, io.IOBase):
            self._raw.close()
        super().close()

    def _some(self, count: int) -> bytes:
        parts = []
        while count > 0 and (part := self._piece(count)):
            self._sum = zlib.crc32(part, self._sum)
            self._given += len(part)
            count -= len(part)
            parts.append(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _piece(self, limit: int) -> bytes:
        if self._decoder is None:
            return self._read(min(limit, self._left))
        while not self._decoder.eof:
            data = self._read(min(_READ, self._left)) if self._decoder.needs_input else b""
            try:
                part = self._decoder.decompress(data, limit)
            except (zlib.error, OSError, EOFError) as error:
                raise DamagedError(f"{self._what} is damaged: {error}") from None
            if part:
                return part
            if not data and self._decoder.needs_input:
                break
        return b""

    def _read(self, count: int) -> bytes:
        data = self._raw.read(count) if count else b""
        self._left -= len(data)
        return data

    def _check_end(self, is_whole: bool) -> None:
        if not is_whole:
            raise DamagedError(f"{self._what} is cut off: {self._given:,} of its {self._size:,} bytes are there")
        if self._decoder is not None and self._piece(1):
            raise DamagedError(f"{self._what} is damaged: it holds more than the {self._size:,} bytes it states")
        if self._crc is not None and self._sum != self._crc:
            raise DamagedError(f"{self._what} is damaged: its check sum is not the one that stands in the archive")


def as_file(member: Unpacked) -> BinaryIO:
    """The same, by the name that type checkers know for it."""
    return member  # pyright: ignore[reportReturnType]
