"""One file that may be a photo, wherever it lies."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple, Protocol


class Stamp(NamedTuple):
    """What tells a file from its later self.

    size: bytes. mtime_ns: nanoseconds since 1970, 0 where nobody knows. identity: a check sum or tag of the content
    ("crc32:0a1b2c3d", an ETag), or nothing: then size and time decide.
    """

    size: int
    mtime_ns: int
    identity: str = ""

    def is_same(self, size: int, mtime_ns: int, identity: str) -> bool:
        """Whether a file of that size, time and identity is this one."""
        if self.identity or identity:
            return (self.size, self.identity) == (size, identity)
        return (self.size, self.mtime_ns) == (size, mtime_ns)


class Where:
    """A place that is no file of its own: a member of an archive, an object in cloud storage. Small, can be pickled."""

    __slots__ = ()

    def open(self) -> BinaryIO:
        """The content, to be read from front to end. Raises OSError or ImageError."""
        raise NotImplementedError

    def stamp(self) -> Stamp:
        """Size, time and identity. Raises OSError or ImageError."""
        raise NotImplementedError

    @property
    def turn(self) -> int:
        """Where reading is quick in one order only, the place in it; elsewhere 0."""
        return 0


class Source(NamedTuple):
    """A file that may be a photo.

    name: relative, with "/" between folders; bytes that are no UTF-8 stand in it as Python's surrogates do. path: where
    it is, for people; where: the same for `open`, None for an ordinary file at `path`. named: the user named it (in a
    list), so that it must be a photo.
    """

    name: str
    path: str
    named: bool = False
    where: Where | None = None

    def open(self) -> BinaryIO:
        """The content, to be read from front to end; it may not be possible to seek. Raises OSError or ImageError."""
        return open(self.path, "rb") if self.where is None else self.where.open()

    def stamp(self) -> Stamp:
        """Size, time and identity, as of now or of when it was listed. Raises OSError or ImageError."""
        if self.where is not None:
            return self.where.stamp()
        now = os.stat(self.path)
        return Stamp(now.st_size, now.st_mtime_ns)

    @property
    def turn(self) -> int:
        """Jobs are done in the order of this: a compressed archive is read once, from front to end."""
        return 0 if self.where is None else self.where.turn


class Place(Protocol):
    """What many sources have in common, and how to make one from its name and the few bytes that are its own."""

    def source(self, name: str, extra: bytes) -> Source:
        """The source of this relative name."""
        ...


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder on the disk. prefix: what stands before the relative names, "photos/" or nothing."""

    prefix: str
    named: bool = False

    @classmethod
    def at(cls, path: str, *, named: bool = False) -> Folder:
        """The folder of this path."""
        return cls(path if path.endswith("/") or not path else f"{path}/", named)

    def source(self, name: str, extra: bytes) -> Source:
        """A file in it, or in a folder in it."""
        return Source(name, self.prefix + name, self.named)
