"""Figures as people read them, and names of any bytes made safe to look at."""

from __future__ import annotations

import os
import unicodedata

from .totals import Losses

_UNSEEN = ("Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp")  # they vanish, or turn the rest of a line about


def duration(seconds: float) -> str:
    """12 s, 3 min 20 s, 5 h 12 min, 3 d 4 h."""
    whole = round(seconds)
    for size, unit, part, smaller in ((86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            return f"{whole // size} {unit} {whole % size // part} {smaller}"
    return f"{whole} s"


def size(count: float) -> str:
    """812 bytes, 3.1 kB, 41 MB, 2.0 GB: thousands, as disks are sold."""
    for power, unit in ((4, "TB"), (3, "GB"), (2, "MB"), (1, "kB")):
        if count >= 999.5 * 1000 ** (power - 1):
            value = count / 1000**power
            return f"{value:.1f} {unit}" if value < 9.95 else f"{value:.0f} {unit}"
    return f"{count:.0f} bytes"


def about(count: float) -> str:
    """A number of which only the first two digits, and one more, are known: 41,200."""
    digits = len(str(int(count)))
    return f"{round(count, min(0, 3 - digits)):,.0f}"


def counted(count: int, one: str, many: str = "") -> str:
    """1 photo, 2 photos, 1,234 photos."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def told_losses(name: str, losses: Losses) -> str:
    """What a format could not keep."""
    objects, photos = counted(losses.objects, "object"), counted(losses.photos, "photo")
    return f"{name} could not keep {losses.pixels:,} px of {objects} in {photos}"


def printable(text: str) -> str:
    """A text without what does not show, or turns others about: a question mark in a lozenge stands for each."""
    whole = os.fsencode(text).decode("utf-8", "replace") if _is_broken(text) else text
    return "".join(
        "\N{REPLACEMENT CHARACTER}" if unicodedata.category(letter) in _UNSEEN else letter for letter in whole
    )


def shortened(text: str, most: int) -> str:
    """A text of at most so many letters, of which the middle goes."""
    half = (most - 1) // 2
    return text if len(text) <= most else f"{text[:half]}\N{HORIZONTAL ELLIPSIS}{text[-half:]}"


def _is_broken(text: str) -> bool:
    return any("\udc80" <= letter <= "\udcff" for letter in text)
