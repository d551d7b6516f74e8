"""From masks to files on the disk: the last stage of the pipeline."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...models.errors import ClickmaskError, OutputError, StoppedError
from ..files import write_atomic
from ..formats import write_files
from ..formats.result import Result
from ..images import Picture
from .journal import DONE, Journal, Record
from .naming import safe
from .plan import Job
from .questions import Answer
from .reading import failed
from .settings import Formats
from .sources import STATE

COCO = "coco"  # its files are parts of one document, see `dataset`
# What is about this one file's name or place. Anything else will befall the next file too.
_OF_THE_FILE = {errno.ENAMETOOLONG, errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.EINVAL, errno.EILSEQ, errno.ELOOP}


@dataclass(frozen=True, eq=False)
class Answered:
    """A photo whose masks are there."""

    job: Job
    stamp: Record
    picture: Picture
    answers: Sequence[Answer]


@dataclass(frozen=True, eq=False)
class Shelf:
    """The output folder: what is written there, how, and where that is recorded."""

    out: Path
    formats: Formats
    provenance: Mapping[str, Any]
    journal: Journal

    def put(self, job: Job, item: Answered | Record) -> Record:
        """Write a photo's files, and after them the record. Raises StoppedError when the disk takes no more."""
        record = self._write(item) if isinstance(item, Answered) else item
        stale = {path for path, _, _ in job.previous.outputs} if job.previous else set()
        remove(self.out, stale - {path for path, _, _ in record.outputs})
        try:
            self.journal.add(record)
        except OSError as error:
            raise _stopped(f"the journal in {self.out} cannot be written", error) from error
        return record

    def _write(self, item: Answered) -> Record:
        written: list[tuple[str, int, str]] = []
        try:
            for path, data in files_of(item, self.formats, self.provenance):
                written.append((path, len(data), hashlib.sha256(data).hexdigest()))
                self._write_file(path, data)
        except (ClickmaskError, MemoryError) as error:
            if isinstance(error, StoppedError):
                raise
            remove(self.out, [path for path, _, _ in written])
            return failed(item.stamp, error)
        return replace(item.stamp, state=DONE, outputs=tuple(written), objects=len(item.answers))

    def _write_file(self, path: str, data: bytes) -> None:
        try:
            write_atomic(self.out / path, data)
        except OutputError as error:
            cause = error.__context__
            if isinstance(cause, OSError) and cause.errno not in _OF_THE_FILE:
                raise _stopped(f"{self.out / path} cannot be written", cause) from error
            raise


def files_of(item: Answered, formats: Formats, provenance: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
    """(path in the output folder, content) of all files about a photo, each made when it is asked for."""
    alone = len(item.answers) == 1
    objects = [answer.to_object(number, alone=alone) for number, answer in enumerate(item.answers)]
    result = Result.of(item.picture, objects, provenance)
    stem = os.path.splitext(result.file_name)[0]
    others = [name for name in formats.names if name != COCO]
    for file in write_files(result, others, formats.options):
        yield f"{item.job.base}{file.name.removeprefix(stem)}", file.data
    if COCO in formats.names:
        within = "/".join(safe(part) for part in item.job.source.name.split("/"))
        for file in write_files(replace(result, name=within), [COCO], formats.options):
            yield part_of(item.job.base), file.data


def part_of(base: str) -> str:
    """Where a photo's part of the COCO document lies, in the output folder."""
    return f"{STATE}/{COCO}/{base}.json"


def remove(out: Path, paths: Iterable[str]) -> None:
    """Delete files in the output folder, where they are there."""
    for path in paths:
        try:
            (out / path).unlink(missing_ok=True)
        except OSError:
            continue  # a folder by now, or not ours to delete: nothing depends on it


def _stopped(what: str, error: OSError) -> StoppedError:
    name = errno.errorcode.get(error.errno or 0, "")
    return StoppedError(
        f"{what}: {error.strerror} ({name}); what is done is kept: mend it, then run the same command again"
    )
