"""The COCO document of all photos, put together from each photo's part, which are read one by one.

Ids follow the photos' order: they are the same however often the run was stopped, and however it was shared out.
`formats.coco_merge` does the same with documents that are in memory.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ..formats.coco import coco_categories
from .outlet import Outlet

DOCUMENT = "instances_coco.json"


def write_dataset(out: Outlet, parts: Sequence[str]) -> None:
    """Put the parts (paths in the output folder, in their order) together. Raises OutputError or StoppedError."""
    names = {row["name"] for part in _documents(out, parts) for row in part["categories"]}
    out.write(DOCUMENT, _pieces(out, parts, coco_categories(sorted(names))))


def _pieces(out: Outlet, parts: Sequence[str], categories: list[dict[str, Any]]) -> Iterator[bytes]:
    info = next((document["info"] for document in _documents(out, parts[:1])), {})
    yield _line({"info": info, "licenses": [], "categories": categories})[:-1] + b', "images": '
    yield from _listed(_images(_documents(out, parts)))
    yield b', "annotations": '
    yield from _listed(_annotations(_documents(out, parts), {row["name"]: row["id"] for row in categories}))
    yield b"}\n"


def _images(documents: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for number, document in enumerate(documents, start=1):
        yield {**document["images"][0], "id": number}


def _annotations(documents: Iterable[dict[str, Any]], ids: dict[str, int]) -> Iterator[dict[str, Any]]:
    count = 0
    for image, document in enumerate(documents, start=1):
        own = {row["id"]: ids[row["name"]] for row in document["categories"]}
        for row in document["annotations"]:
            count += 1
            yield {**row, "id": count, "image_id": image, "category_id": own[row["category_id"]]}


def _documents(out: Outlet, parts: Iterable[str]) -> Iterator[dict[str, Any]]:
    return (json.loads(out.read(part)) for part in parts)


def _listed(items: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    first = True
    for item in items:
        yield (b"[\n" if first else b",\n") + _line(item)
        first = False
    yield b"[]" if first else b"\n]"


def _line(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
