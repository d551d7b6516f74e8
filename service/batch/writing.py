"""From masks to files: the last stage of the pipeline."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...models.errors import ClickmaskError, StoppedError
from ..formats import write_files
from ..formats.result import Result
from ..images import Picture
from .journal import DONE, Record
from .naming import safe
from .outlet import Outlet
from .plan import Job
from .questions import Answer
from .reading import failed
from .settings import Formats
from .sources import STATE

COCO = "coco"  # its files are parts of one document, see `dataset`


@dataclass(frozen=True, eq=False)
class Answered:
    """A photo whose masks are there."""

    job: Job
    stamp: Record
    picture: Picture
    answers: Sequence[Answer]


@dataclass(frozen=True, eq=False)
class Shelf:
    """Writes a photo's files. Their record is for the caller to keep, once they are there."""

    out: Outlet
    formats: Formats
    provenance: Mapping[str, Any]

    def put(self, job: Job, item: Answered | Record) -> Record:
        """Write a photo's files, and delete what an earlier run made of it. Raises StoppedError when the disk takes
        no more."""
        record = self._write(item) if isinstance(item, Answered) else item
        stale = {path for path, _, _ in job.previous.outputs} if job.previous else set()
        self.out.remove(stale - {path for path, _, _ in record.outputs})
        return record

    def _write(self, item: Answered) -> Record:
        written: list[tuple[str, int, str]] = []
        try:
            for path, data in files_of(item, self.formats, self.provenance):
                written.append((path, len(data), hashlib.sha256(data).hexdigest()))
                self.out.write(path, data)
        except (ClickmaskError, MemoryError) as error:
            if isinstance(error, StoppedError):
                raise
            self.out.remove([path for path, _, _ in written])
            return failed(item.stamp, error)
        return replace(item.stamp, state=DONE, outputs=tuple(written), objects=len(item.answers))


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
    """Where a photo's part of the COCO document lies."""
    return f"{STATE}/{COCO}/{base}.json"
