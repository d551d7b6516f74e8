"""YOLO's lines for segmentation read back, and the names of their classes."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

import numpy as np

from ...models.errors import PromptError
from .. import rle
from ..images import MAX_PIXELS
from ..polygons import from_polygons
from .fields import check_pixels, naming_file
from .result import ObjectResult, Result

_WIDE = re.compile(r"\\(?:U([0-9a-fA-F]{8})|.)")
_NAME = re.compile(r"(?:\s+(\d+)\s*:|\s*-)\s*(.*?)\s*")
_IN_A_ROW = re.compile(r"""\s*(?:(\d+)\s*:\s*)?("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^,'"]*[^,'"\s])\s*(?:,|$)""")


def read_yolo(
    data: bytes,
    *,
    file: str,
    size: tuple[int, int],
    classes: Sequence[str] = (),
    name: str | None = None,
    max_pixels: int = MAX_PIXELS,
) -> Result:
    """The objects of the lines, without the picture.

    `file`: what messages call the file. `size`: the image's (width, height). `classes`: names for the numbers, which
    are the labels without them. `name`: the image's file name. A pixel belongs to an object when its middle is inside.
    Raises PromptError, naming file and line, for what is no such line; lines that are boxes are refused.
    """
    with naming_file(file):
        check_pixels(*size, max_pixels)
        lines = enumerate(_text(data).splitlines(), start=1)
        found = [_object(line, f"line {at}", size, classes) for at, line in lines if line.strip()]
        objects = [ObjectResult(runs, None, None, index, label) for index, (runs, label) in enumerate(found)]
        return Result(*size, objects, name=name)


def read_classes(data: bytes, *, file: str) -> list[str]:
    """Names of classes from a `data.yaml`, by number, or from a text of one name a line.

    Of YAML the plain forms are known: `names:`, and below it lines of `0: dog` or `- dog`, quoted or not, or behind it
    on one line `[dog, cat]` or `{0: dog, 1: cat}`. Raises PromptError when there are none.
    """
    with naming_file(file):
        lines = _text(data).splitlines()
        at = next((at for at, line in enumerate(lines) if line.startswith("names:")), None)
        if at is None:
            return [line.strip() for line in lines if line.strip()]
        row = re.fullmatch(r"names:\s*(\[.*\]|\{.*\})\s*(#.*)?", lines[at])
        names = _listed(lines[at + 1 :]) if row is None else _in_a_row(row[1][1:-1])
        if not names or sorted(names) != list(range(len(names))):
            raise PromptError("names: expected lines below it, '  0: dog' or '  - dog', numbered from 0 without a gap")
        return [names[number] for number in sorted(names)]


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise PromptError(f"expected a text file in UTF-8: {error}") from None


def _listed(lines: list[str]) -> dict[int, str]:
    names: dict[int, str] = {}
    for line in lines:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = _NAME.fullmatch(line)
        if found is None:
            break
        names[len(names) if found[1] is None else int(found[1])] = _unquoted(found[2])
    return names


def _in_a_row(text: str) -> dict[int, str]:
    """Of "dog, 'a cat'" or "0: dog, 1: cat"; nothing where it is neither."""
    names: dict[int, str] = {}
    at = 0
    while at < len(text.rstrip()):
        found = _IN_A_ROW.match(text, at)
        if found is None:
            return {}
        names[len(names) if found[1] is None else int(found[1])] = _unquoted(found[2])
        at = found.end()
    return names


def _unquoted(value: str) -> str:
    if value.startswith('"'):
        try:
            return json.loads(_WIDE.sub(_as_json, value))  # of YAML's escapes \U0000000a alone is not JSON's too
        except (ValueError, OverflowError):
            raise PromptError(f"names: {value} is no quoted string") from None
    if value.startswith("'") and value.endswith("'") and len(value) > 1:
        return value[1:-1].replace("''", "'")
    return value.partition(" #")[0].rstrip()


def _as_json(found: re.Match[str]) -> str:
    return found[0] if found[1] is None else json.dumps(chr(int(found[1], 16)))[1:-1]


def _object(line: str, field: str, size: tuple[int, int], classes: Sequence[str]) -> tuple[rle.Rle, str]:
    try:
        number, *cells = line.split()
        kind, shares = int(number), np.array([float(cell) for cell in cells])
    except ValueError:
        raise PromptError(f"{field}: expected a class and numbers, got {line[:40]!r}") from None
    if len(shares) == 4:
        raise PromptError(f"{field}: a box alone is not read: expected class x1 y1 x2 y2 x3 y3 ...")
    if len(shares) < 6 or len(shares) % 2 or not (np.abs(shares) <= 2).all():
        raise PromptError(f"{field}: expected three or more pairs of x and y, as shares of the image from 0 to 1")
    if kind < 0 or (classes and kind >= len(classes)):
        raise PromptError(f"{field}: there is no class {kind}: there are {len(classes)} names")
    mask = from_polygons([[shares.reshape(-1, 2) * size]], size)
    return rle.encode(mask), classes[kind] if classes else str(kind)
