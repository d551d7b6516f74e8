"""COCO documents, loaded by pycocotools; and several made one."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO

from clickmask.models.errors import OutputError, PromptError
from clickmask.service import rle
from clickmask.service.formats import Options, write
from clickmask.service.formats.coco import to_coco, write_coco
from clickmask.service.formats.coco_merge import merge_coco
from clickmask.service.formats.result import ObjectResult, Result

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of pycocotools

ODD = 'chien "été" \\ 犬 \U0001f436\n'


def _result(masks: list[np.ndarray], labels: list[str | None], name: str | None = "dogs.jpg") -> Result:
    height, width = masks[0].shape
    objects = [
        ObjectResult(mask, 0.9, 0.8, number, label)
        for number, (mask, label) in enumerate(zip(masks, labels, strict=True))
    ]
    return Result(width, height, objects, {"variant": "vit_t"}, name=name, sha256="ab", orientation=6)


def _noise(count: int = 4, shape: tuple[int, int] = (23, 31)) -> list[np.ndarray]:
    draw = np.random.default_rng(8)
    return [draw.random(shape) < 0.6 for _ in range(count)]


def _load(data: bytes, folder: Path) -> COCO:
    """The file as pycocotools has it (which prints)."""
    (folder / "a.json").write_bytes(data)
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(folder / "a.json"))


def test_the_document_of_a_square_is_as_worked_out_by_hand() -> None:
    mask = np.zeros((4, 5), bool)
    mask[1:3, 2:5] = True
    document = json.loads(write_coco(_result([mask], ["dog"])))
    version = document["info"].pop("version")
    assert isinstance(version, str)
    assert document == {
        "info": {"description": "made with clickmask", "provenance": {"variant": "vit_t"}},
        "licenses": [],
        "images": [
            {"id": 1, "width": 5, "height": 4, "file_name": "dogs.jpg", "sha256": "ab", "orientation": 6},
        ],
        "categories": [{"id": 1, "name": "dog", "supercategory": ""}],
        "annotations": [
            {
                "id": 1,
                "image_id": 1,
                "category_id": 1,
                "segmentation": {"size": [4, 5], "counts": "922000O"},  # runs 9 2 2 2 2 2 1
                "area": 6,
                "bbox": [2, 1, 3, 2],
                "iscrowd": 0,
                "predicted_iou": 0.9,
                "stability_score": 0.8,
            }
        ],
    }


@pytest.mark.parametrize("polygons", [None, False, True])
def test_pycocotools_reads_the_very_masks(tmp_path: Path, polygons: bool | None) -> None:
    masks = _noise()
    found = _load(write_coco(_result(masks, ["dog", None, "cat", "dog"]), polygons), tmp_path)
    annotations = found.loadAnns(found.getAnnIds(imgIds=[1], iscrowd=False))
    assert len(annotations) == 4
    for annotation, mask in zip(annotations, masks, strict=True):
        assert np.array_equal(found.annToMask(annotation) > 0, mask)
        rows, columns = np.nonzero(mask)
        assert annotation["area"] == mask.sum()
        assert annotation["bbox"] == [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]
        assert isinstance(annotation["segmentation"], list) == bool(polygons)
    names = [found.loadCats([annotation["category_id"]])[0]["name"] for annotation in annotations]
    assert names == ["dog", "object", "cat", "dog"]
    assert [len(found.getAnnIds(catIds=found.getCatIds(catNms=[name]))) for name in ("dog", "cat")] == [2, 1]


def test_the_same_labels_have_the_same_ids_in_whatever_order(tmp_path: Path) -> None:
    masks = _noise(3)
    one = to_coco(_result(masks, ["b", "\U0001f436", "\ufb01"]))
    other = to_coco(_result(masks, ["\ufb01", "b", "\U0001f436"]))
    assert one["categories"] == other["categories"]
    assert [row["name"] for row in one["categories"]] == ["b", "\ufb01", "\U0001f436"]  # by code points


@pytest.mark.parametrize("label", [ODD, "a" * 200, "object", "</script>", "'", "0"])
def test_odd_labels_and_names_come_through(tmp_path: Path, label: str) -> None:
    found = _load(write_coco(_result(_noise(1), [label], name=f"{label}.jpg")), tmp_path)
    assert [row["name"] for row in found.loadCats(found.getCatIds())] == [label]
    assert found.loadImgs([1])[0]["file_name"] == f"{label}.jpg"


def test_what_has_no_label_or_name_gets_one() -> None:
    document = to_coco(_result(_noise(3), [None, "", " \t"], name=None))
    assert [row["name"] for row in document["categories"]] == ["object"]
    assert document["images"][0]["file_name"] == "image"


def test_objects_without_a_pixel_are_left_out() -> None:
    full, empty = np.ones((3, 2), bool), np.zeros((3, 2), bool)
    for polygons in (False, True):
        document = to_coco(_result([empty, full, empty], ["a", "b", None]), polygons)
        (annotation,) = document["annotations"]
        assert (annotation["id"], annotation["area"], annotation["bbox"]) == (1, 6, [0, 0, 2, 3])
    assert json.loads(write_coco(_result([empty], [None])))["annotations"] == []


def test_scores_that_are_none_are_left_out() -> None:
    document = to_coco(Result(3, 2, [ObjectResult(np.ones((2, 3), bool), float("nan"), None)]))
    assert not {"predicted_iou", "stability_score"} & set(document["annotations"][0])


def test_bytes_are_the_same_each_time_and_hold_an_object_a_line() -> None:
    result = _result(_noise(), [ODD, "b", None, "b"])
    data = write(result, "a.json", "coco", Options(polygons=True))
    assert write(result, "a.json", "coco", Options(polygons=True)) == data
    assert json.loads(data) == to_coco(result, polygons=True)
    assert len(data.splitlines()) == 4 + 2


def test_run_lengths_serve_instead_of_pixels() -> None:
    masks = _noise()
    runs = [ObjectResult(rle.encode(mask), 0.9, 0.8, n) for n, mask in enumerate(masks)]
    result = _result(masks, [None] * 4)
    for polygons in (False, True):
        assert write_coco(Result(31, 23, runs, result.provenance, None, "dogs.jpg", "ab", 6), polygons) == write_coco(
            result, polygons
        )


def test_tolerance_makes_polygons_simpler() -> None:
    side = np.arange(-40, 41)
    disc = side[:, None] ** 2 + side**2 <= 38**2
    exact, simple = (to_coco(_result([disc], [None]), True, tolerance) for tolerance in (0.0, 1.0))
    lengths = [len(document["annotations"][0]["segmentation"][0]) for document in (exact, simple)]
    assert lengths[1] < lengths[0] / 3
    assert exact["annotations"][0]["area"] == simple["annotations"][0]["area"] == disc.sum()


@pytest.mark.parametrize("label", ["\ud800", "a\udfff"])
def test_halves_of_characters_are_refused(label: str) -> None:
    with pytest.raises(OutputError, match="JSON"):
        write_coco(_result(_noise(1), [label]))


def _documents() -> list[dict[str, Any]]:
    masks = _noise(3)
    return [
        to_coco(_result(masks[:2], ["dog", "cat"], "a.jpg")),
        to_coco(Result(31, 23, [], {"variant": "vit_t"}, name="b.jpg")),
        to_coco(_result([masks[2], masks[0]], ["ant", "dog"], "c.jpg"), polygons=True),
    ]


def test_several_documents_are_one(tmp_path: Path) -> None:
    documents = _documents()
    before = json.dumps(documents)
    merged = merge_coco(documents)
    assert json.dumps(documents) == before
    found = _load(json.dumps(merged).encode(), tmp_path)
    assert [row["file_name"] for row in found.loadImgs(found.getImgIds())] == ["a.jpg", "b.jpg", "c.jpg"]
    assert [row["id"] for row in merged["annotations"]] == [1, 2, 3, 4]
    assert [row["image_id"] for row in merged["annotations"]] == [1, 1, 3, 3]
    names = {row["id"]: row["name"] for row in merged["categories"]}
    assert names == {1: "ant", 2: "cat", 3: "dog"}
    assert [names[row["category_id"]] for row in merged["annotations"]] == ["dog", "cat", "ant", "dog"]
    first, second, third = _noise(3)
    for row, mask in zip(merged["annotations"], (first, second, third, first), strict=True):
        assert np.array_equal(found.annToMask(row) > 0, mask)


def test_merging_step_by_step_gives_the_same() -> None:
    first, second, third = _documents()
    assert merge_coco([merge_coco([first, second]), third]) == merge_coco([first, second, third])


def test_what_documents_agree_on_is_said_once() -> None:
    first, second, _ = _documents()
    agreed = merge_coco([first, second])
    assert agreed["info"] == first["info"] and "provenance" not in agreed["images"][0]
    second["info"] = {**second["info"], "provenance": {"variant": "vit_b"}}
    apart = merge_coco([first, second])
    assert "provenance" not in apart["info"] and apart["info"]["version"] == first["info"]["version"]
    assert [row["provenance"] for row in apart["images"]] == [{"variant": "vit_t"}, {"variant": "vit_b"}]


def test_nothing_makes_an_empty_document() -> None:
    assert merge_coco([]) == {"info": {}, "licenses": [], "images": [], "categories": [], "annotations": []}


@pytest.mark.parametrize(
    ("key", "rows", "named"),
    [
        ("images", None, r"^documents\[1\]\.images: expected a list"),
        ("images", [], r"^documents\[1\]\.annotations\[0\]\.image_id: the document has no image 1"),
        ("categories", [{"id": 7, "name": "x"}], r"^documents\[1\]\.annotations\[0\]\.category_id: .* no category 2"),
        ("categories", [{"id": 7}], r"^documents\[1\]\.categories\[0\]\.name: missing"),
        ("annotations", [3], r"^documents\[1\]\.annotations\[0\]: expected an object"),
        ("annotations", [{"image_id": 1}], r"^documents\[1\]\.annotations\[0\]\.category_id: missing"),
    ],
)
def test_documents_that_do_not_hold_together_are_refused(key: str, rows: Any, named: str) -> None:
    good = _documents()[0]
    with pytest.raises(PromptError, match=named):
        merge_coco([good, {**good, key: rows}])
