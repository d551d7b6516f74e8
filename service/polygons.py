"""Outlines of a mask, and masks of outlines: exact both ways.

Pixel (x, y) of the image frame covers the square from (x, y) to (x + 1, y + 1), as boxes with exclusive ends
have it. So a ring runs along the edges of pixels and its corners are whole numbers, 0..width and 0..height;
the area inside it is the count of its pixels. A part of a mask is what hangs together by sides or corners
(8-connected); a hole is a ring of its own, an island in a hole a part of its own. pycocotools rasterises
such rings to the same pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from ..models.errors import PromptError

_FARTHEST = 1e9
_LEFT_UP, _RIGHT_UP, _LEFT_DOWN, _RIGHT_DOWN = 1, 2, 4, 8  # the four pixels around a grid point, as bits
_FALLING, _RISING = _LEFT_UP | _RIGHT_DOWN, _RIGHT_UP | _LEFT_DOWN  # two pixels that touch at that point only
_IS_CORNER = np.array([code.bit_count() % 2 == 1 or code in (_FALLING, _RISING) for code in range(16)])


def to_polygons(mask: np.ndarray, tolerance: float = 0.0) -> list[list[np.ndarray]]:
    """The parts of a mask, each as [outer ring, hole ring, ...].

    `mask`: (H, W) bool. A ring is (N, 2) int32, x y, image frame, N >= 4, not closed by repeating its first
    corner; outer rings run clockwise as seen on the screen, holes the other way. `from_polygons` gives the
    very mask back. `tolerance` > 0 leaves out corners that lie within that many pixels of the simpler ring
    (Douglas-Peucker; N may then be 3); holes that collapse are dropped, outer rings that would stay exact.
    Raises PromptError when `mask` is not two-dimensional or `tolerance` is negative.
    """
    if mask.ndim != 2:
        raise PromptError(f"mask must have shape (H, W), got {mask.shape}")
    if not tolerance >= 0:
        raise PromptError(f"tolerance must be 0 or more pixels, got {tolerance}")
    pixels = (mask != 0).astype(np.uint8)
    left, top, width, height = cv2.boundingRect(pixels)
    if width == 0:
        return []
    pixels = np.ascontiguousarray(pixels[top : top + height, left : left + width])
    parts = _parts(pixels, np.array((left, top), np.int32))
    return parts if tolerance == 0 else [_simplify(part, tolerance) for part in parts]


def from_polygons(polygons: Sequence[Sequence[np.ndarray]], size: tuple[int, int]) -> np.ndarray:
    """The mask, (H, W) bool, that parts of rings cover in an image of `size` (width, height).

    `polygons`: parts, each a list of rings (N, 2), x y, image frame, whole or fractional, N >= 3; what lies
    outside the image is cut off. A pixel belongs to a part when its middle is inside an odd number of the
    part's rings. Raises PromptError (field polygons) for other shapes.
    """
    width, height = size
    mask = np.zeros((height, width), bool)
    for rings in polygons:
        _fill_part(mask, [_checked_ring(ring) for ring in rings])
    return mask


def _parts(pixels: np.ndarray, offset: np.ndarray) -> list[list[np.ndarray]]:
    """Outer rings and their holes, brought together by the label of an object pixel at their first corner."""
    _, labels = cv2.connectedComponents(pixels, connectivity=8)
    outer: dict[int, np.ndarray] = {}
    holes: dict[int, list[np.ndarray]] = {}
    for ring in _rings(pixels):
        x, y = ring[0]  # topmost, then leftmost: the ring encloses the pixel right below
        if pixels[y, x]:
            outer[int(labels[y, x])] = ring + offset
        else:
            holes.setdefault(int(labels[y - 1, x]), []).append(ring[::-1] + offset)
    return [[ring, *holes.get(label, [])] for label, ring in outer.items()]


def _rings(pixels: np.ndarray) -> Iterator[np.ndarray]:
    """Closed walks over the corners, each from its topmost, leftmost corner to the right first."""
    corners, beside, above = _linked_corners(pixels)
    seen = bytearray(len(beside))
    for start in range(len(beside)):
        if seen[start]:
            continue
        ring, at = [], start
        while not seen[at]:
            across = beside[at]
            seen[at] = seen[across] = 1
            ring += (at, across)
            at = above[across]
        yield corners[ring]


def _linked_corners(pixels: np.ndarray) -> tuple[np.ndarray, list[int], list[int]]:
    """Corners (N, 2) of the outlines; for each the other end of its horizontal and of its vertical side.

    Along any row or column of the grid the corners pair off: a side starts at one and ends at the next. A
    point where two pixels touch by their corners is two corners, one for each side of the crossing.
    """
    codes = _corner_codes(pixels)
    y, x = np.nonzero(_IS_CORNER[codes])
    code = codes[y, x]
    crossing = (code == _FALLING) | (code == _RISING)
    times = np.where(crossing, 2, 1)
    y, x, code = (np.repeat(value, times) for value in (y, x, code))
    second = np.zeros(len(x), bool)
    second[np.cumsum(times)[crossing] - 1] = True
    # The first twin ends the side on the left, the second starts the one on the right. Their vertical sides
    # are chosen so that the two object pixels hang together: if they fall (\), left goes with down.
    goes_down = second ^ (code == _FALLING)
    down = np.lexsort((goes_down, y, x))
    vertical = np.empty(len(x), np.int64)
    vertical[down] = down.reshape(-1, 2)[:, ::-1].ravel()
    horizontal = np.arange(len(x)) ^ 1
    return np.stack((x, y), axis=1).astype(np.int32), horizontal.tolist(), vertical.tolist()


def _corner_codes(pixels: np.ndarray) -> np.ndarray:
    """(h + 1, w + 1) uint8: which of the four pixels around each grid point are object."""
    padded = np.pad(pixels, 1)
    codes = padded[:-1, :-1] * _LEFT_UP
    codes |= padded[:-1, 1:] * _RIGHT_UP
    codes |= padded[1:, :-1] * _LEFT_DOWN
    codes |= padded[1:, 1:] * _RIGHT_DOWN
    return codes


def _simplify(rings: Sequence[np.ndarray], tolerance: float) -> list[np.ndarray]:
    simple = [cv2.approxPolyDP(ring[:, None], tolerance, True)[:, 0] for ring in rings]
    outer = simple[0] if len(simple[0]) > 2 else rings[0]
    return [outer, *(ring for ring in simple[1:] if len(ring) > 2)]


def _checked_ring(ring: np.ndarray) -> np.ndarray:
    try:
        ring = np.asarray(ring, np.float64)
    except (TypeError, ValueError):
        raise PromptError("polygons: a ring must be a list of [x, y] numbers") from None
    if ring.ndim != 2 or ring.shape[0] < 3 or ring.shape[1] != 2:
        raise PromptError(f"polygons: a ring must have shape (N, 2), N >= 3, got {ring.shape}")
    if not (np.abs(ring) < _FARTHEST).all():
        raise PromptError("polygons: a ring has a coordinate that is no number, or absurdly large")
    return ring


def _fill_part(mask: np.ndarray, rings: Sequence[np.ndarray]) -> None:
    """Scan lines through the middles of pixels: each side flips all pixels right of where it is crossed."""
    if not rings:
        return
    height, width = mask.shape
    corners = np.concatenate(rings)
    x0, y0 = np.clip(np.floor(corners.min(axis=0)), 0, (width, height)).astype(int)
    x1, y1 = np.clip(np.ceil(corners.max(axis=0)), 0, (width, height)).astype(int)
    if x0 == x1 or y0 == y1:
        return
    flips = np.zeros((y1 - y0, x1 - x0 + 1), np.uint8)
    following = np.arange(1, len(corners) + 1)
    lengths = np.array([len(ring) for ring in rings])
    following[np.cumsum(lengths) - 1] -= lengths  # the last corner of a ring is followed by its first
    rows, columns = _crossings(corners, corners[following], y0, y1)
    np.add.at(flips, (rows - y0, np.clip(columns - x0, 0, x1 - x0)), 1)
    inside = np.bitwise_xor.accumulate(flips & 1, axis=1)[:, :-1]
    mask[y0:y1, x0:x1] |= inside.view(bool)


def _crossings(start: np.ndarray, end: np.ndarray, y0: int, y1: int) -> tuple[np.ndarray, np.ndarray]:
    """Where the sides from `start` to `end`, (N, 2) each, cross the middles of rows y0..y1-1.

    Returns the rows, and for each crossing the first column whose middle lies right of it.
    """
    falls = start[:, 1:] <= end[:, 1:]
    start, end = np.where(falls, start, end), np.where(falls, end, start)
    first = np.clip(np.ceil(start[:, 1] - 0.5), y0, y1).astype(int)
    counts = np.clip(np.ceil(end[:, 1] - 0.5), y0, y1).astype(int) - first
    side = np.repeat(np.arange(len(start)), counts)
    rows = first[side] + np.arange(len(side)) - np.repeat(np.cumsum(counts) - counts, counts)
    slope = (end[side, 0] - start[side, 0]) / (end[side, 1] - start[side, 1])
    x = start[side, 0] + (rows + 0.5 - start[side, 1]) * slope
    return rows, np.ceil(x - 0.5).astype(int)
