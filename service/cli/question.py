"""What is asked of a photo, from the text of --point, --box and --window."""

from __future__ import annotations

import math
from dataclasses import dataclass

import typer

from ...models.errors import PromptError


@dataclass(frozen=True)
class Click:
    """A point of the image frame; label 1 is on the object, 0 beside it."""

    x: float
    y: float
    label: int

    @classmethod
    def parse(cls, text: str) -> Click:
        """From "x,y" or "x,y,label". Raises BadParameter, which names the option."""
        numbers = _numbers(text, "x,y or x,y,label, such as 420,310 or 380,90,0", (2, 3))
        x, y, label = (*numbers, 1.0)[:3]
        if label not in (0, 1):
            raise typer.BadParameter(f"{text!r}: the label is 1 (on the object) or 0 (not on it), got {label:g}")
        return cls(x, y, int(label))


@dataclass(frozen=True)
class Rectangle:
    """A box in the image frame, x1 and y1 exclusive."""

    x0: float
    y0: float
    x1: float
    y1: float

    @classmethod
    def parse(cls, text: str) -> Rectangle:
        """From "x0,y0,x1,y1". Raises BadParameter, which names the option."""
        x0, y0, x1, y1 = _numbers(text, "x0,y0,x1,y1, such as 40,30,600,420", (4,))
        if x1 <= x0 or y1 <= y0:
            raise typer.BadParameter(f"{text!r}: expected x0,y0,x1,y1 with x0 < x1 and y0 < y1")
        return cls(x0, y0, x1, y1)

    @property
    def sides(self) -> tuple[float, float, float, float]:
        """(x0, y0, x1, y1)."""
        return self.x0, self.y0, self.x1, self.y1

    def __str__(self) -> str:
        return ",".join(f"{side:g}" for side in self.sides)


@dataclass(frozen=True)
class Question:
    """One object, pointed at by clicks and at most one box; only the window is looked at, where there is one.

    subject: instead of pointing, the least confidence in what the photo is of. Raises PromptError when nothing points
    at anything, or when something does and the subject is asked for too.
    """

    clicks: tuple[Click, ...]
    box: Rectangle | None = None
    window: Rectangle | None = None
    subject: float | None = None

    def __post_init__(self) -> None:
        """Refuse an empty question, and two at once."""
        is_pointed = bool(self.clicks) or self.box is not None
        if is_pointed and self.subject is not None:
            raise PromptError("--subject needs no pointing at: give it without --point and --box")
        if not is_pointed and self.subject is None:
            raise PromptError(
                "nothing to look for: give --point X,Y (once or more), --box X0,Y0,X1,Y1, both, or --subject"
            )

    def check(self, width: int, height: int) -> None:
        """Raise PromptError, naming the option, for what lies outside a photo of this size or outside the window."""
        photo = Rectangle(0, 0, width, height)
        whole = f"the photo, which is {width} x {height}"
        if self.window is not None:
            _check_box("--window", self.window, photo, whole)
        area, what = (photo, whole) if self.window is None else (self.window, f"--window {self.window}")
        for click in self.clicks:
            if not (area.x0 <= click.x < area.x1 and area.y0 <= click.y < area.y1):
                raise PromptError(f"--point {click.x:g},{click.y:g} lies outside {what}")
        if self.box is not None:
            _check_box("--box", self.box, area, what)


def _check_box(option: str, box: Rectangle, area: Rectangle, what: str) -> None:
    if box.x0 < area.x0 or box.y0 < area.y0 or box.x1 > area.x1 or box.y1 > area.y1:
        raise PromptError(f"{option} {box} reaches outside {what}")


def _numbers(text: str, expected: str, counts: tuple[int, ...]) -> tuple[float, ...]:
    try:
        numbers = tuple(float(field) for field in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) not in counts:
        raise typer.BadParameter(f"{text!r}: expected {expected}, without spaces")
    if not all(math.isfinite(number) for number in numbers):
        raise typer.BadParameter(f"{text!r}: expected finite numbers")
    return numbers
