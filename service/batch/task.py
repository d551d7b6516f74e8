"""What is done with every photo, and what can do it: `hands` of this process, a `fleet` of processes, a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from .journal import Record
from .outlet import Outlet
from .plan import Job
from .questions import Asks
from .settings import Formats
from .thumbnails import Gallery

Errand = tuple[Job, Asks]  # a photo, and what is asked of it
Note = Callable[[Record], None]


@dataclass(frozen=True, eq=False)
class Task:
    """Picklable, so that other processes may do it. asked: the question, in words for results."""

    formats: Formats
    out: Outlet
    asked: Mapping[str, Any]
    gallery: Gallery | None = None
    is_fast: bool = False


class Hands(Protocol):
    """Something that does photos."""

    @property
    def provenance(self) -> Mapping[str, Any]:
        """Of the segmenter behind it, whichever it is: they are all alike. Raises as `Segmenter` does."""
        ...

    @property
    def takes_all_at_once(self) -> bool:
        """Whether it is handed everything before it does anything."""
        ...

    def work(self, task: Task, errands: Iterable[Errand], note: Note) -> None:
        """Do them, in any order; `note` gets each one's record once its files are written, by one thread."""
        ...
