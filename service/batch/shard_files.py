"""A shard's files, made from the payloads of its photos, one after the other."""

from __future__ import annotations

import hashlib
import io
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

from ...models.errors import OutputError
from ..shards.parquet import ParquetPhotos, ParquetWriter
from ..shards.payload import Document, dump, load
from ..shards.tar import TarWriter
from .journal import Record
from .shard_store import SHARDS, ShardRow, are_whole, commit, read_row, staged
from .spool import is_place, read_entry


class PayloadGoneError(Exception):
    """A photo's payload is neither in a spool nor in its shard; the photo's name."""


class PhotoChangedError(Exception):
    """A photo's file is no longer what was segmented; the photo's name."""


@dataclass(frozen=True)
class ShardMaker:
    """How shards are made: output folder; what made the masks; whether to read files of earlier runs (verify).

    read_photo: a photo's relative name -> its file's bytes, for tars with the photos in them. check: called at each
    photo; what it raises ends the work.
    """

    out: Path
    provenance: Mapping[str, object]
    verify: bool = False
    read_photo: Callable[[str], bytes] | None = None
    check: Callable[[], None] = field(default=lambda: None)

    def settle(self, number: int, records: Sequence[Record]) -> ShardRow:
        """The shard of these photos, which are done and in their order: as it is, or written anew where need be.

        Raises PayloadGoneError, PhotoChangedError; OutputError and OSError when it cannot be written.
        """
        row = read_row(self.out, number)
        places = [payload_place(record) for record in records]
        digests = tuple(digest for _, _, digest in places)
        if row is not None and row.members == digests and are_whole(self.out, row.files, verify=self.verify):
            return row
        row = self._write(number, records, row)
        commit(self.out, row)
        return row

    def _write(self, number: int, records: Sequence[Record], before: ShardRow | None) -> ShardRow:
        names: list[str] = []
        labels: Counter[str] = Counter()
        objects = 0
        with ExitStack() as stack:
            files = [stack.enter_context(_StagedFile(staged(self.out, f"{number:05}.{end}"))) for end in _ENDS]
            table = stack.enter_context(closing(ParquetWriter(files[0], self.provenance)))
            tar = stack.enter_context(closing(TarWriter(files[1], self.provenance)))
            for record, document in self._documents(records, before):
                self.check()
                table.add(document)
                tar.add(document, self._photo(record))
                names.append(document["image"]["name"])
                objects += len(document["objects"])
                labels.update(item["label"] for item in document["objects"] if item["label"] is not None)
        written = tuple((file.path.name, file.size, file.digest.hexdigest()) for file in files)
        ends = (names[0], names[-1]) if names else (None, None)
        members = tuple(payload_place(record)[2] for record in records)
        return ShardRow(number, written, members, *ends, objects, dict(sorted(labels.items())))

    def _documents(self, records: Sequence[Record], row: ShardRow | None) -> Iterator[tuple[Record, Document]]:
        with ExitStack() as stack:
            shard = _open_shard(self.out, row)
            if shard is not None:
                stack.enter_context(closing(shard))
            for record in records:
                payload = read_entry(self.out, *payload_place(record))
                yield record, load(payload) if payload is not None else _from_shard(record, shard, row)

    def _photo(self, record: Record) -> bytes | None:
        if self.read_photo is None:
            return None
        try:
            data = self.read_photo(record.name)
        except OSError:
            raise PhotoChangedError(record.name) from None
        if hashlib.sha256(data).hexdigest() != record.sha256:
            raise PhotoChangedError(record.name)
        return data


_ENDS = ("parquet", "tar")


def payload_place(record: Record) -> tuple[str, int, str]:
    """Where a photo's payload was put, its size and SHA-256. Raises PayloadGoneError."""
    for output in record.outputs:
        if is_place(output[0]):
            return output
    raise PayloadGoneError(record.name)


def _open_shard(out: Path, row: ShardRow | None) -> ParquetPhotos | None:
    """The shard as it was, whose photos need not be done again."""
    if row is None or not are_whole(out, row.files[:1]):
        return None
    try:
        return ParquetPhotos(str(out / SHARDS / row.files[0][0]))
    except OutputError:
        return None


def _from_shard(record: Record, shard: ParquetPhotos | None, row: ShardRow | None) -> Document:
    digest = payload_place(record)[2]
    if shard is None or row is None or digest not in row.places:
        raise PayloadGoneError(record.name)
    try:
        document = shard[row.places[digest]]
    except OutputError:
        raise PayloadGoneError(record.name) from None
    if hashlib.sha256(dump(document)).hexdigest() != digest:
        raise PayloadGoneError(record.name)
    return document


class _StagedFile(io.BufferedWriter):
    """A file that is digested as it is written; it is on the disk once it is closed."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        super().__init__(io.FileIO(path, "w"))
        self.path, self.size, self.digest = path, 0, hashlib.sha256()

    def write(self, data: bytes, /) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Write, and count what is written."""
        self.digest.update(data)
        self.size += len(memoryview(data).cast("B"))
        return super().write(data)

    def close(self) -> None:
        """Sync and close."""
        try:
            if not self.closed:
                self.flush()
                os.fsync(self.fileno())
        finally:
            super().close()
