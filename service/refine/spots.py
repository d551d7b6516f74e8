"""Pixels that are as a click says where low-res logits are too coarse to tell it from another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Spot:
    """Pixels around a point that are as the point says. radius: in pixels of the image."""

    x: float
    y: float
    label: int
    radius: float

    def scaled(self, origin: tuple[int, int], step: tuple[float, float]) -> Spot:
        """For a raster whose first pixel lies at `origin`, with so many image pixels to one of its own."""
        (left, top), (across, down) = origin, step
        return Spot((self.x - left) / across, (self.y - top) / down, self.label, self.radius / max(across, down))

    def paint(self, pixels: np.ndarray) -> None:
        """Into (H, W) bool pixels of the image."""
        height, width = pixels.shape
        column, row, reach = int(self.x), int(self.y), int(self.radius) + 1
        y0, x0 = max(0, row - reach), max(0, column - reach)
        part = pixels[y0 : min(height, row + reach + 1), x0 : min(width, column + reach + 1)]
        rows, columns = np.ogrid[: part.shape[0], : part.shape[1]]
        part[(rows + y0 - row) ** 2 + (columns + x0 - column) ** 2 <= self.radius**2] = bool(self.label)
