"""What a format cannot keep of an object, counted."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Loss:
    """One object's loss. `place`: its number, from 1 up. `what`: what became of it, in words. `pixels`: how many."""

    place: int
    what: str
    pixels: int

    def __str__(self) -> str:
        return f"object {self.place}: {self.what} ({self.pixels:,} px)"
