"""Payloads of photos whose shard is not full yet, one behind the other in a file of the state folder.

An entry is its length and its CRC-32, four bytes each, and the payload. A file belongs to one shard and one run (of
those that share the work), which only ever adds to it. A place is written as "FILE@OFFSET" in the outputs of a
photo's record. Entries are synced before the journal is, so that what the journal says is there, is there; and each is
checked before it counts, whatever a power cut left.
"""

from __future__ import annotations

import hashlib
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

from .sources import STATE

FOLDER = f"{STATE}/spool"
_HEAD = struct.Struct("<II")


class Spool:
    """The spool files of one run, being written, by one thread. Raises OSError when the disk does not take it.

    suffix: what the run's files are told apart by. shard_of: a photo's name -> the number of its shard.
    """

    def __init__(self, out: Path, suffix: str, shard_of: Callable[[str], int]) -> None:
        self._out, self._suffix, self._shard_of = out, suffix, shard_of
        self._open: dict[int, int] = {}  # shard -> descriptor
        self._unsynced: set[int] = set()

    def append(self, name: str, payload: bytes) -> tuple[str, int, str]:
        """Add what is known of a photo; its place, size and SHA-256, as records have outputs."""
        number = self._shard_of(name)
        file = f"{FOLDER}/{number:05}{self._suffix}.bin"
        descriptor = self._descriptor(number, self._out / file)
        start = os.fstat(descriptor).st_size
        data = _HEAD.pack(len(payload), zlib.crc32(payload)) + payload
        try:
            while data:
                data = data[os.write(descriptor, data) :]
        except OSError:
            os.ftruncate(descriptor, start)
            raise
        self._unsynced.add(number)
        return f"{file}@{start}", len(payload), hashlib.sha256(payload).hexdigest()

    def sync(self) -> None:
        """Have all that was added on the disk: to be called before the journal's own sync."""
        for number in self._unsynced:
            os.fsync(self._open[number])
        self._unsynced.clear()

    def finish(self, number: int) -> None:
        """Nothing more comes for this shard: sync its file and close it."""
        descriptor = self._open.get(number)
        if descriptor is not None:
            os.fsync(descriptor)
            self._unsynced.discard(number)
            os.close(self._open.pop(number))

    def close(self) -> None:
        """Close the files; `sync` comes before."""
        for descriptor in self._open.values():
            os.close(descriptor)
        self._open.clear()

    def _descriptor(self, number: int, path: Path) -> int:
        if number not in self._open:
            path.parent.mkdir(parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
            self._open[number] = os.open(path, flags, 0o666)
        return self._open[number]


def is_place(path: str) -> bool:
    """Whether a record's output lies in a spool."""
    return path.startswith(f"{FOLDER}/") and "@" in path


def shard_at(place: str) -> int:
    """The number of the shard that a place's file belongs to."""
    return int(place.removeprefix(f"{FOLDER}/")[:5])


def read_entry(out: Path, place: str, size: int, digest: str) -> bytes | None:
    """The payload at a place; None where it is gone or spoilt."""
    file, _, offset = place.rpartition("@")
    try:
        with (out / file).open("rb") as spool:
            spool.seek(int(offset))
            head, payload = spool.read(_HEAD.size), spool.read(size)
    except (OSError, ValueError):
        return None
    whole = head == _HEAD.pack(size, zlib.crc32(payload)) and hashlib.sha256(payload).hexdigest() == digest
    return payload if whole else None


def cut_torn_tails(out: Path, suffix: str) -> None:
    """What a crash left of a last entry goes, in the files of one run, before anybody looks at them."""
    for path in (out / FOLDER).glob(f"[0-9][0-9][0-9][0-9][0-9]{suffix}.bin"):
        with path.open("r+b") as file:
            file.truncate(_end(file.fileno()))


def _end(descriptor: int) -> int:
    """Where the last entry that is as long as it says ends; entries of nothing, all zeros, are a power cut's."""
    size, at = os.fstat(descriptor).st_size, 0
    while at + _HEAD.size < size:
        os.lseek(descriptor, at, os.SEEK_SET)
        length, _ = _HEAD.unpack(os.read(descriptor, _HEAD.size))
        if not 0 < length <= size - at - _HEAD.size:
            break
        at += _HEAD.size + length
    return at
