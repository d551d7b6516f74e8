"""Amounts as people write them: 64MiB, 30."""

from __future__ import annotations

import math
import re

import typer

_UNITS = {
    "": 1,
    "k": 10**3,
    "m": 10**6,
    "g": 10**9,
    "t": 10**12,
    "ki": 1 << 10,
    "mi": 1 << 20,
    "gi": 1 << 30,
    "ti": 1 << 40,
}
_NAMES = ("TiB", "GiB", "MiB", "KiB")


class Size(int):
    """A number of bytes, at least 1, that shows itself as people write it."""

    @classmethod
    def parse(cls, text: str | int) -> Size:
        """From "64MiB", "1.5 GB" or "67108864". Raises BadParameter, which names the option."""
        found = re.fullmatch(
            r"(\d+(?:\.\d+)?)\s*([kmgt]i?)?b?", str(int(text) if isinstance(text, int) else text), re.I
        )
        count = int(float(found[1]) * _UNITS[(found[2] or "").lower()]) if found else 0
        if count < 1:
            raise typer.BadParameter(f"{text!r}: expected a number of bytes above 0, such as 64MiB, 2GiB or 67108864")
        return cls(count)

    def __str__(self) -> str:
        for power, name in zip((40, 30, 20, 10), _NAMES, strict=True):
            if self and self % (1 << power) == 0:
                return f"{self >> power}{name}"
        return format(int(self))


def parse_seconds(text: str | float) -> float:
    """A time above 0 and not endless. Raises BadParameter, which names the option."""
    return _above_zero(text, "a number of seconds above 0, such as 30 or 0.5")


def parse_megapixels(text: str | float) -> float:
    """A number of millions of pixels above 0. Raises BadParameter, which names the option."""
    return _above_zero(text, "millions of pixels above 0, such as 100")


def _above_zero(text: str | float, expected: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise typer.BadParameter(f"{text!r}: expected {expected}")
    return number
