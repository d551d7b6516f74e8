"""The records of earlier runs, of which only is held where they stand: they are read when they are asked for."""

from __future__ import annotations

import json
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from .begun import Beginnings, Begun
from .journal import Record

_NAME, _STATE = b'{"name":"', b'","state":"'  # what a record's line begins with, and what follows the name in it
_BUFFER = 65536
_FILE = 44  # bits of a place in a file; the file's number is above them


class History:
    """The journals of earlier runs, 16 bytes or so a photo. Of several records about one the last counts; of several
    journals that which was written to last.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        self._files: list[BinaryIO] = []
        self._beginnings = Beginnings()
        self._keys, self._places = array("q"), array("q")  # by hash of the name: what is read has to bear it
        for path in sorted(paths, key=lambda path: path.stat().st_mtime_ns):
            self._index(path)
        self._sort()
        self._forgotten: set[int] = set()

    def _index(self, path: Path) -> None:
        """Note where records begin. A name cannot hold what follows it: its quotes are escaped."""
        file = path.open("rb", buffering=_BUFFER)
        at, number = 0, len(self._files)
        self._files.append(file)
        for line in file:
            end = line.find(_STATE, len(_NAME)) if line.startswith(_NAME) and line.endswith(b"}\n") else -1
            if end >= 0:
                name = line[len(_NAME) : end]
                self._keys.append(hash(name))
                self._places.append(number << _FILE | at)
                self._beginnings.end(number, name)
            else:
                self._beginnings.take(number, line)
            at += len(line)

    def _sort(self) -> None:
        keys, places = np.frombuffer(self._keys, np.int64), np.frombuffer(self._places, np.int64)
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
        is_last = np.append(keys[1:] != keys[:-1], True)[: len(keys)]
        self._keys, self._places = array("q", keys[is_last].tobytes()), array("q", places[order][is_last].tobytes())

    def __len__(self) -> int:
        return len(self._keys) - len(self._forgotten)

    def get(self, name: str) -> Record | None:
        """The last record about a photo."""
        place = self._place(hash(_written(name)))
        record = None if place is None else self._read(place)
        return record if record is not None and record.name == name else None

    def _place(self, key: int) -> int | None:
        at = bisect_left(self._keys, key)
        is_known = at < len(self._keys) and self._keys[at] == key and key not in self._forgotten
        return self._places[at] if is_known else None

    def _read(self, place: int) -> Record | None:
        file = self._files[place >> _FILE]
        file.seek(place & ((1 << _FILE) - 1))
        return Record.parse(file.readline())

    def begun(self) -> list[Begun]:
        """The photos whose files a run was writing when it was killed, or another shard is writing now."""
        return self._beginnings.left()

    def forget(self, name: str) -> None:
        """Know nothing of a photo."""
        key = hash(_written(name))
        if self._place(key) is not None:
            self._forgotten.add(key)

    def all(self) -> Iterator[Record]:
        """The last record of every photo."""
        for key, place in zip(self._keys, self._places, strict=True):
            record = None if key in self._forgotten else self._read(place)
            if record is not None:
                yield record

    def close(self) -> None:
        """Close the files."""
        for file in self._files:
            file.close()


def _written(name: str) -> bytes:
    """A name as it stands in a line."""
    is_plain = name.isascii() and name.isprintable() and '"' not in name and "\\" not in name
    return name.encode() if is_plain else json.dumps(name)[1:-1].encode()
