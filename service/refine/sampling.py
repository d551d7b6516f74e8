"""What a mask is at single pixels of the image, without making all its pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...models.frame import LOW_RES, MODEL_SIDE, Frame


class Sampler:
    """The logits at the pixels that some points lie in, as `frame.upsample` makes them there.

    Both its steps are bilinear, so each pixel's logit is a sum of a few low-res ones, by row and by column apart.
    cells: (column, row) of the low-res logits that each point lies in.
    """

    def __init__(self, frame: Frame, points: Sequence[tuple[float, float]]) -> None:
        x0, y0, _, _ = frame.window
        (width, height), (scaled_width, scaled_height) = frame.window_size, frame.scaled_size
        columns = [min(int(x) - x0, width - 1) for x, _ in points]
        rows = [min(int(y) - y0, height - 1) for _, y in points]
        self._columns = np.stack([_weights(column, width, scaled_width) for column in columns])
        self._rows = np.stack([_weights(row, height, scaled_height) for row in rows])
        self.cells = list(zip(self._columns.argmax(1).tolist(), self._rows.argmax(1).tolist(), strict=True))

    def values(self, logits: np.ndarray) -> np.ndarray:
        """(N,) float64 of (256, 256) low-res logits."""
        return np.einsum("nr,rc,nc->n", self._rows, logits, self._columns, optimize=True)


def _weights(pixel: int, size: int, scaled: int) -> np.ndarray:
    """(256,) float64: how much each low-res row (or column) counts at a pixel of a window of that many."""
    found = np.zeros(LOW_RES)
    for place, share in _neighbours(pixel, size, scaled):
        for cell, part in _neighbours(place, MODEL_SIDE, LOW_RES):
            found[cell] += share * part
    return found


def _neighbours(place: int, size: int, source: int) -> list[tuple[int, float]]:
    """The two of `source` places between which one of `size` places lies, and their shares: bilinear, corners apart."""
    at = max(0.0, (place + 0.5) * source / size - 0.5)
    low = min(int(at), source - 1)
    high = min(low + 1, source - 1)
    return [(low, 1 - (at - low)), (high, at - low)]
