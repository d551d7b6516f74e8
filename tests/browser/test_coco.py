"""COCO documents made one in the browser, as the service does it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Error, Page

from clickmask.service.formats.coco import to_coco
from clickmask.service.formats.coco_merge import merge_coco
from clickmask.service.formats.result import ObjectResult, Result


def _merge(page: Page, documents: list[dict[str, Any]]) -> Any:
    script = "async (documents) => (await import('./coco.js')).mergeCoco(documents)"
    return page.evaluate(script, documents)


def _document(name: str, labels: list[str | None], **provenance: object) -> dict[str, Any]:
    draw = np.random.default_rng(len(labels))
    objects = [ObjectResult(draw.random((9, 7)) < 0.5, 0.9, 0.8, n, label) for n, label in enumerate(labels)]
    return to_coco(Result(7, 9, objects, provenance, name=name), polygons=len(labels) % 2 == 0)


ODD: list[str | None] = ['chien "été"', "\U0001f436", "\ufb01", "b", "__proto__", None, "B", "bb", "10", "9"]
SAME = [_document("a.jpg", ["dog", "cat"], variant="vit_t"), _document("b.jpg", [], variant="vit_t")]
APART = [*SAME, _document("c.jpg", ["dog", None, "ant"], variant="vit_b")]
ODDLY = [
    _document("a\u2028.jpg", ODD, x=1),
    _document("a.jpg", ODD[::-1], x=1),
    _document("a.jpg", ["\U0001f436\ufb01"]),
]
FOREIGN = {
    "images": [{"id": 700, "file_name": "x"}, {"id": 3, "file_name": "y", "provenance": 4}],
    "categories": [{"id": 90, "name": "dog"}, {"id": 0, "name": "dog", "supercategory": "animal"}],
    "annotations": [{"id": 8, "image_id": 3, "category_id": 0}, {"id": 8, "image_id": 700, "category_id": 90}],
}


@pytest.mark.parametrize(
    "documents",
    [[], SAME, APART, ODDLY, [FOREIGN, *APART], [SAME[0], FOREIGN], [merge_coco(APART), FOREIGN, merge_coco(SAME)]],
    ids=["none", "same", "apart", "odd", "foreign first", "foreign last", "merged"],
)
def test_the_page_merges_as_the_service_does(modules: Page, documents: list[dict[str, Any]]) -> None:
    expected = merge_coco(documents)
    found = _merge(modules, documents)
    assert found == expected
    assert [row["name"] for row in found["categories"]] == [row["name"] for row in expected["categories"]]


def test_infos_are_compared_whatever_the_order_of_their_keys(modules: Page) -> None:
    first, second = json.loads(json.dumps(SAME))
    first["info"]["provenance"] = {"a": 1, "b": {"c": [1, {"d": 2, "e": 3}]}}
    second["info"]["provenance"] = {"b": {"c": [1, {"e": 3, "d": 2}]}, "a": 1}
    assert _merge(modules, [first, second]) == merge_coco([first, second])
    assert "provenance" in merge_coco([first, second])["info"]


@pytest.mark.parametrize(("key", "field"), [("images", "image_id"), ("categories", "category_id")])
def test_annotations_about_nothing_are_refused_by_name(modules: Page, key: str, field: str) -> None:
    wrong = {**SAME[0], key: []}
    with pytest.raises(Error, match=rf"documents\[1\]\.annotations\[0\]\.{field}: the document has no"):
        _merge(modules, [SAME[0], wrong])
