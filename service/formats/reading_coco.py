"""COCO's instances read back: one image's objects out of a document that may hold many."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...models.errors import PromptError
from .. import rle
from ..images import MAX_PIXELS
from ..polygons import from_polygons
from ..rle import Rle
from .fields import check_pixels, load, mapping, naming_file, real, sequence, text, whole
from .result import ObjectResult, Result

Fields = Mapping[str, Any]
Size = tuple[int, int]


def read_coco(data: bytes, *, file: str, image: str | None = None, max_pixels: int = MAX_PIXELS) -> Result:
    """The objects of one image, without its picture.

    `file`: what messages call the document. `image`: the `file_name` of the image that is wanted, with or without
    the folders before it; not needed where there is only one. Segmentations may be run lengths, compressed or not, or
    polygons: of these a pixel belongs to the object when its middle is inside one of the rings.
    Raises PromptError, naming file and field, when `data` is no such document, has no such image, or one of over
    `max_pixels`.
    """
    with naming_file(file):
        document = mapping(load(data, "COCO"), "the document")
        at, row = _find(sequence(document.get("images"), "images"), image)
        field = f"images[{at}]"
        width, height = (whole(row.get(side), f"{field}.{side}", least=1) for side in ("width", "height"))
        check_pixels(width, height, max_pixels)
        return Result(
            width,
            height,
            _objects(document, row.get("id"), (width, height)),
            _provenance(document, row),
            name=text(row.get("file_name"), f"{field}.file_name"),
            sha256=text(row.get("sha256"), f"{field}.sha256"),
            orientation=whole(row.get("orientation", 1), f"{field}.orientation", least=1),
        )


def _find(rows: list[Any], image: str | None) -> tuple[int, Fields]:
    images = [mapping(row, f"images[{at}]") for at, row in enumerate(rows)]
    if image is None and len(images) == 1:
        return 0, images[0]
    names = [str(row.get("file_name")) for row in images]
    if image is None:
        raise PromptError(f"images: there are {len(names)}: say which is wanted, by its file_name")
    found = [at for at, name in enumerate(names) if name == image]
    found = found or [at for at, name in enumerate(names) if _last(name) == _last(image)]
    if len(found) != 1:
        raise PromptError(f"images: {len(found) or 'none'} of the {len(names)} called {image!r}, expected one")
    return found[0], images[found[0]]


def _last(path: str) -> str:
    """A path's last part, whatever system wrote it."""
    return path.replace("\\", "/").rpartition("/")[2]


def _provenance(document: Fields, row: Fields) -> Fields:
    info = document.get("info")
    found = row.get("provenance") or (info.get("provenance") if isinstance(info, Mapping) else None)
    return found if isinstance(found, Mapping) else {}


def _objects(document: Fields, image_id: object, size: Size) -> list[ObjectResult]:
    names = _names(sequence(document.get("categories"), "categories"))
    objects: list[ObjectResult] = []
    for at, row in enumerate(sequence(document.get("annotations"), "annotations")):
        row = mapping(row, f"annotations[{at}]")
        if row.get("image_id") == image_id:
            objects.append(_object(row, f"annotations[{at}]", names, size, len(objects)))
    return objects


def _names(rows: list[Any]) -> dict[Any, str | None]:
    categories = [mapping(row, f"categories[{at}]") for at, row in enumerate(rows)]
    return {
        whole(row.get("id"), f"categories[{at}].id", least=0): text(row.get("name"), f"categories[{at}].name")
        for at, row in enumerate(categories)
    }


def _object(row: Fields, field: str, names: Mapping[Any, str | None], size: Size, index: int) -> ObjectResult:
    category = whole(row.get("category_id"), f"{field}.category_id", least=0)
    if category not in names:
        raise PromptError(f"{field}.category_id: the file has no category {category}")
    try:
        runs = _runs(row.get("segmentation"), size)
    except PromptError as error:
        raise PromptError(f"{field}.segmentation: {error}") from None
    score = real(row.get("predicted_iou", row.get("score")), f"{field}.predicted_iou")
    stability = real(row.get("stability_score"), f"{field}.stability_score")
    return ObjectResult(runs, score, stability, index, names[category])


def _runs(segmentation: object, size: Size) -> Rle:
    if isinstance(segmentation, Mapping):
        return rle.compressed(segmentation, size=size)
    if not isinstance(segmentation, list) or not segmentation:
        raise PromptError("expected run lengths or a list of polygons, and at least one: boxes alone are not read")
    return rle.encode(from_polygons([[_ring(ring)] for ring in segmentation], size))


def _ring(flat: object) -> np.ndarray:
    """(N, 2) of x, y, x, y, ..."""
    try:
        if isinstance(flat, list) and len(flat) >= 6 and len(flat) % 2 == 0:
            return np.array(flat, np.float64).reshape(-1, 2)
    except (TypeError, ValueError, OverflowError):
        pass
    raise PromptError("a polygon must be a list of numbers x, y, x, y, ..., of three corners or more")
