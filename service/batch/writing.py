"""From masks to files: the last stage of the pipeline."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...models.errors import ClickmaskError, StoppedError
from ..formats import write_files
from ..formats.result import Result
from ..images import Picture
from ..shards.payload import encode
from ..shards.tar import sample_key
from .journal import DONE, Record
from .measuring import measure
from .naming import safe
from .outlet import Outlet
from .plan import Job
from .questions import Answer
from .reading import failed
from .settings import SHARDS, Formats
from .sources import STATE
from .thumbnails import Gallery

COCO = "coco"  # its files are parts of one document, see `dataset`


@dataclass(frozen=True, eq=False)
class Answered:
    """A photo whose masks are there."""

    job: Job
    stamp: Record
    picture: Picture
    answers: Sequence[Answer]
    embedding: bytes | None = None


@dataclass(frozen=True, eq=False)
class Shelf:
    """Writes a photo's files, and its thumbnail if one is wanted. The record is for the caller to keep, after them."""

    out: Outlet
    formats: Formats
    provenance: Mapping[str, Any]
    gallery: Gallery | None = None

    def put(self, job: Job, item: Answered | Record) -> Record:
        """Write a photo's files, and delete what an earlier run made of it. Raises StoppedError when the disk takes
        no more."""
        record = self._write(item) if isinstance(item, Answered) else item
        stale = {path for path, _, _ in job.previous.outputs} if job.previous else set()
        self.out.remove(stale - {path for path, _, _ in record.outputs})
        return record

    def _write(self, item: Answered) -> Record:
        written: list[tuple[str, int, str]] = []
        started = time.monotonic()
        try:
            result = result_of(item, self.provenance)
            for path, data in files_of(item.job, result, self.formats):
                self._keep(path, data, written)
            if item.embedding is not None:
                self._keep(embedding_of(item.job.base), item.embedding, written)
            payload = payload_of(item, result) if SHARDS in self.formats.names else b""
            own = measure(result, self.formats)
        except (ClickmaskError, MemoryError) as error:
            if isinstance(error, StoppedError):
                raise
            self.out.remove([path for path, _, _ in written])
            return failed(item.stamp, error)
        if self.gallery is not None:
            self.gallery.offer(item.job.source.name, result, item.picture.pixels, own.lowest)
        seconds = (*item.stamp.seconds, round(time.monotonic() - started, 4))
        found = item.stamp._replace(state=DONE, outputs=tuple(written), objects=len(item.answers), statistics=own)
        return found._replace(seconds=seconds, payload=payload)

    def _keep(self, path: str, data: bytes, written: list[tuple[str, int, str]]) -> None:
        written.append((path, len(data), hashlib.sha256(data).hexdigest()))
        self.out.write(path, data)


def result_of(item: Answered, provenance: Mapping[str, Any]) -> Result:
    """A photo's objects as the formats take them."""
    alone = len(item.answers) == 1
    objects = [answer.to_object(number, alone=alone) for number, answer in enumerate(item.answers)]
    return Result.of(item.picture, objects, provenance)


def files_of(job: Job, result: Result, formats: Formats) -> Iterator[tuple[str, bytes]]:
    """(path in the output folder, content) of all files about a photo, each made when it is asked for."""
    stem = os.path.splitext(result.file_name)[0]
    others = [name for name in formats.files if name != COCO]
    for file in write_files(result, others, formats.options):
        yield f"{job.base}{file.name.removeprefix(stem)}", file.data
    if COCO in formats.names:
        for file in write_files(replace(result, name=_within(job)), [COCO], formats.options):
            yield part_of(job.base), file.data


def payload_of(item: Answered, result: Result) -> bytes:
    """What a photo's shard is made of, see `shards.payload`. Raises OutputError."""
    plain = replace(result, name=_within(item.job), provenance={})
    return encode(plain, sample_key(item.job.base), item.stamp.sha256)


def _within(job: Job) -> str:
    """The photo's name, relative, for documents of many."""
    return "/".join(safe(part) for part in job.source.name.split("/"))


def embedding_of(base: str) -> str:
    """Where what the encoder made of a photo lies."""
    return f"{base}.safetensors"


def part_of(base: str) -> str:
    """Where a photo's part of the COCO document lies."""
    return f"{STATE}/{COCO}/{base}.json"
