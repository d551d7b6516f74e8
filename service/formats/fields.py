"""Fields of JSON documents from elsewhere, checked one by one; what is wrong is a PromptError that names the field."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ...models.errors import PromptError


def load(data: bytes, kind: str) -> Any:
    """What the JSON text `data` holds. `kind`: what was expected, for the message."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise PromptError(f"expected a {kind} file, got something else: {error}") from None


def mapping(value: object, field: str) -> Mapping[str, Any]:
    """A JSON object."""
    if not isinstance(value, Mapping):
        raise PromptError(f"{field}: expected an object, got {type(value).__name__}")
    return value


def sequence(value: object, field: str) -> list[Any]:
    """A JSON list."""
    if not isinstance(value, list):
        raise PromptError(f"{field}: expected a list, got {type(value).__name__}")
    return value


def whole(value: object, field: str, *, least: int) -> int:
    """A whole number from `least` up."""
    if type(value) is not int or value < least:
        raise PromptError(f"{field}: expected a whole number from {least} up, got {value!r}")
    return value


def real(value: object, field: str) -> float | None:
    """A number or null."""
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    raise PromptError(f"{field}: expected a number or null, got {value!r}")


def number(value: float | None) -> float | None:
    """A number as JSON can say it, which has no NaN: null then."""
    return float(value) if value is not None and math.isfinite(value) else None


def text(value: object, field: str) -> str | None:
    """A string or null."""
    if value is None or isinstance(value, str):
        return value
    raise PromptError(f"{field}: expected a string or null, got {value!r}")


def check_pixels(width: int, height: int, most: int) -> None:
    """Refuse an image of over `most` pixels before anything of its size is made."""
    if width * height > most:
        raise PromptError(f"image: {width} x {height} pixels are more than the limit of {most}")


@contextmanager
def naming_file(file: str) -> Iterator[None]:
    """What goes wrong with a document's fields within is said with the document's name before it."""
    try:
        yield
    except PromptError as error:
        raise PromptError(f"{file}: {error}") from None
