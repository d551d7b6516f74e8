"""The journal: what was done with which photo, one line of JSON each, written after the files it tells of.

Lines are only ever added. A line cut short by a crash is passed over, and so is any other that is no record: its
photo is done again. Of several lines about one photo the last counts. Lines of another kind tell whose files are
being written, see `begun`; `history` finds its way in them.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from .begun import Begun
from .folders import Folders, sync_folder
from .statistics import Statistics

DONE, FAILED, SKIPPED = "done", "failed", "skipped"
_read = json.JSONDecoder().raw_decode  # a million lines are read before work goes on, and `json.loads` takes half more
_SYNC_LINES, _SYNC_SECONDS = 64, 2.0


class Record(NamedTuple):
    """What became of a photo.

    name: relative. state: DONE, FAILED or SKIPPED. size, mtime_ns, sha256: of the file as it was read; identity: a
    check sum or tag of it that its place knows, or nothing. outputs: path
    in the output folder, bytes and SHA-256 of each file. kind, reason: of a failure, or of passing it over.
    objects: how many were found. statistics: of those, None where an earlier version did not count. seconds: how long
    reading, the model and writing took. payload: what goes to the photo's shard, on its way there: it is not kept.
    """

    name: str
    state: str
    size: int = -1
    mtime_ns: int = -1
    sha256: str = ""
    base: str = ""
    outputs: tuple[tuple[str, int, str], ...] = ()
    objects: int = 0
    kind: str = ""
    reason: str = ""
    statistics: Statistics | None = None
    seconds: tuple[float, ...] = ()
    identity: str = ""
    payload: bytes = b""

    def line(self) -> bytes:
        """The record as a line of ASCII: names of any bytes come through."""
        values = {name: value for name, default in _PLAIN if (value := getattr(self, name)) != default}
        if self.statistics is not None:
            values["statistics"] = self.statistics.values()
        return json.dumps(values, separators=(",", ":")).encode() + b"\n"

    @classmethod
    def parse(cls, line: bytes) -> Record | None:
        """From a line; None when it is not whole."""
        try:
            text = line.decode("ascii")
            values, end = _read(text)
            if text[end:] != "\n" or values["state"] not in (DONE, FAILED, SKIPPED):
                return None
            if "outputs" in values:
                outputs = values["outputs"]
                values["outputs"] = tuple([(str(path), int(size), str(digest)) for path, size, digest in outputs])
            if "statistics" in values:
                values["statistics"] = Statistics.parse(values["statistics"])
            if "seconds" in values:
                values["seconds"] = tuple(map(float, values["seconds"]))
            return cls(**values)
        except (ValueError, TypeError, KeyError, AttributeError):
            return None


# What stands in a line as it is, and the value that need not stand there; name and state, which come first, always do.
_PLAIN = tuple(
    (name, Record._field_defaults.get(name)) for name in Record._fields if name not in ("statistics", "payload")
)


class Journal:
    """A journal being written, by one thread. Raises OSError when the disk does not take it.

    out: the output folder, where it is of this machine: its folders come to the disk before the lines that tell what is
    in them. before_sync: called before those are put on the disk for good, for what else must be there first.
    """

    def __init__(self, path: Path, out: Path | None, before_sync: Callable[[], None] = lambda: None) -> None:
        self._before_sync = before_sync
        self._folders = None if out is None else Folders(out)
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o666)
        self._unsynced, self._synced_at = 0, time.monotonic()
        _cut_torn_line(self._descriptor)
        for folder in (path.parent, out, out.absolute().parent) if out is not None else ():  # they may be new
            sync_folder(folder)

    def begin(self, begun: Begun) -> None:
        """Write down that a photo's files are being written from now on."""
        self._append(begun.line())

    def clear(self, begun: Begun) -> None:
        """Write down that nothing is left of what a killed run had begun."""
        self._append(begun.cleared())

    def add(self, record: Record) -> None:
        """Write a record down; it is on the disk soon, or at `close`: lost ones are done again."""
        if self._folders is not None:
            for path, _, _ in record.outputs:
                self._folders.touch(path)
        self._append(record.line())
        self._unsynced += 1
        if self._unsynced >= _SYNC_LINES or time.monotonic() - self._synced_at > _SYNC_SECONDS:
            self.sync()

    def close(self) -> None:
        """Have everything on the disk."""
        try:
            self.sync()
        finally:
            os.close(self._descriptor)

    def _append(self, data: bytes) -> None:
        start = os.fstat(self._descriptor).st_size
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
        except OSError:
            os.ftruncate(self._descriptor, start)
            raise

    def sync(self) -> None:
        """Have everything on the disk."""
        self._before_sync()
        if self._folders is not None:
            self._folders.sync()
        os.fsync(self._descriptor)
        self._unsynced, self._synced_at = 0, time.monotonic()


def _cut_torn_line(descriptor: int) -> None:
    """What a crash left of a line goes, so that the next one begins at a line's beginning."""
    end = os.fstat(descriptor).st_size
    while end:
        start = max(0, end - 65536)
        os.lseek(descriptor, start, os.SEEK_SET)
        newline = os.read(descriptor, end - start).rfind(b"\n")
        if newline >= 0:
            end = start + newline + 1
            break
        end = start
    os.ftruncate(descriptor, end)
