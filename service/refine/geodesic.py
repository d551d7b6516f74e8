"""How far places of a picture are from one of them, where crossing an edge is a long way."""

from __future__ import annotations

import numpy as np

_SWEEPS = 2  # down and up; more change little where edges are no labyrinth


def geodesic(colours: np.ndarray, start: tuple[int, int], edge: float) -> np.ndarray:
    """The length of the shortest way from a cell to each, by rows swept down and up (Toivanen 1996; Criminisi,
    Sharp and Blake, "GeoS", ECCV 2008).

    Args:
        colours: (h, w, 3) float32.
        start: (column, row).
        edge: a step to a neighbour is as long as its distance, and so many times the difference of their colours more.

    Returns:
        (h, w) float32, in cells.
    """
    height, width = colours.shape[:2]
    down = 1 + edge * _differences(colours[1:], colours[:-1])
    slant = 2**0.5 + edge * _differences(colours[1:, 1:], colours[:-1, :-1])
    counter = 2**0.5 + edge * _differences(colours[1:, :-1], colours[:-1, 1:])
    along = np.zeros((height, width), np.float32)
    np.cumsum(1 + edge * _differences(colours[:, 1:], colours[:, :-1]), axis=1, out=along[:, 1:])
    lengths = np.full((height, width), np.float32(1e6))
    lengths[start[1], start[0]] = 0
    _spread(lengths[start[1]], along[start[1]])
    for _ in range(_SWEEPS):
        for row in range(1, height):
            _step(lengths[row], lengths[row - 1], along[row], down[row - 1], slant[row - 1], counter[row - 1])
        for row in range(height - 2, -1, -1):
            _step(lengths[row], lengths[row + 1], along[row], down[row], counter[row], slant[row])
    return lengths


def _differences(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.abs(one - other).sum(-1)


def _step(
    row: np.ndarray, near: np.ndarray, along: np.ndarray, straight: np.ndarray, left: np.ndarray, right: np.ndarray
) -> None:
    """A row from the one beside it. left: of the steps that come from one column left, right: from one right."""
    np.minimum(row, near + straight, out=row)
    np.minimum(row[1:], near[:-1] + left, out=row[1:])
    np.minimum(row[:-1], near[1:] + right, out=row[:-1])
    _spread(row, along)


def _spread(row: np.ndarray, along: np.ndarray) -> None:
    """Within a row, both ways. along: the length of the way from its left end."""
    to_right = np.minimum.accumulate(row - along) + along
    to_left = np.minimum.accumulate((row + along)[::-1])[::-1] - along
    np.minimum(to_right, to_left, out=row)
