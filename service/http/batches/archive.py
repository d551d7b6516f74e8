"""A folder of results as a zip that is made while it is sent: no more of it in memory than a piece.

The same files give the same bytes: names in order, no times of day.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Generator, Iterator
from io import RawIOBase
from pathlib import Path
from typing import IO, cast

from ...batch.sources import STATE

_PIECE = 1 << 18
_TEXTS = (".json", ".geojson", ".csv", ".txt", ".yaml")


def stream_zip(folder: Path) -> Generator[bytes]:
    """The zip, piece by piece, of all results in a folder; links, and the batch's own notes, are left out."""
    out = _Pieces()
    with zipfile.ZipFile(cast(IO[bytes], out), "w", allowZip64=True) as archive:
        for name, path in _files(folder, ""):
            yield from _add(archive, out, name, path)
    yield out.take()


def _add(archive: zipfile.ZipFile, out: _Pieces, name: str, path: str) -> Iterator[bytes]:
    info = zipfile.ZipInfo(name)
    info.compress_type = zipfile.ZIP_DEFLATED if name.endswith(_TEXTS) else zipfile.ZIP_STORED
    try:
        file = open(path, "rb")
    except OSError:  # it went meanwhile
        return
    with file, archive.open(info, "w", force_zip64=os.fstat(file.fileno()).st_size >= zipfile.ZIP64_LIMIT) as entry:
        while data := file.read(_PIECE):
            entry.write(data)
            yield out.take()


def _files(folder: Path | str, below: str) -> Iterator[tuple[str, str]]:
    """Names in the zip, and paths, of files, by name."""
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: os.fsencode(entry.name))
    for entry in entries:
        if entry.is_dir(follow_symlinks=False) and entry.name != STATE:
            yield from _files(entry.path, f"{below}{entry.name}/")
        elif entry.is_file(follow_symlinks=False) and not entry.name.endswith(".part"):
            yield f"{below}{entry.name}", entry.path


class _Pieces(RawIOBase):
    """What is written, until it is taken."""

    def __init__(self) -> None:
        self._waiting = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: object, /) -> int:
        view = memoryview(data)  # pyright: ignore[reportArgumentType]
        self._waiting += view
        return view.nbytes

    def take(self) -> bytes:
        data, self._waiting = bytes(self._waiting), bytearray()
        return data
