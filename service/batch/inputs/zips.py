"""Photos in a zip file, read where they lie. Threads share nothing: each member is opened by itself."""

from __future__ import annotations

import bz2
import stat
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from ....models.errors import ImageError
from .found import Scan, Trouble
from .inflating import DamagedError, Decoder, Inflater
from .member import Unpacked, as_file
from .names import add_member, shown
from .source import Source, Stamp, Where
from .zip_directory import Entry, entries

_EXTRA = struct.Struct(">QQQIH")  # where it begins, so that of twins the later counts; packed, size, CRC, method
_LOCAL = struct.Struct("<4s5H3L2H")
_ENCRYPTED = 0x2041  # bits of the flags: encrypted, strongly so, the directory too
_METHODS: dict[int, Callable[[], Decoder | None]] = {
    0: lambda: None,
    8: lambda: Inflater(-15),
    12: bz2.BZ2Decompressor,
}


@dataclass(frozen=True, slots=True)
class Zip:
    """A zip file."""

    path: str

    def source(self, name: str, extra: bytes) -> Source:
        """A member."""
        path = f"{self.path}/{name}"
        return Source(name, path, where=ZipMember(self.path, path, *_EXTRA.unpack(extra)))


@dataclass(frozen=True, slots=True)
class ZipMember(Where):
    """A member of the zip file `archive`. path: for messages. offset: of its header; packed, size: bytes; crc: CRC-32;
    method: of compression.
    """

    archive: str
    path: str
    offset: int
    packed: int
    size: int
    crc: int
    method: int

    def open(self) -> BinaryIO:
        """The content. Raises ImageError where it is compressed in a way that is not known, or not there."""
        if self.method not in _METHODS:
            raise ImageError(
                f"{self.path} is compressed by method {self.method}; stored, deflated and bzip2 members can be read: "
                "pack the archive again"
            )
        file = open(self.archive, "rb")
        try:
            file.seek(self.offset)
            head = file.read(_LOCAL.size)
            if len(head) < _LOCAL.size or not head.startswith(b"PK\3\4"):
                raise DamagedError(f"{self.path} is damaged: it is not where the archive's directory says")
            *_, name, extra = _LOCAL.unpack(head)
            file.seek(name + extra, 1)
        except BaseException:
            file.close()
            raise
        return as_file(Unpacked(self.path, file, self.packed, self.size, _METHODS[self.method](), self.crc))

    def stamp(self) -> Stamp:
        """Size and check sum: a member is the same in whatever archive."""
        return Stamp(self.size, 0, f"crc32:{self.crc:08x}")


def scan_zip(path: str, found: Scan) -> None:
    """All members that may be photos; those that are not safe are told. Raises ImageError, OSError."""
    place = found.sources.place(Zip(path))
    with open(path, "rb") as file:
        for entry in entries(file, path):
            trouble = None if entry.name.endswith(b"/") else _trouble(entry)
            if trouble is not None:
                found.failed.append(Trouble(shown(entry.name), *trouble))
            elif not entry.name.endswith(b"/"):
                extra = _EXTRA.pack(entry.offset, entry.packed, entry.size, entry.crc, entry.method)
                add_member(entry.name, place, extra, found)


def _trouble(entry: Entry) -> tuple[str, str] | None:
    kind = stat.S_IFMT(entry.mode)
    if entry.flags & _ENCRYPTED:
        return "Encrypted", "it is encrypted: unpack the archive with its password, and give the folder"
    if kind == stat.S_IFLNK:
        return "Link", "a link: links in archives are not followed"
    if kind not in (0, stat.S_IFREG):
        return "NotAFile", "a device, a pipe or another kind of member, expected a file"
    return None
