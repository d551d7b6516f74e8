"""The directory at the end of a zip file: what is in it, where, without unpacking anything, in bounded memory."""

from __future__ import annotations

import os
import struct
from array import array
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

import numpy as np

from ....models.errors import ImageError

MOST_MEMBERS = 1_000_000
_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_WIDE = 0xFFFFFFFF  # stands where a number is too large, which then is in an extra field
_LOCAL = 30  # bytes of the header before a member's content, without its name


class Entry(NamedTuple):
    """One member. flags, method: as zip has them. crc: CRC-32. mode: of Unix, 0 where it is not known.

    offset: where its own header begins in the file; packed, size: bytes.
    """

    name: bytes
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    mode: int
    offset: int


def entries(file: BinaryIO, path: str) -> Iterator[Entry]:
    """All members in the order of the directory; `path` is for messages.

    Raises ImageError for a file without a directory, one of too many members, and, at the end, for members that
    overlap.
    """
    start, end, shift = _find(file, path)
    file.seek(start)
    begins, ends = array("Q"), array("Q")
    at = start
    while at < end:
        if len(begins) == MOST_MEMBERS:
            raise _too_many(path)
        entry, length = _entry(file, shift, f"{path}: the directory at the end of the archive")
        at += length
        begins.append(entry.offset)
        ends.append(entry.offset + _LOCAL + len(entry.name) + entry.packed)
        yield entry
    _check_extents(begins, ends, start, path)


def _find(file: BinaryIO, path: str) -> tuple[int, int, int]:
    """Where the directory begins and ends, and by how much all offsets are to be raised."""
    size = file.seek(0, os.SEEK_END)
    tail_at = max(0, size - 65535 - _END.size)
    file.seek(tail_at)
    tail = file.read()
    at = tail.rfind(b"PK\5\6")
    if at < 0 or at + _END.size > len(tail):
        raise ImageError(f"{path} is no whole zip archive: the directory at its end is missing; fetch or pack it again")
    _, _, _, _, count, length, offset, _ = _END.unpack_from(tail, at)
    end = tail_at + at
    if _LOCATOR.size <= at and tail[at - _LOCATOR.size :].startswith(b"PK\6\7"):
        _, _, stated, _ = _LOCATOR.unpack_from(tail, at - _LOCATOR.size)
        end, wide = _wide_end(file, (stated, end - _LOCATOR.size - _END64.size), path)
        *_, count, length, offset = _END64.unpack(wide)
    if count > MOST_MEMBERS:
        raise _too_many(path)
    if length + offset > end:
        raise ImageError(f"{path} is damaged: the directory at its end is not where it should be")
    return end - length, end, end - length - offset


def _wide_end(file: BinaryIO, places: tuple[int, int], path: str) -> tuple[int, bytes]:
    """The end's wide form, and where it is: where that is stated or, with something before the archive, next to it."""
    for place in places:
        if 0 <= place < 1 << 62:
            file.seek(place)
            wide = file.read(_END64.size)
            if len(wide) == _END64.size and wide.startswith(b"PK\6\6"):
                return place, wide
    raise ImageError(f"{path} is damaged: the directory at its end cannot be found")


def _entry(file: BinaryIO, shift: int, what: str) -> tuple[Entry, int]:
    head = file.read(_ENTRY.size)
    if len(head) < _ENTRY.size or not head.startswith(b"PK\1\2"):
        raise ImageError(f"{what} is damaged")
    _, made, _, flags, method, _, _, crc, packed, size, n, m, k, _, _, attributes, offset = _ENTRY.unpack(head)
    rest = file.read(n + m + k)
    if len(rest) < n + m + k:
        raise ImageError(f"{what} is damaged")
    if _WIDE in (packed, size, offset):
        size, packed, offset = _widened(rest[n : n + m], size, packed, offset, what)
    mode = attributes >> 16 if made >> 8 == 3 else 0
    return Entry(rest[:n], flags, method, crc, packed, size, mode, offset + shift), _ENTRY.size + n + m + k


def _widened(extra: bytes, size: int, packed: int, offset: int, what: str) -> tuple[int, int, int]:
    """The numbers that do not fit into 32 bits, from the extra field that is for them."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        if kind == 1:
            field = extra[at + 4 : at + 4 + length]
            wide = iter(struct.unpack(f"<{len(field) // 8}Q", field[: len(field) // 8 * 8]))
            try:
                found = [next(wide) if number == _WIDE else number for number in (size, packed, offset)]
            except StopIteration:
                break
            if max(found) >= 1 << 62:
                break
            return found[0], found[1], found[2]
        at += 4 + length
    raise ImageError(f"{what} is damaged: a number is missing")


def _check_extents(begins: array[int], ends: array[int], directory: int, path: str) -> None:
    if not begins:
        return
    starts, stops = np.frombuffer(begins, np.uint64), np.frombuffer(ends, np.uint64)
    order = np.argsort(starts, kind="stable")
    following = np.append(starts[order][1:], np.uint64(directory))
    overlapping = int(np.count_nonzero(stops[order] > following))
    if overlapping:
        raise ImageError(
            f"{path} is a bomb, or damaged: {overlapping:,} of its members lie in others, or outside; it is not read"
        )


def _too_many(path: str) -> ImageError:
    return ImageError(f"{path} has more than {MOST_MEMBERS:,} members: it is not read")
