"""The one JSON shape of results: in files, in HTTP answers, in saved sessions.

    {"clickmask": "0.1.0", "schema": 1,
     "image": {"name", "width", "height", "sha256", "orientation"},
     "provenance": {...},
     "objects": [{"index", "label", "score", "stability", "area", "box": [x0, y0, x1, y1] or null,
                  "rle": {"size": [height, width], "counts"},
                  "prompt": {"points", "labels", "box", "previous"} or null}]}

Coordinates are in the image frame, boxes end exclusively. Fields may be added; none is renamed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ...models.errors import PromptError
from .. import rle
from ..images import MAX_PIXELS
from ..version import version
from .result import ObjectResult, Result

SCHEMA = 1


def to_document(result: Result) -> dict[str, Any]:
    """The result as plain dicts, lists, numbers and strings."""
    picture = result.picture
    image = {
        "name": result.name,
        "width": result.width,
        "height": result.height,
        "sha256": result.sha256 if picture is None else picture.digest,
        "orientation": result.orientation,
    }
    objects = [object_document(item) for item in result.objects]
    provenance = dict(result.provenance)
    return {
        "clickmask": version(),
        "schema": SCHEMA,
        "image": image,
        "provenance": provenance,
        "objects": objects,
    }


def object_document(item: ObjectResult) -> dict[str, Any]:
    """One object as plain values."""
    runs = rle.encode(item.mask)
    box = rle.box(runs)
    return {
        "index": item.index,
        "label": item.label,
        "score": _number(item.score),
        "stability": _number(item.stability),
        "area": rle.area(runs),
        "box": None if box is None else list(box),
        "rle": runs,
        "prompt": None if item.prompt is None else _prompt(item.prompt),
    }


def from_document(document: object, *, max_pixels: int = MAX_PIXELS) -> Result:
    """The result, without its picture, that a document describes; masks come from their RLEs.

    Raises PromptError, naming the field, for no document of this schema, or one of over `max_pixels`.
    """
    document = _mapping(document, "the document")
    if document.get("schema") != SCHEMA:
        found = document.get("schema")
        raise PromptError(f"schema: expected {SCHEMA}, got {found!r}: no clickmask result, or a newer one's")
    image = _mapping(document.get("image"), "image")
    width, height = (_whole(image.get(side), f"image.{side}", least=1) for side in ("width", "height"))
    if width * height > max_pixels:
        raise PromptError(f"image: {width} x {height} pixels are more than the limit of {max_pixels}")
    objects = document.get("objects")
    if not isinstance(objects, list):
        raise PromptError(f"objects: expected a list, got {type(objects).__name__}")
    return Result(
        width,
        height,
        [_object(item, f"objects[{place}]", (width, height)) for place, item in enumerate(objects)],
        _mapping(document.get("provenance", {}), "provenance"),
        name=_text(image.get("name"), "image.name"),
        sha256=_text(image.get("sha256"), "image.sha256"),
        orientation=_whole(image.get("orientation", 1), "image.orientation", least=1),
    )


def _number(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None  # JSON has no NaN


def _prompt(prompt: Mapping[str, Any]) -> dict[str, Any]:
    box = prompt.get("box")
    points, labels = prompt.get("points"), prompt.get("labels")
    return {
        "points": [] if points is None else [[float(x), float(y)] for x, y in points],
        "labels": [] if labels is None else [int(label) for label in labels],
        "box": None if box is None else [float(side) for side in box],
        "previous": bool(prompt.get("previous", False)),
    }


def _object(item: object, field: str, size: tuple[int, int]) -> ObjectResult:
    item = _mapping(item, field)
    try:
        mask = rle.decode(_mapping(item.get("rle"), f"{field}.rle"), size=size)
        prompt = None if item.get("prompt") is None else _prompt(_mapping(item["prompt"], "prompt"))
    except PromptError as error:
        raise PromptError(f"{field}: {error}") from None
    except (TypeError, ValueError):
        raise PromptError(f"{field}.prompt: expected points [[x, y], ...], labels, box [x0, y0, x1, y1]") from None
    return ObjectResult(
        mask,
        _real(item.get("score"), f"{field}.score"),
        _real(item.get("stability"), f"{field}.stability"),
        _whole(item.get("index"), f"{field}.index", least=0),
        _text(item.get("label"), f"{field}.label"),
        prompt,
    )


def _mapping(value: object, field: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise PromptError(f"{field}: expected an object, got {type(value).__name__}")
    return value


def _whole(value: object, field: str, *, least: int) -> int:
    if type(value) is not int or value < least:
        raise PromptError(f"{field}: expected a whole number from {least} up, got {value!r}")
    return value


def _real(value: object, field: str) -> float | None:
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    raise PromptError(f"{field}: expected a number or null, got {value!r}")


def _text(value: object, field: str) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise PromptError(f"{field}: expected a string or null, got {value!r}")
