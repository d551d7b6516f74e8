"""SA-1B's JSON read back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...models.errors import PromptError
from .. import rle
from ..images import MAX_PIXELS
from .fields import check_pixels, load, mapping, naming_file, real, sequence, text, whole
from .result import ObjectResult, Result

Fields = Mapping[str, Any]
Size = tuple[int, int]


def read_sa1b(data: bytes, *, file: str, max_pixels: int = MAX_PIXELS) -> Result:
    """The objects of the file's image, without its picture. `file`: what messages call it.

    Raises PromptError, naming file and field, when `data` is no such document, or of an image of over `max_pixels`.
    """
    with naming_file(file):
        document = mapping(load(data, "SA-1B"), "the document")
        image = mapping(document.get("image"), "image")
        width, height = (whole(image.get(side), f"image.{side}", least=1) for side in ("width", "height"))
        check_pixels(width, height, max_pixels)
        rows = sequence(document.get("annotations"), "annotations")
        info = document.get("info")
        provenance = info.get("provenance") if isinstance(info, Mapping) else None
        return Result(
            width,
            height,
            [_object(row, f"annotations[{at}]", (width, height), at) for at, row in enumerate(rows)],
            provenance if isinstance(provenance, Mapping) else {},
            name=text(image.get("file_name"), "image.file_name"),
            sha256=text(image.get("sha256"), "image.sha256"),
            orientation=whole(image.get("orientation", 1), "image.orientation", least=1),
        )


def _object(row: object, field: str, size: Size, index: int) -> ObjectResult:
    row = mapping(row, field)
    try:
        runs = rle.compressed(mapping(row.get("segmentation"), "segmentation"), size=size)
    except PromptError as error:
        raise PromptError(f"{field}.segmentation: {error}") from None
    return ObjectResult(
        runs,
        real(row.get("predicted_iou"), f"{field}.predicted_iou"),
        real(row.get("stability_score"), f"{field}.stability_score"),
        index,
        text(row.get("label"), f"{field}.label"),
        _prompt(row.get("point_coords"), f"{field}.point_coords"),
        _crop(row.get("crop_box"), f"{field}.crop_box"),
    )


def _prompt(points: object, field: str) -> dict[str, Any] | None:
    rows = [_numbers(row, f"{field}[{at}]", 2) for at, row in enumerate(sequence(points or [], field))]
    return {"points": rows, "labels": [1] * len(rows), "box": None, "previous": False} if rows else None


def _crop(sides: object, field: str) -> tuple[int, int, int, int] | None:
    if sides is None:
        return None
    left, top, width, height = _numbers(sides, field, 4)
    return int(left), int(top), int(left + width), int(top + height)


def _numbers(value: object, field: str, count: int) -> list[float]:
    numbers = [real(side, field) for side in sequence(value, field)]
    if len(numbers) != count or None in numbers or not all(abs(side or 0) < 1e9 for side in numbers):
        raise PromptError(f"{field}: expected {count} numbers, got {value!r}")
    return [float(side or 0) for side in numbers]
