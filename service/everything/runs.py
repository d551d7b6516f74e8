"""A mask as its runs: where object begins and where it ends, column by column, as in COCO's run lengths.

Areas, boxes, overlaps and unions are computed on runs alone, so hundreds of masks of a large photo take little room.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from .. import rle
from ..rle import Rle


@dataclass(frozen=True, eq=False)
class Runs:
    """width, height: of the image. starts, ends: (N,) int64, pixel numbers column by column, increasing, none touch."""

    width: int
    height: int
    starts: np.ndarray
    ends: np.ndarray

    @staticmethod
    def of(mask: np.ndarray, at: tuple[int, int] = (0, 0), size: tuple[int, int] | None = None) -> Runs:
        """The runs of a mask, (H, W) bool; of a part of an image where `at` (x, y) and `size` (its size) say so."""
        return Runs.of_columns(cv2.transpose(np.ascontiguousarray(mask).view(np.uint8)).view(bool), at, size)

    @staticmethod
    def of_columns(columns: np.ndarray, at: tuple[int, int] = (0, 0), size: tuple[int, int] | None = None) -> Runs:
        """The same of a mask given as its columns: (W, H) bool."""
        count, length = columns.shape
        width, height = size or (count, length)
        framed = np.zeros((count, length + 1), bool)  # a pixel that is none below each column: runs end there
        framed[:, :length] = columns
        flat = framed.reshape(-1)
        changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
        if flat.size and flat[0]:
            changes = np.concatenate(([0], changes))
        column, row = np.divmod(changes, length + 1)
        places = (column + at[0]) * height + row + at[1]
        return Runs.of_ends(width, height, places[::2], places[1::2])

    @staticmethod
    def of_ends(width: int, height: int, starts: np.ndarray, ends: np.ndarray) -> Runs:
        """From where runs begin and end, (N,) each, increasing; those that touch become one."""
        return Runs(width, height, starts, ends)._joined()

    @staticmethod
    def union(all_runs: Iterable[Runs]) -> Runs:
        """What any of them covers."""
        runs = list(all_runs)
        starts = np.concatenate([one.starts for one in runs])
        order = np.argsort(starts, kind="stable")
        starts, reach = starts[order], np.maximum.accumulate(np.concatenate([one.ends for one in runs])[order])
        first = np.ones(len(starts), bool)
        first[1:] = starts[1:] > reach[:-1]
        last = np.append(first[1:], True)[: len(starts)]
        return Runs(runs[0].width, runs[0].height, starts[first], reach[last])

    def _joined(self) -> Runs:
        """Without ends that are the next one's start: at the image's lower edge and the next column's top."""
        if len(self.starts) < 2:
            return self
        apart = self.starts[1:] != self.ends[:-1]
        starts, ends = self.starts[np.append(True, apart)], self.ends[np.append(apart, True)]
        return Runs(self.width, self.height, starts, ends)

    @cached_property
    def area(self) -> int:
        """Pixels."""
        return int((self.ends - self.starts).sum())

    @cached_property
    def box(self) -> tuple[int, int, int, int] | None:
        """(x0, y0, x1, y1), x1 and y1 exclusive; None for an empty mask."""
        if not len(self.starts):
            return None
        left, top = np.divmod(self.starts, self.height)
        right, bottom = np.divmod(self.ends - 1, self.height)
        x0, x1 = int(left[0]), int(right[-1]) + 1
        if (left != right).any():  # a run that goes on in the next column touches bottom and top
            return x0, 0, x1, self.height
        return x0, int(top.min()), x1, int(bottom.max()) + 1

    def overlap(self, other: Runs) -> int:
        """Pixels that both cover."""
        few, many = (self, other) if len(self.starts) < len(other.starts) else (other, self)
        return int((many._covered(few.ends) - many._covered(few.starts)).sum())

    def has(self, places: np.ndarray) -> np.ndarray:
        """(N,) bool: whether each of these pixels (numbers, column by column) is covered."""
        return (self._covered(places + 1) - self._covered(places)).astype(bool)

    def _covered(self, places: np.ndarray) -> np.ndarray:
        """How many pixels before each place are covered."""
        sums = np.concatenate(([0], np.cumsum(self.ends - self.starts)))
        number = np.searchsorted(self.starts, places, side="right")
        inside = np.minimum(places, self.ends[number - 1]) - self.starts[number - 1] if len(self.starts) else 0
        return np.where(number > 0, sums[number - 1] + inside, 0)

    def within(self, x0: int, x1: int) -> Runs:
        """What lies in the columns from x0 to before x1."""
        low, high = x0 * self.height, x1 * self.height
        starts, ends = np.clip(self.starts, low, high), np.clip(self.ends, low, high)
        kept = starts < ends
        return Runs(self.width, self.height, starts[kept], ends[kept])

    def columns(self, x0: int, x1: int) -> np.ndarray:
        """(x1 - x0, H) bool: those columns."""
        part = self.within(x0, x1)
        bounds = np.empty(2 * len(part.starts) + 2, np.int64)
        bounds[0], bounds[-1] = x0 * self.height, x1 * self.height
        bounds[1:-1:2], bounds[2:-1:2] = part.starts, part.ends
        colours = np.arange(len(bounds) - 1, dtype=np.uint8) & 1
        return np.repeat(colours, np.diff(bounds)).reshape(x1 - x0, self.height).view(bool)

    def pixels(self) -> np.ndarray:
        """(H, W) bool."""
        return cv2.transpose(self.columns(0, self.width).view(np.uint8)).view(bool)

    def counts(self) -> np.ndarray:
        """COCO's run lengths, background first, for `rle.decode`."""
        bounds = np.empty(2 * len(self.starts) + 2, np.int64)
        bounds[0], bounds[-1] = 0, self.width * self.height
        bounds[1:-1:2], bounds[2:-1:2] = self.starts, self.ends
        counts = np.diff(bounds)
        return counts if counts[-1] or len(counts) == 1 else counts[:-1]

    def rle(self) -> Rle:
        """COCO's compressed run lengths: {"size": [H, W], "counts": str}."""
        return {"size": [self.height, self.width], "counts": rle.compress(self.counts())}

    @property
    def nbytes(self) -> int:
        """Bytes of memory."""
        return self.starts.nbytes + self.ends.nbytes
