"""COCO documents of several images made into one. `ui/static/coco.js` does the same in the browser."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...models.errors import PromptError
from .coco import coco_categories
from .fields import mapping, sequence

Document = Mapping[str, Any]

_NEEDED = {"images": ("id",), "categories": ("id", "name"), "annotations": ("image_id", "category_id")}


def merge_coco(documents: Sequence[Document]) -> dict[str, Any]:
    """One document of all images and annotations, in their order; the documents themselves stay as they are.

    Ids are given anew, from 1 up; categories of one name become one. What all `info`s agree on is kept; where
    provenance differs, each image carries its own. Licences are not kept.
    Raises PromptError, naming document and field, when an annotation is about an image or category that its
    document does not have.
    """
    names = [row["name"] for at, document in enumerate(documents) for row in _rows(document, "categories", at)]
    categories = coco_categories(names)
    ids = {row["name"]: row["id"] for row in categories}
    info = _agreed([document.get("info", {}) for document in documents])
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for at, document in enumerate(documents):
        image_ids = {row["id"]: len(images) + n for n, row in enumerate(_rows(document, "images", at), start=1)}
        category_ids = {row["id"]: ids[row["name"]] for row in _rows(document, "categories", at)}
        own = {} if "provenance" in info else _provenance(document)
        images += [own | dict(row) | {"id": image_ids[row["id"]]} for row in document["images"]]
        for number, row in enumerate(_rows(document, "annotations", at)):
            field = f"documents[{at}].annotations[{number}]"
            image = _new_id(image_ids, row, "image_id", field)
            category = _new_id(category_ids, row, "category_id", field)
            new = {"id": len(annotations) + 1, "image_id": image, "category_id": category}
            annotations.append(dict(row) | new)
    return {"info": info, "licenses": [], "images": images, "categories": categories, "annotations": annotations}


def _rows(document: Document, key: str, at: int) -> list[Mapping[str, Any]]:
    field = f"documents[{at}].{key}"
    rows = sequence(mapping(document, f"documents[{at}]").get(key), field)
    for number, row in enumerate(rows):
        missing = [name for name in _NEEDED[key] if name not in mapping(row, f"{field}[{number}]")]
        if missing:
            raise PromptError(f"{field}[{number}].{missing[0]}: missing")
    return rows


def _new_id(ids: Mapping[Any, int], row: Mapping[str, Any], key: str, field: str) -> int:
    if row.get(key) not in ids:
        raise PromptError(f"{field}.{key}: the document has no {key.removesuffix('_id')} {row.get(key)!r}")
    return ids[row[key]]


def _agreed(infos: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    first, *others = infos or ({},)
    return {key: value for key, value in first.items() if all(key in other and other[key] == value for other in others)}


def _provenance(document: Document) -> dict[str, Any]:
    info = document.get("info", {})
    return {"provenance": info["provenance"]} if "provenance" in info else {}
