"""Where to ask: points on a grid, crops of the image in layers, tiles with a halo.

Grids and crops are those of segment_anything (utils/amg.py), number for number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from ...models.frame import Frame

Window = tuple[int, int, int, int]


@dataclass(frozen=True, eq=False)
class Crop:
    """A part of the image that is encoded by itself, and where it is asked.

    window: (x0, y0, x1, y1) pixels, x1 and y1 exclusive. grid: (N, 2) x y in 0..1; crops share it, since there may be
    tens of thousands of them.
    """

    window: Window
    grid: np.ndarray

    @property
    def points(self) -> np.ndarray:
        """(N, 2) float64 x y, image frame."""
        x0, y0, x1, y1 = self.window
        return self.grid.reshape(-1, 2) * np.array([x1 - x0, y1 - y0]) + np.array([x0, y0])

    def shifted(self, x: int, y: int) -> Crop:
        """The same so many pixels to the right and down."""
        x0, y0, x1, y1 = self.window
        return Crop((x0 + x, y0 + y, x1 + x, y1 + y), self.grid)


def point_grid(per_side: int) -> np.ndarray:
    """(per_side^2, 2) x y in 0..1, each in the middle of its cell, row by row."""
    half = 1 / (2 * per_side) if per_side else 0.0
    middles = np.linspace(half, 1 - half, per_side)
    x, y = np.meshgrid(middles, middles)
    return np.stack([x.ravel(), y.ravel()], axis=1)


def layer_grids(per_side: int, layers: int, downscale: int) -> list[np.ndarray]:
    """A grid for the image and for each layer of crops: `downscale` times fewer points a side in each next layer."""
    return [point_grid(int(per_side / downscale**layer)) for layer in range(layers + 1)]


def crop_windows(size: tuple[int, int], layers: int, overlap_ratio: float) -> list[tuple[Window, int]]:
    """The image (layer 0) and its crops with their layers: layer n cuts each side into 2^n, overlapping.

    Args:
        size: (width, height). overlap_ratio: what neighbours share in layer 1, of the image's shorter side.
    """
    width, height = size
    windows: list[tuple[Window, int]] = [((0, 0, width, height), 0)]
    for layer in range(1, layers + 1):
        per_side = 2**layer
        overlap = int(overlap_ratio * min(size) * (2 / per_side))
        across, down = (math.ceil((overlap * (per_side - 1) + side) / per_side) for side in size)
        for column, row in product(range(per_side), repeat=2):
            x0, y0 = column * (across - overlap), row * (down - overlap)
            windows.append(((x0, y0, min(x0 + across, width), min(y0 + down, height)), layer))
    return [(window, layer) for window, layer in windows if window[0] < window[2] and window[1] < window[3]]


def tile_windows(size: tuple[int, int], tile: int, halo: int) -> list[Window]:
    """Tiles of `tile` pixels a side that cover the image; neighbours share `halo` pixels and more, evenly spread."""
    columns, rows = (_starts(side, tile, halo) for side in size)
    return [(x, y, min(x + tile, size[0]), min(y + tile, size[1])) for y, x in product(rows, columns)]


def tile_count(size: tuple[int, int], tile: int, halo: int) -> int:
    """How many `tile_windows` there are."""
    columns, rows = (_starts(side, tile, halo) for side in size)
    return len(columns) * len(rows)


def _starts(side: int, tile: int, halo: int) -> list[int]:
    if side <= tile:
        return [0]
    count = math.ceil((side - halo) / (tile - halo))
    return [round(number * (side - tile) / (count - 1)) for number in range(count)]


def crops_of(size: tuple[int, int], grids: Sequence[np.ndarray], layers: int, overlap_ratio: float) -> list[Crop]:
    """The image and its crops, each with its layer's points in it."""
    windows = crop_windows(size, layers, overlap_ratio)
    return [Crop(window, grids[layer]) for window, layer in windows if min(Frame(*size, window).scaled_size) > 0]


def tiles_of(size: tuple[int, int], grid: np.ndarray, tile: int, halo: int) -> list[Crop]:
    """The image's tiles, each with the points in it."""
    return [Crop(window, grid) for window in tile_windows(size, tile, halo)]
