"""The members of a tar file: ustar, pax and GNU's, read from headers alone, in bounded memory."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from ....models.errors import ImageError

BLOCK = 512
_LONGEST_HEADER = 1 << 20  # bytes of names and attributes of one member
_LARGEST, _LATEST = 1 << 60, 1 << 63
_MOST_HEADERS = 16  # extra headers before one member
_TELLING, _SPARSE = (b"path", b"size", b"mtime"), b"GNU.sparse"
FILE, LINK, DEVICE, FOLDER, SPARSE = "file", "link", "device", "folder", "sparse"
_WITHOUT_CONTENT = b"123456"  # whatever size their headers state
_KINDS = {b"0": FILE, b"\0": FILE, b"7": FILE, b"1": LINK, b"2": LINK, b"5": FOLDER, b"S": SPARSE}


class Forward(Protocol):
    """A stream read from front to end."""

    position: int

    def read(self, count: int) -> bytes:
        """So many bytes, fewer at the end."""
        ...

    def skip_to(self, position: int) -> bool:
        """Pass over all before; whether there is so much."""
        ...


class HeaderError(ImageError):
    """A tar file that ends early, or is none from here on."""


@dataclass(frozen=True, slots=True)
class Member:
    """One member. name: raw. kind: FILE, LINK, ... offset, size: its content, in bytes. mtime_ns: since 1970."""

    name: bytes
    kind: str
    offset: int
    size: int
    mtime_ns: int


def is_header(block: bytes) -> bool:
    """Whether a block of 512 bytes is a member's header."""
    return len(block) == BLOCK and _sum(block) == _number(block[148:156])


def members(stream: Forward) -> Iterator[Member]:
    """All members in their order. Raises HeaderError where the file is cut off or spoilt; also what `stream` raises."""
    extra: dict[bytes, bytes] = {}
    common: dict[bytes, bytes] = {}
    depth = 0
    while True:
        block = stream.read(BLOCK)
        if not block or not any(block):
            return
        if not is_header(block):
            what = "is cut off" if len(block) < BLOCK else "is damaged"
            raise HeaderError(f"the archive {what} at byte {stream.position - len(block):,}")
        kind, size = block[156:157], _number(block[124:136]) or 0
        if kind in (b"x", b"g", b"L", b"K"):
            depth += 1
            data = _small(stream, size) if depth <= _MOST_HEADERS else b""
            if depth > _MOST_HEADERS:
                raise HeaderError("the archive is damaged: headers that belong to no member")
            if kind == b"L":
                extra[b"path"] = data.rstrip(b"\0")
            elif kind != b"K":
                (extra if kind == b"x" else common).update(_records(data))
            continue
        if kind == b"S":
            _pass_over_holes(stream, block)
        member = _member(block, kind, size, stream.position, {**common, **extra})
        yield member
        extra, depth = {}, 0
        if not stream.skip_to(member.offset + _padded(member.size)) and not stream.skip_to(member.offset + member.size):
            raise HeaderError(f"the archive is cut off at byte {stream.position:,}")


def _member(block: bytes, kind: bytes, size: int, offset: int, extra: dict[bytes, bytes]) -> Member:
    name = block[:100].partition(b"\0")[0]
    if block[257:263] == b"ustar\0" and (prefix := block[345:500].partition(b"\0")[0]):
        name = prefix + b"/" + name
    seconds = _number(block[136:148]) or 0
    member = Member(name, _KINDS.get(kind, DEVICE), offset, size, seconds * 10**9)
    if kind in b"0\0" and name.endswith(b"/"):  # as the oldest tars wrote folders
        member = replace(member, kind=FOLDER)
    if extra:
        member = _amended(member, extra)
    if not 0 <= member.size < _LARGEST:
        raise HeaderError(f"the archive is damaged at byte {offset:,}: a member of {member.size:,} bytes")
    if abs(member.mtime_ns) >= _LATEST:
        member = replace(member, mtime_ns=0)
    return replace(member, size=0) if kind in _WITHOUT_CONTENT else member


def _amended(member: Member, extra: dict[bytes, bytes]) -> Member:
    try:
        size = int(extra.get(b"size", member.size))
        mtime = float(extra[b"mtime"]) if b"mtime" in extra else None
        mtime_ns = member.mtime_ns if mtime is None else int(mtime * 10**9)
    except (ValueError, OverflowError):
        raise HeaderError(f"the archive is damaged at byte {member.offset:,}: no number") from None
    kind = SPARSE if _SPARSE in extra else member.kind
    return replace(member, name=extra.get(b"path", member.name), kind=kind, size=size, mtime_ns=mtime_ns)


def _pass_over_holes(stream: Forward, block: bytes) -> None:
    """GNU's old sparse files have more blocks of header, each telling whether another follows."""
    has_more = block[482:483]
    while has_more not in (b"", b"\0"):
        has_more = stream.read(BLOCK)[504:505]


def _small(stream: Forward, size: int) -> bytes:
    if size > _LONGEST_HEADER:
        raise HeaderError(f"the archive is damaged: a header of {size:,} bytes")
    data = stream.read(_padded(size))
    if len(data) < size:
        raise HeaderError(f"the archive is cut off at byte {stream.position:,}")
    return data[:size]


def _records(data: bytes) -> dict[bytes, bytes]:
    """Of pax's lines, "LENGTH KEY=VALUE" and a newline each, those that matter."""
    found: dict[bytes, bytes] = {}
    at = 0
    while at < len(data) and data[at]:
        space = data.find(b" ", at, at + 8)
        digits = data[at:space] if space > at else b""
        end = at + int(digits) if digits.isdigit() else 0
        equals = data.find(b"=", space, end)
        if equals < 0 or data[end - 1 : end] != b"\n":
            raise HeaderError("the archive is damaged: a header that cannot be read")
        key = data[space + 1 : equals]
        if key in _TELLING or key.startswith(_SPARSE):
            found[_SPARSE if key.startswith(_SPARSE) else key] = data[equals + 1 : end - 1]
        at = end
    return found


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def _sum(block: bytes) -> int:
    """The check sum of a header: its bytes added, its own field as spaces."""
    fields = block[:148] + b" " * 8, block[156:]
    # Adler-32's low half is one more than the sum, modulo 65521: exact for up to 256 bytes.
    parts = (fields[0], fields[1][:178], fields[1][178:])
    return sum((zlib.adler32(part) & 0xFFFF) - 1 for part in parts)


def _number(field: bytes) -> int | None:
    """Octal digits, or a binary number where the first bit is set; None for neither."""
    if field[:1] in (b"\x80", b"\xff"):
        number = int.from_bytes(field[1:])
        return number if field[0] == 0x80 else None
    try:
        return int(field.strip(b"\0 ") or b"0", 8)
    except ValueError:
        return None
