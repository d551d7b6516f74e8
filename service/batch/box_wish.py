"""Boxes as detectors and data sets give them: in pixels or in shares of the photo, and at times a bit over its edge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...models.errors import PromptError
from ..formats.result import UNLABELLED
from ..prompts import Box, Prompt

OVERSHOOT = 2.0  # pixels by which a box may reach over the photo's edge; it is cut off there


@dataclass(frozen=True, slots=True, eq=False)
class BoxWish:
    """One object to be found in a box, what to call it, and where that was said; small, as there may be a million.

    box: (x0, y0, x1, y1), ends exclusive, upright image frame; with `in_shares` from 0 to 1 instead of in pixels.
    file, field, number: the place, such as "instances.json", "annotations[{}]", 17. size: (width, height) of the photo
    that the box was drawn on, None where nobody says.
    """

    box: Box
    label: str | None
    file: str
    field: str
    number: int
    size: tuple[int, int] | None = None
    in_shares: bool = False

    @property
    def place(self) -> str:
        """Where that was said, for messages."""
        return f"{self.file}, {self.field.format(self.number)}"

    @property
    def category(self) -> str:
        """The label, for formats that want one of everything."""
        return self.label if self.label and not self.label.isspace() else UNLABELLED

    def prompt_on(self, size: tuple[int, int]) -> Prompt:
        """The prompt for a photo of (width, height), cut off at its edges.

        Raises PromptError, naming the place, when the photo has not the size that was said, when the box reaches over
        an edge by more than `OVERSHOOT`, and when nothing of it is left.
        """
        if self.size is not None and self.size != size:
            raise PromptError(f"{self.place}: {_other_size(self.size, size)}")
        width, height = size
        x0, y0, x1, y1 = self._in_pixels(width, height)
        if min(x0, y0) < -OVERSHOOT or x1 > width + OVERSHOOT or y1 > height + OVERSHOOT:
            shown = ", ".join(f"{side:g}" for side in (x0, y0, x1, y1))
            raise PromptError(f"{self.place}: box: ({shown}) reaches outside the {width} x {height} image")
        try:
            return Prompt(box=(max(x0, 0.0), max(y0, 0.0), min(x1, float(width)), min(y1, float(height))))
        except PromptError as error:
            raise PromptError(f"{self.place}: {error}") from None

    def describe(self) -> dict[str, Any]:
        """What is asked, as plain values; in pixels the same as of a box from a list of prompts."""
        if self.in_shares:
            return {"shares": list(self.box)}
        return {"points": [], "labels": [], "box": list(self.box), "previous": False}

    def _in_pixels(self, width: int, height: int) -> Box:
        x0, y0, x1, y1 = self.box
        return (x0 * width, y0 * height, x1 * width, y1 * height) if self.in_shares else self.box


def _other_size(said: tuple[int, int], found: tuple[int, int]) -> str:
    sizes = f"it is about an image of {said[0]} x {said[1]}, but the photo has {found[0]} x {found[1]}"
    if said == found[::-1]:
        return f"{sizes} upright: boxes must lie on the photo as its EXIF orientation shows it"
    return f"{sizes}: give the photos that the boxes were drawn on"
