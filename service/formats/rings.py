"""A mask as plain rings, for formats whose polygons know no holes: one closed ring for each part.

A hole is joined to what lies above it by a slit of no width, gone down and up again, so that the ring goes round
the object's pixels and no others. All corners lie a tenth of a pixel inside the object. So whoever counts a pixel
by its middle (pycocotools, `polygons.from_polygons`) reads the very mask back, and so does whoever cuts the
decimals off and draws the outline as well (labelme by Pillow, many others by OpenCV), who would otherwise get a
row and a column more.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from ..polygons import to_polygons

INSET = 0.1  # pixels; one decimal keeps the files small
_DECIMALS = 1


def to_rings(mask: np.ndarray, tolerance: float = 0.0, corner: tuple[int, int] = (0, 0)) -> list[np.ndarray]:
    """One ring (N, 2) float64, x y, image frame, for each part of `mask`, (H, W) bool; not closed by repetition.

    `corner`: (x0, y0), where the mask lies when it is of a part of the image only: the rings are those of the whole.
    `tolerance` > 0 leaves out corners that lie within that many pixels of the simpler ring (Douglas-Peucker); a ring
    that would collapse stays exact. Raises PromptError as `to_polygons` does.
    """
    if mask.size == 0:  # of an empty object's box
        return []
    parts = to_polygons(mask) if tolerance > 0 else to_polygons(mask, tolerance)
    rings = _Outlines(parts, mask).walk() if parts else []
    rings = [np.round(ring + corner, _DECIMALS) for ring in rings] if any(corner) else rings
    return [_simplify(ring, tolerance) for ring in rings] if tolerance > 0 else rings


def _simplify(ring: np.ndarray, tolerance: float) -> np.ndarray:
    simple = cv2.approxPolyDP(ring.astype(np.float32)[:, None], tolerance, True)[:, 0]
    return np.round(simple.astype(np.float64), _DECIMALS) if len(simple) > 2 else ring


class _Outlines:
    """The rings of all parts, one after the other, moved inwards; and where each hole hangs.

    A hole hangs on the side that its slit comes down from: the first above its own top left corner. All along the
    rings the object lies to the right.
    """

    def __init__(self, parts: list[list[np.ndarray]], mask: np.ndarray) -> None:
        rings = [ring for part in parts for ring in part]
        self._starts = np.cumsum([0, *(len(ring) for ring in rings)])
        self._outer = np.cumsum([0, *(len(part) for part in parts[:-1])])
        self._corners = np.concatenate(rings)
        following = np.arange(1, len(self._corners) + 1)
        following[self._starts[1:] - 1] = self._starts[:-1]
        goes = np.sign(self._corners[following] - self._corners)
        self._points, self._first = _inset(self._corners, following, goes, mask)
        self._hung = self._hang(goes[:, 0] > 0, mask)

    def _hang(self, is_upper: np.ndarray, mask: np.ndarray) -> dict[int, dict[int, list[tuple[int, int, int]]]]:
        """For each ring its corners that are followed by holes: column of the slit, row of its top, and hole.

        `is_upper`: whether a side goes to the right, so that the object is below it.
        """
        hung: dict[int, dict[int, list[tuple[int, int, int]]]] = {}
        upper = np.flatnonzero(is_upper)
        stride = mask.shape[1] + 1
        keys = self._corners[upper, 1] * np.int64(stride) + self._corners[upper, 0]
        order = np.argsort(keys)
        keys, upper = keys[order], upper[order]
        for hole in np.setdiff1d(np.arange(len(self._starts) - 1), self._outer).tolist():
            column, below = self._corners[self._starts[hole + 1] - 1].tolist()  # its last corner is its top left one
            above = np.flatnonzero(~mask[:below, column])
            top = int(above[-1]) + 1 if len(above) else 0
            corner = int(upper[np.searchsorted(keys, top * stride + column, side="right") - 1])
            ring = int(np.searchsorted(self._starts, corner, side="right")) - 1
            hung.setdefault(ring, {}).setdefault(corner, []).append((column, top, hole))
        return hung

    def walk(self) -> list[np.ndarray]:
        """For each part (N, 2) float64: round the outer ring, down each slit, round the hole, and up again."""
        rings = [np.round(np.concatenate(list(self._pieces(ring))), _DECIMALS) for ring in self._outer.tolist()]
        return [ring[(ring != np.roll(ring, 1, axis=0)).any(axis=1)] for ring in rings]  # slits may begin at a corner

    def _pieces(self, ring: int) -> Iterator[np.ndarray]:
        todo = [self._round(ring)]
        while todo:  # holes may hang on holes, deeper than Python calls itself
            step = next(todo[-1], None)
            if step is None:
                todo.pop()
            elif isinstance(step, int):
                todo.append(self._round(step))
            else:
                yield step

    def _round(self, ring: int) -> Iterator[np.ndarray | int]:
        """A ring from its last corner on, and where a hole hangs, the slit, the hole's number, and the slit back."""
        last = int(self._starts[ring + 1]) - 1
        yield self._points[self._first[last] : self._first[last + 1]]
        at = self._first[self._starts[ring]]
        for corner, holes in sorted(self._hung.get(ring, {}).items()):
            yield self._points[at : self._first[corner + 1]]
            at = self._first[corner + 1]
            for column, top, hole in sorted(holes):
                below = self._corners[self._starts[hole + 1] - 1, 1]
                slit = np.array(((column + INSET, top + INSET), (column + INSET, below - INSET)))
                yield slit
                yield hole
                yield slit[::-1]
        yield self._points[at : self._first[last]]


def _inset(
    corners: np.ndarray, following: np.ndarray, goes: np.ndarray, mask: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Points (P, 2) float64 within the object for corners (N, 2), and (N + 1,) where each corner's points begin.

    Where two pixels touch by their corners only, a single point would come to lie beside both: there the ring goes
    from a point in the one to a point in the other. `goes`: unit steps (N, 2) from each corner to the `following`.
    """
    came = np.empty_like(goes)
    came[following] = goes
    inward = _right(came) + _right(goes)
    x, y = (corners + (inward - 1) // 2).T
    is_inside = mask[y, x]
    first = np.concatenate(([0], np.cumsum(np.where(is_inside, 1, 2))))
    points = np.empty((first[-1], 2))
    points[first[:-1]] = corners + INSET * np.where(is_inside[:, None], inward, _right(came) - came)
    between = ~is_inside
    points[first[:-1][between] + 1] = (corners + INSET * (_right(goes) + goes))[between]
    return points, first


def _right(way: np.ndarray) -> np.ndarray:
    """What lies to the right on the screen, y down, of unit steps (N, 2)."""
    return np.stack((-way[:, 1], way[:, 0]), axis=1)
