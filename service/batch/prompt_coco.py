"""Boxes as prompts from COCO: the annotations of instances, or what a detector found on their images.

`bbox` is x, y, width, height in pixels of the upright photo, and may reach over its edge by two pixels, as detectors'
boxes do; the category's name is the label. Outlines, keypoints and scores are not looked at: of a detector's results
leave out those that are not worth a mask. Crowds (`iscrowd`), which are no single object, and boxes without an area are
passed over, and counted.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ...models.errors import PromptError
from ..formats.fields import mapping, naming_file, sequence, text, whole
from ..prompts import Box
from .box_wish import BoxWish
from .photo_names import PhotoNames
from .questions import Wishes
from .words import counted

Fields = Mapping[str, Any]
Size = tuple[int, int]
_KEPT = frozenset(
    "images annotations categories id file_name width height name image_id category_id bbox iscrowd".split()
)


def load_document(text: str, file: str) -> Any:
    """A JSON document, of whose objects only the fields that are used here are kept: outlines are most of such files.

    Raises PromptError, naming file and line, for what is no JSON.
    """
    try:
        return json.loads(text, object_pairs_hook=_slim)
    except json.JSONDecodeError as error:
        raise PromptError(f"{file}, line {error.lineno}: not JSON: {error.msg}") from None
    except RecursionError:
        raise PromptError(f"{file}: not COCO: it is nested too deeply") from None


def read_instances(document: object, file: str, known: Iterable[str]) -> Wishes:
    """A wish for each annotation of a COCO document. `known`: the relative names of the photos there are.

    An image's `file_name` may lack folders that stand before the photo's name, or have more of them. Raises
    PromptError, naming file and field, for a document that is none, and for an image with annotations that is not
    among the photos.
    """
    with naming_file(file):
        fields = mapping(document, "the document")
        rows = sequence(fields.get("annotations"), "annotations")
        return _wishes(rows, _Images(fields, PhotoNames(known)), file, "annotations[{}]")


def read_results(results: object, instances: object, files: tuple[str, str], known: Iterable[str]) -> Wishes:
    """A wish for each of a detector's results, a list of image_id, category_id, bbox and score.

    instances: the COCO document that tells the images' and categories' names; its annotations are left alone. files:
    what messages call that document, and the results. Raises PromptError as `read_instances` does.
    """
    with naming_file(files[0]):
        images = _Images(mapping(instances, "the document"), PhotoNames(known))
    with naming_file(files[1]):
        return _wishes(sequence(results, "the results"), images, files[1], "result [{}]")


class _Images:
    """The images and categories of a document by their ids; images are looked for among the photos when asked for."""

    def __init__(self, document: Fields, photos: PhotoNames) -> None:
        self._photos = photos
        self._rows: dict[object, tuple[int, Fields]] = {}
        self._found: dict[object, tuple[str, Size | None]] = {}
        for at, row in enumerate(sequence(document.get("images"), "images")):
            row = mapping(row, f"images[{at}]")
            number = _id(row.get("id"), f"images[{at}].id")
            if number in self._rows:
                raise PromptError(f"images[{at}].id: {number!r} is the id of images[{self._rows[number][0]}] too")
            self._rows[number] = at, row
        self._names: dict[int, str | None] = {}
        for at, row in enumerate(sequence(document.get("categories"), "categories")):
            row = mapping(row, f"categories[{at}]")
            number = whole(row.get("id"), f"categories[{at}].id", least=0)
            self._names[number] = text(row.get("name"), f"categories[{at}].name") or None

    def photo(self, number: object, field: str) -> tuple[str, Size | None]:
        """The relative name of the photo, and the size that the document says."""
        number = _id(number, f"{field}.image_id")
        if number not in self._rows:
            raise PromptError(f"{field}.image_id: the file has no image {number!r}")
        if number not in self._found:
            at, row = self._rows[number]
            name = text(row.get("file_name"), f"images[{at}].file_name")
            if not name:
                raise PromptError(f"images[{at}].file_name: expected the name of a photo, got {name!r}")
            photo = self._photos.find(name, f"images[{at}].file_name")
            self._found[number] = photo, _size(row, f"images[{at}]")
        return self._found[number]

    def label(self, number: object, field: str) -> str | None:
        """The category's name."""
        category = whole(number, f"{field}.category_id", least=0)
        if category not in self._names:
            raise PromptError(f"{field}.category_id: the file has no category {category}")
        return self._names[category]


def _wishes(rows: list[Any], images: _Images, file: str, field: str) -> Wishes:
    found: dict[str, list[BoxWish]] = {}
    crowds = flat = 0
    for number, row in enumerate(rows):
        place = field.format(number)
        row = mapping(row, place)
        name, size = images.photo(row.get("image_id"), place)
        label = images.label(row.get("category_id"), place)
        box = _box(row.get("bbox"), f"{place}.bbox")
        if row.get("iscrowd"):
            crowds += 1
        elif box is None:
            flat += 1
        else:
            found.setdefault(name, []).append(BoxWish(box, label, file, field, number, size))
    if not found:
        raise PromptError(f"there is no box to segment among {len(rows)} annotations")
    return Wishes(
        found, _note(file, [(crowds, "crowd", "crowds"), (flat, "box without an area", "boxes without an area")])
    )


def _note(file: str, counts: Sequence[tuple[int, str, str]]) -> str:
    passed = " and ".join(counted(count, one, many) for count, one, many in counts if count)
    return f"{file}: {passed} passed over" if passed else ""


def _slim(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return {key: value for key, value in pairs if key in _KEPT}


def _id(value: object, field: str) -> object:
    """Numbers, as COCO has them; some detectors' tools write texts."""
    if isinstance(value, str) or type(value) is int:
        return value
    raise PromptError(f"{field}: expected a number or a text, got {value!r}")


def _size(row: Fields, field: str) -> Size | None:
    if row.get("width") is None and row.get("height") is None:
        return None
    width, height = (whole(row.get(side), f"{field}.{side}", least=1) for side in ("width", "height"))
    return width, height


def _box(value: object, field: str) -> Box | None:
    """Corners from x, y, width, height; None for a box without an area."""
    try:
        if not isinstance(value, list) or any(isinstance(side, bool | str) for side in value):
            raise TypeError
        x, y, width, height = (float(side) for side in value)
    except (TypeError, ValueError, OverflowError):
        raise PromptError(f"{field}: expected x, y, width, height, got {value!r}") from None
    if not all(map(math.isfinite, (x, y, width, height))) or min(width, height) < 0:
        raise PromptError(f"{field}: expected finite numbers, width and height from 0 up, got {value!r}")
    return (x, y, x + width, y + height) if width > 0 and height > 0 else None
