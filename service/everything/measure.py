"""Low-res logits to what stands in the image: run lengths, box and stability score, without a picture of logits.

segment_anything scales logits to the image in two bilinear steps. Both are linear and go along one axis at a time, so
each is a small matrix: logits of some columns of the image are (columns x low-res columns) (low-res) (low-res rows x
rows). Only the part of a mask that can be above -offset is multiplied, and only as many columns at a time as fit a
CPU's cache. The numbers are those of `frame.upsample` but for the last bits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ...models.frame import LOW_RES, MODEL_SIDE, Frame
from .device_ruler import measure_together
from .runs import Runs

STRIP = 1 << 17  # numbers at a time: half a megabyte
BLOCK = 1 << 23  # pixels at a time whose runs are looked for: few megabytes, however large the image
# What the stability score at low resolution may be off: SCREEN_MARGIN, and so much of the edge's share of the area.
# Measured (tests/service/everything): 0.53 at most was needed, and nothing that passes in full fails the screen.
SCREEN_MARGIN, SCREEN_EDGE = 0.03, 0.6


@dataclass(frozen=True, eq=False)
class Measured:
    """A candidate's mask in the image. stability: NaN where not even -offset is reached anywhere."""

    runs: Runs
    stability: float


@dataclass(frozen=True, eq=False)
class _Axis:
    """From low-res to pixels along one axis.

    matrix: (pixels, 256) float32. first, last: (pixels,) the low-res places each pixel depends on, last exclusive.
    """

    matrix: Tensor
    first: np.ndarray
    last: np.ndarray

    def reached(self, low: int, high: int) -> tuple[int, int]:
        """The pixels that depend on a low-res place from `low` to before `high`: from, to before."""
        return int(np.searchsorted(self.last, low, "right")), int(np.searchsorted(self.first, high, "left"))


class Ruler:
    """Measures masks of one frame. Calls change nothing, so threads may share it.

    offset: of logits, for the stability score: IoU of the mask thresholded at +offset and at -offset. threshold: of
    the mask itself.
    """

    def __init__(self, frame: Frame, offset: float, threshold: float = 0.0) -> None:
        self.frame, self.offset, self.threshold = frame, offset, threshold
        self._valid = frame.valid_low_res()
        self._x, self._y = (
            _axis(scaled, side) for scaled, side in zip(frame.scaled_size, frame.window_size, strict=True)
        )

    def passes_screen(self, logits: Tensor, floor: float) -> Tensor:
        """(K, 256, 256) -> (K,) bool: false where the stability score at full resolution is surely below `floor`."""
        columns, rows = self._valid
        part = logits[:, :rows, :columns]
        inner = (part > self.threshold + self.offset).flatten(1).sum(1)
        mask = part > self.threshold - self.offset
        outer, coarse = mask.flatten(1).sum(1), max(1.0, columns / self.frame.window_size[0])
        edge = sum((mask.diff(dim=axis) != 0).flatten(1).sum(1) for axis in (1, 2))  # its length, in low-res places
        slack = SCREEN_MARGIN + SCREEN_EDGE * coarse * edge / outer.clamp(min=1)
        return (outer > 0) & (inner >= (floor - slack) * outer) if floor > 0 else outer >= 0

    def measure_all(self, logits: Tensor) -> list[Measured]:
        """(K, 256, 256) float32 low-res logits -> their masks in the image."""
        if logits.device.type == "cuda":
            pairs = zip(*measure_together(logits, self.frame, self.offset, self.threshold), strict=True)
            return [Measured(runs, stability) for runs, stability in pairs]
        return [self.measure(one) for one in logits.cpu()]

    def measure(self, logits: Tensor) -> Measured:
        """(256, 256) float32 low-res logits on the CPU -> the mask in the image."""
        window, size = self.frame.window, (self.frame.width, self.frame.height)
        low = self.threshold - self.offset if self.offset > 0 else self.threshold
        region = _region(logits[: self._rows(), : self._columns()] > low)
        (y0, y1), (x0, x1) = (0, 0), (0, 0)
        if region is not None:
            (y0, y1), (x0, x1) = self._y.reached(*region[0]), self._x.reached(*region[1])
        if y0 >= y1 or x0 >= x1:  # nothing, or it lies between the pixels of a small image
            return Measured(Runs(*size, np.zeros(0, np.int64), np.zeros(0, np.int64)), float("nan"))
        seen_y, seen_x = _span(self._y, y0, y1), _span(self._x, x0, x1)
        rows = logits[seen_y, seen_x].T @ self._y.matrix[y0:y1, seen_y].T  # (low-res columns, pixel rows)
        inner = outer = 0
        parts: list[Runs] = []
        block = max(1, BLOCK // (y1 - y0))
        for first in range(x0, x1, block):
            columns = np.empty((min(block, x1 - first), y1 - y0), bool)
            counts = self._fill(columns, first, rows, seen_x.start)
            inner, outer = inner + counts[0], outer + counts[1]
            parts.append(Runs.of_columns(columns, (window[0] + first, window[1] + y0), size))
        runs = parts[0] if len(parts) == 1 else _in_a_row(parts)
        return Measured(runs, inner / outer if outer else float("nan"))

    def _fill(self, columns: np.ndarray, first: int, rows: Tensor, left: int) -> tuple[int, int]:
        """Write columns of the mask, the image's from `first` on; how many pixels are above +offset and -offset there.

        rows: (low-res columns from `left` on, pixel rows).
        """
        inner = outer = 0
        step = max(1, STRIP // columns.shape[1])
        for start in range(0, len(columns), step):
            stop = min(start + step, len(columns))
            seen = _span(self._x, first + start, first + stop)
            matrix = self._x.matrix[first + start : first + stop, seen]
            strip = matrix @ rows[seen.start - left : seen.stop - left]
            columns[start:stop] = (strip > self.threshold).numpy()
            inner += int(torch.count_nonzero(strip > self.threshold + self.offset))
            outer += int(torch.count_nonzero(strip > self.threshold - self.offset))
        return inner, outer

    def _rows(self) -> int:
        return int(self._y.last[-1])

    def _columns(self) -> int:
        return int(self._x.last[-1])


def _axis(scaled: int, pixels: int) -> _Axis:
    steps = F.interpolate(torch.eye(LOW_RES)[None], size=MODEL_SIDE, mode="linear", align_corners=False)
    steps = steps[..., :scaled]
    if scaled != pixels:
        steps = F.interpolate(steps, size=pixels, mode="linear", align_corners=False)
    matrix = steps[0].T.contiguous()
    used = (matrix != 0).numpy()
    return _Axis(matrix, used.argmax(1), LOW_RES - used[:, ::-1].argmax(1))


def _span(axis: _Axis, start: int, stop: int) -> slice:
    """The low-res places that the pixels from start to before stop depend on."""
    return slice(int(axis.first[start]), int(axis.last[stop - 1]))


def _in_a_row(parts: list[Runs]) -> Runs:
    """The runs of columns that follow each other."""
    starts, ends = (np.concatenate(bounds) for bounds in zip(*((one.starts, one.ends) for one in parts), strict=True))
    return Runs.of_ends(parts[0].width, parts[0].height, starts, ends)


def _region(mask: Tensor) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """Rows and columns around what is true: from, to before; None where nothing is."""
    rows, columns = (np.flatnonzero(mask.any(axis).numpy()) for axis in (1, 0))
    if not len(rows):
        return None
    return (int(rows[0]), int(rows[-1]) + 1), (int(columns[0]), int(columns[-1]) + 1)
