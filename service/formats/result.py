"""What a writer is given: one picture's objects, and how they were made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np

from ...models.errors import OutputError
from .. import rle
from ..images import Picture
from ..rle import Rle

UNLABELLED = "object"
UNNAMED = "image"


@dataclass(frozen=True, eq=False)
class ObjectResult:
    """One object.

    `pixels`: (H, W) bool, image frame, or the run lengths of such a mask, which take little memory.
    `score`: predicted IoU, `stability`: stability score, None where unknown. `index`: the object's number, 0
    and up, which also picks its colour. `prompt`: what was asked, a mapping of points [[x, y], ...], labels, box
    [x0, y0, x1, y1] or None, and previous (bool: whether an earlier mask was given). `crop`: (x0, y0, x1, y1), the part
    of the image that was looked at, None for all of it.
    """

    pixels: np.ndarray | Rle
    score: float | None = None
    stability: float | None = None
    index: int = 0
    label: str | None = None
    prompt: Mapping[str, Any] | None = None
    crop: tuple[int, int, int, int] | None = None

    @property
    def mask(self) -> np.ndarray:
        """(H, W) bool, image frame; made anew each time where there are run lengths only."""
        return self.pixels if isinstance(self.pixels, np.ndarray) else rle.decode(self.pixels)

    @property
    def within_box(self) -> tuple[np.ndarray, tuple[int, int]]:
        """(h, w) bool: the mask within its box, (0, 0) of an empty one; and the box's corner (x0, y0), image frame."""
        if not isinstance(self.pixels, np.ndarray):
            return rle.decode_box(self.pixels)
        left, top, width, height = cv2.boundingRect(self.pixels.astype(np.uint8))
        return self.pixels[top : top + height, left : left + width], (left, top)

    @property
    def runs(self) -> Rle:
        """The mask's run lengths."""
        return rle.encode(self.pixels) if isinstance(self.pixels, np.ndarray) else self.pixels

    @property
    def category(self) -> str:
        """The label, for formats that want one of everything."""
        return self.label if self.label and not self.label.isspace() else UNLABELLED

    @property
    def point(self) -> tuple[float, float] | None:
        """(x, y), image frame: the first point of the prompt that lies on the object, None where there is none."""
        points, labels = ((self.prompt or {}).get(key) for key in ("points", "labels"))
        if points is None or not len(points):
            return None
        labels = [1] * len(points) if labels is None else labels
        on = (point for point, label in zip(points, labels, strict=True) if label == 1)
        x, y = next(on, (None, None))
        return None if x is None or y is None else (float(x), float(y))


@dataclass(frozen=True, eq=False)
class Result:
    """All objects of one picture, which is `width` x `height` pixels when upright.

    `picture` may be missing (None), as it is when a result was read from a file; then `name`, `sha256` (the
    picture's digest) and `orientation` say which it was. Raises OutputError when a mask or the picture is of
    another size.
    """

    width: int
    height: int
    objects: Sequence[ObjectResult] = ()
    provenance: Mapping[str, object] = field(default_factory=dict)
    picture: Picture | None = None
    name: str | None = None
    sha256: str | None = None
    orientation: int = 1

    def __post_init__(self) -> None:
        """Refuse objects that do not lie on the picture."""
        expected = (self.height, self.width)
        if self.picture is not None and self.picture.size != (self.width, self.height):
            raise OutputError(f"the picture is {self.picture.size}, expected {(self.width, self.height)}")
        for item in self.objects:
            kind, shape = _kind(item.pixels)
            if shape != expected or kind != "bool":
                message = f"object {item.index}: expected a bool mask of shape {expected}, got {kind} {shape}"
                raise OutputError(message)

    @classmethod
    def of(cls, picture: Picture, objects: Sequence[ObjectResult], provenance: Mapping[str, object]) -> Result:
        """The result of a picture at hand. Its digest is computed only when a writer asks for it."""
        width, height = picture.size
        whole = picture if picture.reduced_from is None else None
        return cls(width, height, objects, provenance, whole, picture.name, None, picture.orientation)

    def union(self) -> np.ndarray:
        """(H, W) bool: the pixels of any object."""
        together = np.zeros((self.height, self.width), bool)
        for item in self.objects:
            together |= item.mask
        return together

    def photo(self) -> np.ndarray:
        """The picture's pixels, (H, W, 3) uint8 RGB. Raises OutputError when the picture is missing."""
        if self.picture is None or self.picture.reduced_from is not None:
            raise OutputError("this format shows the photo, but the result holds masks only: give the picture too")
        return self.picture.pixels

    @property
    def file_name(self) -> str:
        """The picture's name, for formats that want one of everything."""
        return self.name or UNNAMED


def _kind(pixels: np.ndarray | Rle) -> tuple[str, tuple[int, ...]]:
    if isinstance(pixels, np.ndarray):
        return str(pixels.dtype), pixels.shape
    return "bool", tuple(pixels["size"])
