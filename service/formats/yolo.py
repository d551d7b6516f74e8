"""YOLO's labels for segmentation, as ultralytics reads them: one line an object, `class x1 y1 x2 y2 ...`.

Coordinates are shares of the image's width and height. A line is one ring: holes are joined to their part by slits (see
`rings.py`), further parts to the largest by bridges of no width, gone there and back. Whoever counts a pixel
by its middle reads the very mask back; ultralytics, which draws the outline too, the bridges as well: `yolo_losses`
counts those pixels. Objects without a pixel are left out. Scores, and the provenance, have no place in a line.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from ...models.errors import OutputError
from .loss import Loss
from .result import Result
from .rings import to_rings

_DECIMALS = 7
_MOST_LOOKED_AT = 10_000_000  # corners; noise has thousands of parts, and largest parts of a million corners


def write_yolo(result: Result, tolerance: float = 0.0, classes: Sequence[str] = ()) -> bytes:
    """The lines, in the order of the objects; an empty file for none.

    `classes`: the names of the classes in their order; without them those of the picture's own labels, sorted.
    `tolerance`, in pixels, makes outlines simpler. Raises OutputError for a label that is not among the classes.
    """
    numbers = {name: number for number, name in enumerate(classes or yolo_classes([result]))}
    lines = []
    for place, item in enumerate(result.objects, start=1):
        if item.category not in numbers:
            raise OutputError(f"object {place}: its label {item.category!r} is not among the {len(numbers)} classes")
        mask, corner = item.within_box
        ring = one_ring(to_rings(mask, tolerance, corner))
        if len(ring):
            lines.append(_line(numbers[item.category], ring / (result.width, result.height)))
    return "".join(f"{line}\n" for line in lines).encode()


def yolo_classes(results: Sequence[Result]) -> list[str]:
    """The labels of all objects, each once, by code points: the same labels always have the same numbers."""
    return sorted({item.category for result in results for item in result.objects})


def write_data_yaml(classes: Sequence[str], train: str = "images/train", val: str = "images/val") -> bytes:
    """The `data.yaml` of a data set that lies beside it: where its images are, and the names of its classes."""
    names = [f"  {number}: {_quoted(name)}" for number, name in enumerate(classes)]
    lines = [f"train: {_quoted(train)}", f"val: {_quoted(val)}", "names:" if names else "names: {}", *names]
    return ("\n".join(lines) + "\n").encode()


def yolo_losses(result: Result, tolerance: float = 0.0, classes: Sequence[str] = ()) -> list[Loss]:
    """Pixels that ultralytics reads otherwise than they are, for each object where there are any."""
    losses = []
    for place, item in enumerate(result.objects, start=1):
        mask, corner = item.within_box
        if tolerance == 0 and _is_one_part(mask):
            continue  # nothing is lost: see `rings.py`
        rings = to_rings(mask, tolerance, corner)
        if not rings:
            losses.append(Loss(place, "has no pixel and is left out", 0))
        elif wrong := int(np.count_nonzero(_drawn(one_ring(rings), corner, mask.shape) != mask)):
            joined = f"its {len(rings)} parts are joined by lines" if len(rings) > 1 else "its outline is simpler"
            losses.append(Loss(place, joined, wrong))
    return losses


def one_ring(rings: Sequence[np.ndarray]) -> np.ndarray:
    """(N, 2) float64: from the largest of the rings (N, 2) a bridge to each other, round it, and the bridge back."""
    if len(rings) < 2:
        return rings[0] if rings else np.empty((0, 2))
    largest = max(range(len(rings)), key=lambda place: abs(cv2.contourArea(rings[place].astype(np.float32))))
    trunk = rings[largest]
    step = max(1, len(trunk) * len(rings) // _MOST_LOOKED_AT)
    branches: dict[int, list[np.ndarray]] = {}
    for place, ring in enumerate(rings):
        if place != largest:
            start, end = _bridge(trunk[::step], ring)
            branches.setdefault(start * step, []).append(np.roll(ring, -end, axis=0))
    return np.concatenate(list(_walk(trunk, branches)))


def _bridge(one: np.ndarray, other: np.ndarray) -> tuple[int, int]:
    """Corners of two rings that are close to each other; the closest would take too long to find."""
    start = _nearest(one, other.mean(axis=0))
    end = _nearest(other, one[start])
    return _nearest(one, other[end]), end


def _nearest(ring: np.ndarray, point: np.ndarray) -> int:
    return int(((ring - point) ** 2).sum(axis=1).argmin())


def _walk(trunk: np.ndarray, branches: dict[int, list[np.ndarray]]) -> Iterator[np.ndarray]:
    at = 0
    for corner, rings in sorted(branches.items()):
        yield trunk[at : corner + 1]
        at = corner + 1
        for ring in rings:
            yield from (ring, ring[:1], trunk[corner : corner + 1])
    yield trunk[at:]


def _is_one_part(mask: np.ndarray) -> bool:
    return mask.size > 0 and cv2.connectedComponents(mask.view(np.uint8), connectivity=8)[0] == 2


def _line(number: int, shares: np.ndarray) -> str:
    return " ".join([str(number), *(f"{share:.{_DECIMALS}f}".rstrip("0").rstrip(".") for share in shares.ravel())])


def _drawn(ring: np.ndarray, corner: tuple[int, int], shape: tuple[int, ...]) -> np.ndarray:
    """(h, w) bool: the ring as ultralytics draws it, decimals cut off and the outline included; within its box."""
    canvas = np.zeros(shape, np.uint8)
    return cv2.fillPoly(canvas, [ring.astype(np.int32) - np.array(corner, np.int32)], 1).view(bool)


def _quoted(text: str) -> str:
    """A string of YAML, in double quotes, on one line."""
    return '"' + "".join(_escaped(letter) for letter in text) + '"'


def _escaped(letter: str) -> str:
    if letter in '"\\':
        return f"\\{letter}"
    if letter.isprintable():
        return letter
    return f"\\U{ord(letter):08x}"
