"""COCO and LabelMe files read back: ours to the very pixels, others' as pycocotools reads them."""

from __future__ import annotations

import base64
import copy
import io
import json
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco

from clickmask.models.errors import PromptError
from clickmask.service.formats.coco import to_coco, write_coco
from clickmask.service.formats.coco_merge import merge_coco
from clickmask.service.formats.labelme import write_labelme
from clickmask.service.formats.reading_coco import read_coco
from clickmask.service.formats.reading_labelme import read_labelme
from clickmask.service.formats.result import ObjectResult, Result

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of pycocotools

WIDTH, HEIGHT = 31, 23


def _result(seed: int = 8, name: str = "dogs.jpg") -> Result:
    draw = np.random.default_rng(seed)
    labels = ["dog", "犬 'x'", "dog"]
    objects = [ObjectResult(draw.random((HEIGHT, WIDTH)) < 0.6, 0.9, 0.8, n, labels[n]) for n in range(3)]
    return Result(WIDTH, HEIGHT, objects, {"variant": "vit_t"}, name=name, sha256="ab", orientation=6)


def _assert_same(back: Result, result: Result) -> None:
    assert (back.width, back.height, back.name, back.provenance) == (WIDTH, HEIGHT, result.name, result.provenance)
    for read, written in zip(back.objects, result.objects, strict=True):
        assert np.array_equal(read.mask, written.mask)
        assert (read.label, read.score, read.stability, read.index) == (written.label, 0.9, 0.8, written.index)


@pytest.mark.parametrize("polygons", [False, True])
def test_coco_comes_back_to_the_pixel(polygons: bool) -> None:
    back = read_coco(write_coco(_result(), polygons), file="a.json")
    _assert_same(back, _result())
    assert (back.sha256, back.orientation) == ("ab", 6)


@pytest.mark.parametrize("polygons", [False, True])
def test_labelme_comes_back_to_the_pixel(polygons: bool) -> None:
    _assert_same(read_labelme(write_labelme(_result(), polygons), file="a.json"), _result())


def test_written_read_and_written_again_is_the_same() -> None:
    data = write_coco(_result())
    assert write_coco(read_coco(data, file="a.json")) == data
    data = write_labelme(_result(), False)
    assert write_labelme(read_labelme(data, file="a.json"), False) == data


def test_run_lengths_as_they_are_serve_too() -> None:
    document = to_coco(_result())
    for row, item in zip(document["annotations"], _result().objects, strict=True):
        flat = item.mask.ravel(order="F")
        changes = np.flatnonzero(np.diff(np.concatenate(([0], flat.astype(int))))).tolist()
        row["segmentation"] = {"size": [HEIGHT, WIDTH], "counts": np.diff([0, *changes, flat.size]).tolist()}
    _assert_same(read_coco(json.dumps(document).encode(), file="a.json"), _result())


def test_an_image_is_found_among_several_by_its_name() -> None:
    names = ["a/one.jpg", "b\\two.jpg", "three.jpg"]
    results = [_result(seed, name) for seed, name in enumerate(names)]
    data = json.dumps(merge_coco([to_coco(result) for result in results])).encode()
    for result, wanted in zip(results, ("one.jpg", "two.jpg", "three.jpg"), strict=True):
        assert result.name is not None
        for name in (wanted, result.name):
            _assert_same(read_coco(data, file="all.json", image=name), result)


def test_provenance_of_the_image_goes_before_the_document_s() -> None:
    one, other = _result(), Result(9, 9, [], {"variant": "vit_b"}, name="b.jpg")
    data = json.dumps(merge_coco([to_coco(one), to_coco(other)])).encode()
    assert read_coco(data, file="a", image="b.jpg").provenance == {"variant": "vit_b"}


def _star(corners: int, middle: float, radius: float) -> list[float]:
    angles = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    reach = np.where(np.arange(corners) % 2, radius, radius * 0.6)
    return (middle + np.stack((np.cos(angles), np.sin(angles)), axis=1) * reach[:, None]).ravel().tolist()


@pytest.mark.parametrize("corners", [7, 12, 40])
def test_other_people_s_polygons_are_read_as_pycocotools_does(corners: int) -> None:
    """But for pixels whose middles lie within a fifth of a pixel of an edge, which it rounds to."""
    rings = [_star(corners, 60.3, 40.7), _star(5, 30.15, 22.2)]
    document = to_coco(Result(128, 128, [ObjectResult(np.ones((128, 128), bool))]))
    document["annotations"][0]["segmentation"] = rings
    found = read_coco(json.dumps(document).encode(), file="a").objects[0].mask
    theirs = coco.decode(coco.merge(coco.frPyObjects(rings, 128, 128))) > 0
    y, x = np.nonzero(found != theirs)
    assert len(y) < 0.02 * theirs.sum()
    for column, row in zip(x.tolist(), y.tolist(), strict=True):
        assert min(_distance(ring, column + 0.5, row + 0.5) for ring in rings) < 0.25


def _distance(ring: list[float], x: float, y: float) -> float:
    contour = np.array(ring, np.float32).reshape(-1, 1, 2)
    return abs(cv2.pointPolygonTest(contour, (x, y), True))


def _labelme(*shapes: dict[str, Any], **fields: Any) -> bytes:
    document = {"version": "4.5.6", "imagePath": "a.jpg", "imageWidth": 8, "imageHeight": 6, "shapes": list(shapes)}
    return json.dumps(document | fields).encode()


def _mask(*rows: str) -> np.ndarray:
    return np.array([[cell == "#" for cell in row] for row in rows])


def test_labelme_s_other_shapes_are_areas_too() -> None:
    rectangle = {"label": "r", "shape_type": "rectangle", "points": [[5, 3.2], [1.2, 0.8]]}
    circle = {"label": "c", "shape_type": "circle", "points": [[4, 3], [4, 5]]}
    old = {"label": "o", "points": [[0, 0], [3, 0], [3, 2], [0, 2]]}
    found = read_labelme(_labelme(rectangle, circle, old), file="a").objects
    assert [item.label for item in found] == ["r", "c", "o"]
    assert np.array_equal(found[0].mask, _mask("........", ".####...", ".####...", "........", "........", "........"))
    assert np.array_equal(found[1].mask, _mask("........", "...##...", "..####..", "..####..", "...##...", "........"))
    assert np.array_equal(found[2].mask, _mask("###.....", "###.....", "........", "........", "........", "........"))


@pytest.mark.parametrize("mode", ["L", "1", "P"])
def test_labelme_s_masks_are_read_however_their_png_was_written(mode: str) -> None:
    out = io.BytesIO()
    Image.fromarray(np.array([[1, 0], [1, 1], [0, 1]], np.uint8)).point(
        lambda v: v * (255 if mode == "1" else 1)
    ).convert(mode).save(out, "PNG")
    shape = {"label": "m", "shape_type": "mask", "points": [[2.0, 1.0], [3.0, 3.0]]}
    (item,) = read_labelme(_labelme({**shape, "mask": base64.b64encode(out.getvalue()).decode()}), file="a").objects
    assert np.array_equal(item.mask[1:4, 2:4], _mask("#.", "##", ".#")) and item.mask.sum() == 4


def test_labelme_s_groups_are_objects_of_one_label() -> None:
    def square(x: int, label: str, group: int | None) -> dict[str, Any]:
        points = [[x, 0], [x + 1, 0], [x + 1, 1], [x, 1]]
        return {"label": label, "group_id": group, "points": points, "shape_type": "polygon"}

    shapes = square(0, "a", 1), square(2, "b", 1), square(4, "a", 1), square(6, "a", None), square(7, "a", None)
    found = read_labelme(_labelme(*shapes), file="a").objects
    assert [(item.label, np.flatnonzero(item.mask[0]).tolist(), item.index) for item in found] == [
        ("a", [0, 4], 0),
        ("b", [2], 1),
        ("a", [6], 2),
        ("a", [7], 3),
    ]


def test_old_labelme_files_take_the_image_s_size() -> None:
    data = _labelme(imageWidth=None, imageHeight=None)
    assert read_labelme(data, file="a", size=(5, 4)).width == 5
    with pytest.raises(PromptError, match="^a: imageWidth"):
        read_labelme(data, file="a")
    with pytest.raises(PromptError, match="8 x 6, but the image is 5 x 4"):
        read_labelme(_labelme(), file="a", size=(5, 4))


def _set(document: Any, field: str, value: object) -> bytes:
    """The document with one field, "images.0.width" for example, set to another value."""
    document = copy.deepcopy(document)
    at = document
    *path, last = [int(step) if step.isdigit() else step for step in field.split(".")]
    for step in path:
        at = at[step]
    at[last] = value
    return json.dumps(document).encode()


RUNS = {"size": [HEIGHT, WIDTH]}


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("images", {}, "images: expected a list"),
        ("images", [], "images: there are 0"),
        ("images", [{}, {}], "images: there are 2: say which"),
        ("images.0", 7, r"images\[0\]: expected an object"),
        ("images.0.width", 0, r"images\[0\]\.width: "),
        ("images.0.height", 10**8, "image: .*limit"),
        ("images.0.file_name", 5, r"images\[0\]\.file_name: "),
        ("images.0.orientation", "6", r"images\[0\]\.orientation: "),
        ("images.0.sha256", 6, r"images\[0\]\.sha256: "),
        ("categories", None, "categories: expected a list"),
        ("categories.1.id", "2", r"categories\[1\]\.id: "),
        ("categories.0.name", 2, r"categories\[0\]\.name: "),
        ("annotations", None, "annotations: expected a list"),
        ("annotations.1", 3, r"annotations\[1\]: expected an object"),
        ("annotations.2.category_id", 9, r"annotations\[2\]\.category_id: the file has no category 9"),
        ("annotations.2.category_id", [], r"annotations\[2\]\.category_id: "),
        ("annotations.2.predicted_iou", "x", r"annotations\[2\]\.predicted_iou: "),
        ("annotations.0.segmentation", None, r"annotations\[0\]\.segmentation: .*boxes alone"),
        ("annotations.0.segmentation", [], r"annotations\[0\]\.segmentation: "),
        ("annotations.0.segmentation", [[1, 2, 3, 4]], r"annotations\[0\]\.segmentation: a polygon"),
        ("annotations.0.segmentation", [[1, 2, 3, 4, 5, 6, 7]], r"annotations\[0\]\.segmentation: a polygon"),
        ("annotations.0.segmentation", [[1, 2, 3, 4, 5, [6]]], r"annotations\[0\]\.segmentation: a polygon"),
        ("annotations.0.segmentation", [[1, 2, 3, 4, 5, 10**400]], r"annotations\[0\]\.segmentation: a polygon"),
        ("annotations.0.segmentation", [[1, 2, 3, 4, 5, 1e300]], r"annotations\[0\]\.segmentation: polygons"),
        (
            "annotations.0.segmentation",
            {"size": [1, 1], "counts": [1]},
            r"annotations\[0\]\.segmentation: rle: its size",
        ),
        ("annotations.0.segmentation", {**RUNS, "counts": [9]}, r"annotations\[0\]\.segmentation: rle: .*fill"),
        ("annotations.0.segmentation", {**RUNS, "counts": "?!"}, r"annotations\[0\]\.segmentation: rle: "),
    ],
)
def test_coco_that_is_wrong_is_refused_by_file_and_field(field: str, value: object, named: str) -> None:
    with pytest.raises(PromptError, match=f"^photos/all.json: {named}"):
        read_coco(_set(to_coco(_result()), field, value), file="photos/all.json")


def test_an_image_that_is_not_there_or_twice_is_said_so() -> None:
    data = json.dumps(merge_coco([to_coco(_result(1, "a/x.jpg")), to_coco(_result(2, "b/x.jpg"))])).encode()
    with pytest.raises(PromptError, match="images: none of the 2 called 'y.jpg'"):
        read_coco(data, file="a", image="y.jpg")
    with pytest.raises(PromptError, match="images: 2 of the 2 called 'x.jpg'"):
        read_coco(data, file="a", image="x.jpg")


def _png(pixels: np.ndarray) -> str:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return base64.b64encode(out.getvalue()).decode()


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("shapes", None, "shapes: expected a list"),
        ("shapes.0", [], r"shapes\[0\]: expected an object"),
        ("imageWidth", "8", "imageWidth: "),
        ("imageHeight", 10**9, "image: .*limit"),
        ("imagePath", 8, "imagePath: "),
        ("shapes.1.label", 3, r"shapes\[1\]\.label: "),
        ("shapes.1.shape_type", "line", r"shapes\[1\]\.shape_type: expected one of polygon, .*got 'line'"),
        ("shapes.1.shape_type", "circle", r"shapes\[1\]\.points: expected 2"),
        ("shapes.1.points", "here", r"shapes\[1\]\.points: "),
        ("shapes.1.points", [[1, 2], [3]], r"shapes\[1\]\.points: "),
        ("shapes.1.points", [[1, 2], [3, 4]], r"shapes\[1\]\.points: polygons"),
        ("shapes.1.points", [[1, 2], [3, 4], [5, 1e300]], r"shapes\[1\]\.points: polygons"),
        ("shapes.1.points", [[1, 2], [3, 4], [5, 10**400]], r"shapes\[1\]\.points: expected a list"),
        ("shapes.1.predicted_iou", "x", r"shapes\[1\]\.predicted_iou: "),
        ("shapes.2.mask", None, r"shapes\[2\]\.mask: expected a PNG"),
        ("shapes.2.mask", "AAAA", r"shapes\[2\]\.mask: expected a PNG"),
        ("shapes.2.mask", "é", r"shapes\[2\]\.mask: expected a PNG"),
        ("shapes.2.mask", _png(np.ones((3, 2), np.uint8)), r"shapes\[2\]\.mask: its 2 x 3 pixels do not fit"),
        ("shapes.2.points", [[7, 5], [8, 6]], r"shapes\[2\]\.mask: .*or the image"),
        ("shapes.2.points", [[1, 1], [1e300, 2]], r"shapes\[2\]\.points: "),
        ("shapes.2.points", [[-1, 1], [0, 2]], r"shapes\[2\]\.mask: "),
    ],
)
def test_labelme_that_is_wrong_is_refused_by_file_and_field(field: str, value: object, named: str) -> None:
    square = {"label": "a", "shape_type": "polygon", "points": [[0, 0], [2, 0], [2, 2]]}
    mask = {"label": "m", "shape_type": "mask", "points": [[1, 1], [2, 2]], "mask": _png(np.ones((2, 2), np.uint8))}
    document = json.loads(_labelme(square, square, mask))
    assert len(read_labelme(json.dumps(document).encode(), file="a").objects) == 3
    with pytest.raises(PromptError, match=f"^photos/a.json: {named}"):
        read_labelme(_set(document, field, value), file="photos/a.json")


@pytest.mark.parametrize("data", [b"", b"[1]", b"{", b"\xff\xfe\x00", b"[" * 100_000, b"3", b"{}"])
def test_what_is_no_document_is_refused(data: bytes) -> None:
    for read in (read_coco, read_labelme):
        with pytest.raises(PromptError, match="^x.json: "):
            read(data, file="x.json")
