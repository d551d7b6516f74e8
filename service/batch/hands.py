"""Who does the work: here a segmenter of this very process; see `fleet` for processes and `cluster` for machines."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from ..provenance import lasting
from ..segmenter import READ_AHEAD, Segmenter
from .desk import Desk
from .pipeline import Item, ReadAhead, Reads, work
from .settings import EMBEDDING
from .task import Errand, Note, Task
from .writing import Shelf

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
        self.work_off(task, ReadAhead(errands, task, ahead=ahead, threads=self.threads), note)

    def work_off(self, task: Task, reads: Reads, note: Note) -> None:
        """Do the photos that are being read."""
        provenance = {**lasting(self._segmenter.provenance), "asked": task.asked}
        shelf = Shelf(task.out, task.formats, provenance, task.gallery)

        def write(item: Item) -> None:
            note(shelf.put(*item))

        desk = Desk(self._segmenter, self.together, keeps_embeddings=EMBEDDING in task.formats.names)
        work(reads, desk.answer, write, together=self.together)
