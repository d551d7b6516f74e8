"""Photos in a tar file, compressed or not, read where they lie."""

from __future__ import annotations

import os
import struct
import threading
from dataclasses import dataclass
from typing import BinaryIO

from ....models.errors import ImageError
from .found import Scan, Trouble
from .inflating import DamagedError, Inflated, Plain
from .member import Unpacked, as_file
from .names import add_member, shown
from .source import Source, Stamp, Where
from .tar_headers import DEVICE, FOLDER, LINK, SPARSE, HeaderError, Member, members

MOST_MEMBERS = 1_000_000
_EXTRA = struct.Struct(">QQq")  # where it begins, so that of twins the later counts; size; time
_OTHERS = {
    LINK: ("Link", "a link: links in archives are not followed"),
    SPARSE: ("Sparse", "a file with holes, as tar --sparse stores it: make the archive without that option"),
    DEVICE: ("NotAFile", "a device, a pipe or another kind of member, expected a file"),
}
_mine = threading.local()  # .stream: this thread's place in the compressed archive that it read last


@dataclass(frozen=True, slots=True)
class Tar:
    """A tar file. compression: "gzip", ..., None for none. size, mtime_ns: the file's own when it was listed."""

    path: str
    compression: str | None
    size: int
    mtime_ns: int

    @classmethod
    def at(cls, path: str, compression: str | None) -> Tar:
        """The tar file of this path, as it is now. Raises OSError."""
        now = os.stat(path)
        return cls(path, compression, now.st_size, now.st_mtime_ns)

    def source(self, name: str, extra: bytes) -> Source:
        """A member."""
        path = f"{self.path}/{name}"
        return Source(name, path, where=TarMember(self, path, *_EXTRA.unpack(extra)))

    def stream(self) -> Inflated | Plain:
        """The tar file's bytes from the beginning."""
        return Plain(self.path) if self.compression is None else Inflated(self.path, self.compression)


@dataclass(frozen=True, slots=True)
class TarMember(Where):
    """A member of a tar file. offset: of its content in the file, or in what that unpacks to; size: its bytes."""

    tar: Tar
    path: str
    offset: int
    size: int
    mtime_ns: int

    def open(self) -> BinaryIO:
        """The content. Raises ImageError when the archive is no longer the one that was listed."""
        if Tar.at(self.tar.path, self.tar.compression) != self.tar:
            raise ImageError(f"{self.tar.path} was changed while it was being read: run the same command again")
        if self.tar.compression is None:
            file = open(self.tar.path, "rb")
            file.seek(self.offset)
            return as_file(Unpacked(self.path, file, self.size, self.size))
        return as_file(Unpacked(self.path, _stream_at(self.tar, self.offset), self.size, self.size, keep=True))

    def stamp(self) -> Stamp:
        """A tar file has no check sums: only in the same archive is a member sure to be the same."""
        return Stamp(self.size, self.mtime_ns, f"tar:{self.tar.size}:{self.tar.mtime_ns}:{self.offset}")

    @property
    def turn(self) -> int:
        """Compressed archives can be read forward only."""
        return 0 if self.tar.compression is None else self.offset


def scan_tar(tar: Tar, found: Scan) -> None:
    """All members that may be photos; those that are not safe are told. Raises ImageError, OSError."""
    place = found.sources.place(tar)
    stream = tar.stream()
    try:
        for number, member in enumerate(members(stream)):
            if number == MOST_MEMBERS:
                raise ImageError(f"{tar.path} has more than {MOST_MEMBERS:,} members: it is not read")
            _take(member, place, found)
    except (HeaderError, DamagedError) as error:
        found.failed.append(Trouble(os.path.basename(tar.path), "Damaged", f"{error}; what comes before is done"))
    finally:
        stream.close()


def _take(member: Member, place: bytes, found: Scan) -> None:
    if member.kind == FOLDER:
        return
    if member.kind in _OTHERS:
        kind, reason = _OTHERS[member.kind]
        (found.skipped if member.kind == DEVICE else found.failed).append(Trouble(shown(member.name), kind, reason))
    else:
        add_member(member.name, place, _EXTRA.pack(member.offset, member.size, member.mtime_ns), found)


def _stream_at(tar: Tar, offset: int) -> Inflated:
    """This thread's stream, gone on to that place; begun anew only if it is past it."""
    held: tuple[Tar, Inflated] | None = getattr(_mine, "stream", None)
    if held is None or held[0] != tar or held[1].position > offset:
        if held is not None:
            held[1].close()
        held = (tar, Inflated(tar.path, tar.compression or ""))
    _mine.stream = None  # what breaks on the way is not kept
    held[1].skip_to(offset)
    _mine.stream = held
    return held[1]
