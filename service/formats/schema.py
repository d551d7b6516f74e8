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

from collections.abc import Mapping
from typing import Any

from ...models.errors import PromptError
from .. import rle
from ..images import MAX_PIXELS
from ..version import version
from .fields import check_pixels, mapping, number, real, sequence, text, whole
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
    runs = item.runs
    box = rle.box(runs)
    return {
        "index": item.index,
        "label": item.label,
        "score": number(item.score),
        "stability": number(item.stability),
        "area": rle.area(runs),
        "box": None if box is None else list(box),
        "rle": runs,
        "prompt": None if item.prompt is None else _prompt(item.prompt),
    }


def from_document(document: object, *, max_pixels: int = MAX_PIXELS) -> Result:
    """The result, without its picture, that a document describes; masks come from their RLEs.

    Raises PromptError, naming the field, for no document of this schema, or one of over `max_pixels`.
    """
    document = mapping(document, "the document")
    if document.get("schema") != SCHEMA:
        found = document.get("schema")
        raise PromptError(f"schema: expected {SCHEMA}, got {found!r}: no clickmask result, or a newer one's")
    image = mapping(document.get("image"), "image")
    width, height = (whole(image.get(side), f"image.{side}", least=1) for side in ("width", "height"))
    check_pixels(width, height, max_pixels)
    objects = sequence(document.get("objects"), "objects")
    return Result(
        width,
        height,
        [_object(item, f"objects[{place}]", (width, height)) for place, item in enumerate(objects)],
        mapping(document.get("provenance", {}), "provenance"),
        name=text(image.get("name"), "image.name"),
        sha256=text(image.get("sha256"), "image.sha256"),
        orientation=whole(image.get("orientation", 1), "image.orientation", least=1),
    )


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
    item = mapping(item, field)
    try:
        runs = rle.compressed(mapping(item.get("rle"), f"{field}.rle"), size=size)
        prompt = None if item.get("prompt") is None else _prompt(mapping(item["prompt"], "prompt"))
    except PromptError as error:
        raise PromptError(f"{field}: {error}") from None
    except (TypeError, ValueError):
        raise PromptError(f"{field}.prompt: expected points [[x, y], ...], labels, box [x0, y0, x1, y1]") from None
    return ObjectResult(
        runs,
        real(item.get("score"), f"{field}.score"),
        real(item.get("stability"), f"{field}.stability"),
        whole(item.get("index"), f"{field}.index", least=0),
        text(item.get("label"), f"{field}.label"),
        prompt,
    )
