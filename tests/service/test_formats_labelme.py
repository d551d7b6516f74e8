"""LabelMe's files, checked against labelme's own account of them, and read as labelme reads them."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from clickmask.models.errors import OutputError
from clickmask.service.formats import Options, write
from clickmask.service.formats.labelme import write_labelme
from clickmask.service.formats.result import ObjectResult, Result

# What labelme asks of a file, and of a shape, when it opens one; the rest it keeps as it is.
FILE = {"version": str, "flags": dict, "shapes": list, "imagePath": str, "imageHeight": int, "imageWidth": int}
SHAPE = {"label": str, "points": list, "shape_type": str, "flags": dict, "description": str}


def _masks() -> list[np.ndarray]:
    """Whole, in two parts with a hole, empty, and noise."""
    whole, parts, empty = (np.zeros((20, 30), bool) for _ in range(3))
    whole[2:9, 3:12] = True
    parts[1:9, 14:24] = parts[12:18, 2:7] = True
    parts[3:5, 16:20] = False
    return [whole, parts, empty, np.random.default_rng(4).random((20, 30)) < 0.5]


def _result(labels: tuple[str | None, ...] = ("dog", "cat", None, None), name: str | None = "a.jpg") -> Result:
    objects = [ObjectResult(mask, 0.9, None, n, labels[n]) for n, mask in enumerate(_masks())]
    return Result(30, 20, objects, {"variant": "vit_t"}, name=name)


def _seen(shape: dict[str, Any]) -> np.ndarray:
    """A shape's pixels by labelme's own rules."""
    if shape["shape_type"] == "mask":
        mask = np.zeros((20, 30), bool)
        (x1, y1), (x2, y2) = shape["points"]
        mask[y1 : y2 + 1, x1 : x2 + 1] = np.asarray(Image.open(io.BytesIO(base64.b64decode(shape["mask"])))).astype(
            bool
        )
        return mask
    image = Image.new("L", (30, 20))
    ImageDraw.Draw(image).polygon([(x, y) for x, y in shape["points"]], outline=1, fill=1)
    return np.asarray(image).astype(bool)


def _instances(document: dict[str, Any]) -> list[tuple[str, np.ndarray]]:
    """Objects as labelme's converters tell them: by label and group_id, shapes without one each by itself."""
    found: dict[object, tuple[str, np.ndarray]] = {}
    for at, shape in enumerate(document["shapes"]):
        group = shape["group_id"]
        key = ("alone", at) if group is None else (shape["label"], group)
        before = found.get(key, ("", np.zeros((20, 30), bool)))[1]
        found[key] = (shape["label"], before | _seen(shape))
    return list(found.values())


@pytest.mark.parametrize("polygons", [None, True, False])
def test_files_have_what_labelme_asks_for(polygons: bool | None) -> None:
    document = json.loads(write_labelme(_result(), polygons))
    assert {key: type(document[key]) for key in FILE} == FILE
    assert (document["imageData"], document["imagePath"]) == (None, "a.jpg")
    assert (document["imageWidth"], document["imageHeight"]) == (30, 20)
    assert document["clickmask"]["provenance"] == {"variant": "vit_t"}
    for shape in document["shapes"]:
        assert {key: type(shape[key]) for key in SHAPE} == SHAPE
        assert shape["group_id"] is None or type(shape["group_id"]) is int
        assert all(type(number) in (int, float) for point in shape["points"] for number in point)
        assert (shape["shape_type"], shape["mask"] is None) == (
            ("mask", False) if polygons is False else ("polygon", True)
        )
        assert shape["predicted_iou"] == 0.9 and "stability_score" not in shape


@pytest.mark.parametrize("polygons", [None, False])
def test_labelme_reads_the_very_masks(polygons: bool | None) -> None:
    whole, parts, _, noise = _masks()
    found = _instances(json.loads(write_labelme(_result(), polygons)))
    assert [label for label, _ in found] == ["dog", "cat", "object"]  # the empty object is left out
    for (_, mask), expected in zip(found, (whole, parts, noise), strict=True):
        assert np.array_equal(mask, expected)


def test_a_square_is_as_worked_out_by_hand() -> None:
    mask = np.zeros((5, 6), bool)
    mask[1:3, 2:5] = True
    result = Result(6, 5, [ObjectResult(mask, label="dog")])
    (polygon,) = json.loads(write_labelme(result))["shapes"]
    assert sorted(map(tuple, polygon["points"])) == [(2.1, 1.1), (2.1, 2.9), (4.9, 1.1), (4.9, 2.9)]
    (exact,) = json.loads(write_labelme(result, polygons=False))["shapes"]
    assert exact["points"] == [[2, 1], [4, 2]]  # both inclusive
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(exact["mask"]))))
    assert pixels.tolist() == [[1, 1, 1], [1, 1, 1]]


def test_only_the_parts_of_one_object_share_a_group() -> None:
    shapes = json.loads(write_labelme(_result(("dog", "dog", None, "dog"))))["shapes"]
    groups = [shape["group_id"] for shape in shapes]
    assert groups[0] is None and groups[1] == groups[2] == 2
    assert set(groups[3:]) == {4}


@pytest.mark.parametrize("label", ['chien "été" \\ 犬 \U0001f436\n', "a" * 200, "__ignore__", "</script>"])
def test_odd_labels_and_names_come_through(label: str) -> None:
    document = json.loads(write_labelme(_result((label,) * 4, name=f"{label}.png")))
    assert {shape["label"] for shape in document["shapes"]} == {label}
    assert document["imagePath"] == f"{label}.png"


def test_what_has_no_label_or_name_gets_one() -> None:
    document = json.loads(write_labelme(_result((None, "", " ", None), name=None)))
    assert {shape["label"] for shape in document["shapes"]} == {"object"}
    assert document["imagePath"] == "image"


def test_bytes_are_the_same_each_time_and_hold_a_shape_a_line() -> None:
    for polygons in (None, False):
        data = write(_result(), "a.json", "labelme", Options(polygons=polygons))
        assert write(_result(), "a.json", "labelme", Options(polygons=polygons)) == data
        assert len(data.splitlines()) == len(json.loads(data)["shapes"]) + 2
    assert json.loads(write_labelme(Result(4, 3)))["shapes"] == []


def test_tolerance_makes_polygons_simpler() -> None:
    side = np.arange(-40, 41)
    disc = Result(81, 81, [ObjectResult(side[:, None] ** 2 + side**2 <= 38**2)])
    exact, simple = (json.loads(write_labelme(disc, None, tolerance)) for tolerance in (0.0, 1.0))
    assert len(simple["shapes"][0]["points"]) < len(exact["shapes"][0]["points"]) / 3


def test_halves_of_characters_are_refused() -> None:
    with pytest.raises(OutputError, match="JSON"):
        write_labelme(_result(("\ud800", None, None, None)))
