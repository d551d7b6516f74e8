"""What came of all photos of a run, those of earlier runs included, as their records tell it."""

from __future__ import annotations

from dataclasses import dataclass, field

from .journal import DONE, Record
from .lots import KEPT, Lowest, lot
from .sources import STATE
from .statistics import Histograms, Spread

_PARTS = f"{STATE}/"  # of documents about all photos


@dataclass(frozen=True)
class Exhibit:
    """A photo that the report may show. lowest: its lowest predicted IoU. picture: a result to look at, or nothing."""

    name: str
    lowest: float | None
    objects: int
    picture: str


@dataclass
class Losses:
    """What a format could not keep, of all photos."""

    photos: int = 0
    objects: int = 0
    pixels: int = 0


@dataclass
class Totals:
    """Of the photos that are done.

    unmeasured: done by a version that counted less. without_objects: nothing was found there. files, bytes: of the
    results; the bytes are with the parts of documents. room: bytes a photo, what it adds to such documents included;
    results: files a photo; both of failed photos too, which have none.
    """

    histograms: Histograms = field(default_factory=Histograms)
    losses: dict[str, Losses] = field(default_factory=dict)
    unmeasured: int = 0
    without_objects: int = 0
    files: int = 0
    bytes: int = 0
    room: Spread = field(default_factory=Spread)
    results: Spread = field(default_factory=Spread)
    worst: Lowest[Exhibit] = field(default_factory=lambda: Lowest(KEPT))
    by_lot: Lowest[Exhibit] = field(default_factory=lambda: Lowest(KEPT))

    def add(self, record: Record) -> None:
        """One photo more."""
        files = size = parts = 0
        for path, bytes_, _ in record.outputs:
            size += bytes_
            if path.startswith(_PARTS):
                parts += bytes_
            else:
                files += 1
        self.files += files
        self.bytes += size
        self.room.add(size + parts)
        self.results.add(files)
        if record.state == DONE:
            self._add_done(record)

    def _add_done(self, record: Record) -> None:
        self.without_objects += not record.objects
        own = record.statistics
        lowest = own.lowest if own else None
        by_lot = (lot(record.name), record.name)
        by_score = None if lowest is None else (lowest, record.name)
        if self.by_lot.admits(by_lot) or (by_score is not None and self.worst.admits(by_score)):
            exhibit = Exhibit(record.name, lowest, record.objects, _picture(record))
            self.by_lot.add(by_lot, exhibit)
            if by_score is not None:
                self.worst.add(by_score, exhibit)
        if own is None:
            self.unmeasured += 1
            return
        self.histograms.add(own)
        for name, objects, pixels in own.losses:
            sum_ = self.losses.setdefault(name, Losses())
            sum_.photos += 1
            sum_.objects += objects
            sum_.pixels += pixels


def _picture(record: Record) -> str:
    """The file that shows most: photo and objects, rather than black and white."""
    shown = [path for path, _, _ in record.outputs if path.endswith((".jpg", ".png")) and not path.startswith(STATE)]
    return min(shown, key=lambda path: (not path.endswith("_overlay.jpg"), not path.endswith(".png"), path), default="")
