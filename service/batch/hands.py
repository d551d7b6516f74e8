"""Who does the work: here a segmenter of this very process; see `fleet` for processes and `cluster` for machines."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ...models.device_errors import is_device_error
from ..open_image import OpenImage
from ..segmenter import READ_AHEAD, Segmenter
from .journal import Record
from .pipeline import Item, ReadAhead, Reads, work
from .reading import Opened, failed
from .settings import lasting
from .task import Errand, Note, Task
from .writing import Answered, Shelf

_ON_A_GPU = 8  # photos encoded in one pass


class Here:
    """A segmenter of this process."""

    def __init__(self, segmenter: Segmenter) -> None:
        self._segmenter = segmenter

    @property
    def provenance(self) -> Mapping[str, Any]:
        """Of the segmenter."""
        return self._segmenter.provenance

    @property
    def together(self) -> int:
        """How many photos are encoded in one pass."""
        return _ON_A_GPU if self.provenance["device"] == "cuda" else 1

    @property
    def threads(self) -> int:
        """How many photos are decoded at a time."""
        return 2 if self.together == 1 else max(2, min(_ON_A_GPU, os.cpu_count() or 1))

    @property
    def takes_all_at_once(self) -> bool:
        """No."""
        return False

    def work(self, task: Task, errands: Iterable[Errand], note: Note) -> None:
        """Do them in their order."""
        ahead = READ_AHEAD * self.together
        self.work_off(task, ReadAhead(errands, task.out, ahead=ahead, threads=self.threads), note)

    def work_off(self, task: Task, reads: Reads, note: Note) -> None:
        """Do the photos that are being read."""
        provenance = {**lasting(self._segmenter.provenance), "asked": task.asked}
        shelf = Shelf(task.out, task.formats, provenance, task.gallery)

        def write(item: Item) -> None:
            note(shelf.put(*item))

        work(reads, self._answer, write, together=self.together)

    def _answer(self, photos: Sequence[Opened]) -> list[Answered | Record]:
        """Encode photos and ask them. What goes wrong is told in a record, unless the device broke."""
        started = time.monotonic()
        try:
            images = self._open(photos)
        except Exception as error:
            if is_device_error(error):  # no other photo would come through
                raise
            if len(photos) > 1:
                return [found for photo in photos for found in self._answer([photo])]
            return [failed(photos[0].stamp, error)]
        each = (time.monotonic() - started) / len(photos)
        return [_ask(photo, image, each) for photo, image in zip(photos, images, strict=True)]

    def _open(self, photos: Sequence[Opened]) -> list[OpenImage]:
        """Always as many in one pass: a photo's embedding does not depend on how many were left."""
        pictures = [photo.whole for photo in photos]
        filled = pictures + pictures[-1:] * (self.together - len(pictures))
        return self._segmenter.open_together(filled)[: len(photos)]


def _ask(photo: Opened, image: OpenImage, seconds: float) -> Answered | Record:
    """seconds: what encoding took."""
    started = time.monotonic()
    try:
        answers = photo.asks.ask(photo.job.source.name, image)
    except Exception as error:  # of one photo; the others are none the worse for it
        if is_device_error(error):
            raise
        return failed(photo.stamp, error)
    seconds += time.monotonic() - started
    stamp = replace(photo.stamp, seconds=(*photo.stamp.seconds, round(seconds, 4)))
    return Answered(photo.job, stamp, photo.picture, answers)
