"""Boxes as prompts from a folder of YOLO label files: `class cx cy w h`, one line an object, in shares of the photo.

A sixth number, a detector's confidence, is not looked at. Of longer lines, which are outlines (`class x1 y1 x2 y2
...`), the box around the outline is taken. A label file belongs to the photo of its name in the same place: `a.txt` to
`a.jpg`, `train/a.txt` to `train/a.jpg`, and as ultralytics has it, `labels/train/a.txt` to `images/train/a.jpg`. Files
without a line ask for nothing, and boxes without an area are passed over, and counted.
"""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

from ...models.errors import PromptError
from ..formats.fields import naming_file
from ..formats.reading_yolo import read_classes
from ..prompts import Box
from .box_wish import BoxWish
from .photo_names import index
from .questions import Wishes
from .words import counted

_NAMES = ("data.yaml", "data.yml", "classes.txt")
_FAR = 2.0  # shares beyond which a number is no share of anything


def read_labels(folder: Path, known: Collection[str]) -> Wishes:
    """A wish for each line of each label file in a folder and the folders in it.

    What the classes are called says `data.yaml` or `classes.txt` in the folder or above it; without them they are
    called by their numbers. Raises PromptError, naming file and line, for what is no such line, a class that has no
    name, and a file that belongs to no photo, or to several.
    """
    classes, photos = _classes(folder), _Photos(known)
    found: dict[str, Sequence[BoxWish]] = {}
    origin: dict[str, str] = {}
    flat = 0
    for name in _label_files(folder):
        file = os.path.join(folder, name)
        wishes, passed = _read(file, classes)
        flat += passed
        if not wishes:
            continue
        photo = photos.of(name, file)
        if photo in found:
            raise PromptError(f"{file}: it belongs to {photo!r}, and so does {origin[photo]}")
        found[photo], origin[photo] = wishes, file
    if not found:
        raise PromptError(
            f"--prompts {folder} holds no label files with boxes: expected a.txt for a.jpg, one line a box"
        )
    passed = counted(flat, "box without an area", "boxes without an area")
    return Wishes(found, f"{folder}: {passed} passed over" if flat else "")


class _Photos:
    """Photos by what their label files are called."""

    def __init__(self, known: Iterable[str]) -> None:
        known = list(known)
        self._in_place = index(known, _stem)
        self._by_rule = index(known, lambda name: _without(_stem(name), "images"))

    def of(self, name: str, file: str) -> str:
        """The photo of a label file, `name` in its folder. Raises PromptError."""
        stem = _stem(name)
        found = self._in_place.get(stem) or self._by_rule.get(_without(stem, "labels")) or []
        if len(found) == 1:
            return found[0]
        if found:
            raise PromptError(f"{file}: it may belong to {found[0]!r} or {found[1]!r}: keep one of them among PHOTOS")
        raise PromptError(f"{file}: there is no photo {stem}.* for it in PHOTOS, nor one in its place below images/")


def _stem(name: str) -> str:
    return os.path.splitext(name)[0]


def _without(path: str, folder: str) -> str:
    """The path without the last folder of that name: what images/ and labels/ have in common."""
    parts = path.split("/")
    for at in range(len(parts) - 2, -1, -1):
        if parts[at] == folder:
            return "/".join(parts[:at] + parts[at + 1 :])
    return path


def _label_files(folder: Path) -> Iterator[str]:
    """Relative names, with "/" between folders, in their order."""

    def fail(error: OSError) -> None:
        raise PromptError(f"--prompts {error.filename} cannot be read: {error.strerror}")

    for place, folders, names in os.walk(folder, onerror=fail):
        folders.sort()
        below = os.path.relpath(place, folder).replace(os.sep, "/")
        for name in sorted(names):
            if name.lower().endswith(".txt") and name not in _NAMES:
                yield name if below == "." else f"{below}/{name}"


def _classes(folder: Path) -> Sequence[str]:
    """From the folder, or the one above it, or, of labels/train, the one above labels."""
    here = Path(os.path.abspath(folder))
    places = [here, here.parent, *([here.parent.parent] if here.parent.name == "labels" else [])]
    for path in (place / name for place in places for name in _NAMES):
        if path.is_file():
            return read_classes(_bytes(path), file=str(path))
    return ()


def _read(file: str, classes: Sequence[str]) -> tuple[list[BoxWish], int]:
    """The wishes of a file, and how many boxes have no area."""
    with naming_file(file):
        try:
            lines = _bytes(file).decode("utf-8-sig").splitlines()
        except UnicodeDecodeError:
            raise PromptError("expected lines of numbers, got something else than text") from None
        rows = [(at, *_line(line, f"line {at}", classes)) for at, line in enumerate(lines, start=1) if line.strip()]
    wishes = [BoxWish(box, label, file, "line {}", at, in_shares=True) for at, label, box in rows if box is not None]
    return wishes, len(rows) - len(wishes)


def _line(line: str, field: str, classes: Sequence[str]) -> tuple[str, Box | None]:
    """Label and box; None for a box without an area."""
    try:
        kind, *shares = (float(cell) for cell in line.split())
    except ValueError:
        raise PromptError(f"{field}: expected a class and numbers, got {line[:40]!r}") from None
    if not math.isfinite(kind) or kind != int(kind) or kind < 0:
        raise PromptError(f"{field}: expected the number of a class first, got {line[:40]!r}")
    if classes and kind >= len(classes):
        raise PromptError(f"{field}: there is no class {kind:g}: there are {len(classes)} names")
    if len(shares) < 4 or not all(abs(share) <= _FAR for share in shares):
        raise PromptError(f"{field}: expected class cx cy w h, as shares of the photo from 0 to 1, got {line[:60]!r}")
    label = classes[int(kind)] if classes else str(int(kind))
    return label, _from_middle(shares, field) if len(shares) <= 5 else _around(shares)


def _from_middle(shares: Sequence[float], field: str) -> Box | None:
    x, y, width, height = shares[:4]
    if min(width, height) < 0:
        raise PromptError(f"{field}: expected a width and height from 0 up, got {width:g} {height:g}")
    return _with_area(x - width / 2, y - height / 2, x + width / 2, y + height / 2)


def _around(shares: Sequence[float]) -> Box | None:
    """The box of an outline; an odd number at its end is a confidence."""
    pairs = len(shares) // 2 * 2
    xs, ys = shares[:pairs:2], shares[1:pairs:2]
    return _with_area(min(xs), min(ys), max(xs), max(ys))


def _with_area(x0: float, y0: float, x1: float, y1: float) -> Box | None:
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def _bytes(path: str | Path) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise PromptError(f"{path} cannot be read: {error.strerror}") from None
