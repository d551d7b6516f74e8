"""What we write we read back, in every format that is read; and what others write, or break."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from clickmask.models.errors import PromptError
from clickmask.service.formats import FORMATS, Options, write
from clickmask.service.formats.reading import READERS, Known, read_result, recognise
from clickmask.service.formats.reading_yolo import read_classes
from clickmask.service.formats.result import ObjectResult, Result
from clickmask.service.formats.yolo import write_data_yaml

ODD = 'chien "été" \\ 犬 \U0001f436'
PROMPT = {"points": [[2.5, 1.5]], "labels": [1], "box": None, "previous": False}
OF_MANY = [name for name in READERS if name != "png"]  # which is one mask of all objects
KEEPS_PROVENANCE = ("json", "coco", "labelme", "sa1b", "labelmap", "geojson")
KEEPS_SCORES = (*KEEPS_PROVENANCE, "amg")
KEEPS_EMPTY = ("json", "labelmap", "geojson", "amg", "png")


def _stripes(shape: tuple[int, int] = (23, 31)) -> list[np.ndarray]:
    """Masks of noise, with holes and parts, that do not overlap, so that a label map keeps them."""
    draw = np.random.default_rng(8)
    which = draw.integers(0, 4, shape)
    return [which == number for number in (1, 2, 3)]


def _result(masks: list[np.ndarray], name: str | None = "犬.jpg") -> Result:
    height, width = masks[0].shape
    labels = ["dog", ODD, "cat"]
    objects = [
        ObjectResult(mask, 0.5 + place / 8, 0.25, place, labels[place % 3], PROMPT, (1, 2, 20, 22))
        for place, mask in enumerate(masks)
    ]
    return Result(width, height, objects, {"variant": "vit_t"}, name=name, sha256="ab", orientation=6)


def _there_and_back(result: Result, name: str, options: Options | None = None) -> Result:
    classes = (ODD, "cat", "dog", "object")
    options = options or Options(classes=classes if name == "yolo" else ())
    file = f"a{FORMATS[name].extension}"
    data = write(result, file, name, options)
    known = Known(file, (result.width, result.height), None if name == "coco" else result.name, classes)
    assert recognise(file, data) == ("labelmap" if name == "png" else name)
    return read_result(data, known, name if name == "png" else None)


@pytest.mark.parametrize("name", OF_MANY)
def test_what_is_written_is_read_back(name: str) -> None:
    result = _result(_stripes())
    back = _there_and_back(result, name)
    assert (back.width, back.height, back.name) == (31, 23, "犬.jpg")
    assert [item.label for item in back.objects] == ([None] * 3 if name == "amg" else ["dog", ODD, "cat"])
    for item, given in zip(back.objects, result.objects, strict=True):
        assert np.array_equal(item.mask, given.mask) and item.index == given.index
        assert (item.score, item.stability) == ((given.score, 0.25) if name in KEEPS_SCORES else (None, None))
    assert back.provenance == ({"variant": "vit_t"} if name in KEEPS_PROVENANCE else {})


@pytest.mark.parametrize("name", READERS)
def test_masks_of_every_kind_are_read_back(name: str, random_masks: list[np.ndarray]) -> None:
    for mask in random_masks:
        back = _there_and_back(_result([mask]), name)
        assert len(back.objects) == int(mask.any() or name in KEEPS_EMPTY)
        for item in back.objects:
            assert np.array_equal(item.mask, mask)


@pytest.mark.parametrize("name", ["json", "sa1b", "labelmap", "geojson", "amg", "png"])
def test_a_second_time_gives_the_same_bytes(name: str) -> None:
    result = _result(_stripes())
    file = f"a{FORMATS[name].extension}"
    first = write(result, file, name)
    assert write(read_result(first, Known(file), name), file, name) == first


@pytest.mark.parametrize("name", ["sa1b", "amg"])
def test_points_and_crops_are_kept(name: str) -> None:
    (item, *_) = _there_and_back(_result(_stripes()), name).objects
    assert item.point == (2.5, 1.5) and item.crop == (1, 2, 20, 22)


def test_a_label_map_of_300_objects_is_read_back() -> None:
    numbers = np.random.default_rng(2).permutation(1200).reshape(30, 40) // 4
    objects = [ObjectResult(numbers == place, None, None, place, f"n{place}") for place in range(300)]
    back = _there_and_back(Result(40, 30, objects), "labelmap")
    assert [item.label for item in back.objects] == [f"n{place}" for place in range(300)]
    assert all(np.array_equal(item.mask, numbers == place) for place, item in enumerate(back.objects))


def test_a_label_map_of_other_programs_has_an_object_a_value() -> None:
    values = np.array([[0, 7, 7], [0, 0, 200]], np.uint8)
    out = io.BytesIO()
    Image.fromarray(values).save(out, "PNG")
    back = read_result(out.getvalue(), Known("a.png", image="b.jpg"))
    assert [item.mask.tolist() for item in back.objects] == [(values == 7).tolist(), (values == 200).tolist()]
    assert back.name == "b.jpg" and back.objects[0].label is None


def test_hidden_objects_stay_as_objects_without_pixels() -> None:
    one = np.ones((2, 2), bool)
    back = _there_and_back(_result([one, one.copy()]), "labelmap")
    assert [int(item.mask.sum()) for item in back.objects] == [4, 0]


def test_geojson_of_other_programs_needs_the_image_s_size() -> None:
    square = [[1, 1], [3, 1], [3, 3], [1, 3], [1, 1]]
    feature = {"type": "Feature", "properties": None, "geometry": {"type": "Polygon", "coordinates": [square]}}
    data = json.dumps({"type": "FeatureCollection", "features": [feature]}).encode()
    (item,) = read_result(data, Known("a.geojson", (4, 4))).objects
    assert item.mask.sum() == 4 and item.mask[1:3, 1:3].all()
    with pytest.raises(PromptError, match="give the photo too"):
        read_result(data, Known("a.geojson"))


def test_yolo_without_names_has_numbers_for_labels() -> None:
    back = read_result(b"7 0 0 1 0 1 1 0 1\n\n", Known("a.txt", (3, 2)))
    assert back.objects[0].label == "7" and back.objects[0].mask.all()
    with pytest.raises(PromptError, match="give the photo too"):
        read_result(b"", Known("a.txt"))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"0 0.5 0.5 0.1 0.1", "^a.txt: line 1: a box alone is not read"),
        (b"0 0 0 1 1", "line 1"),
        (b"0 0 0 1 0 1 1\n1 0 0 1 0 1 1 0", "line 2: expected three or more pairs"),
        (b"dog 0 0 1 0 1 1", "line 1: expected a class and numbers"),
        (b"0 nan 0 1 0 1 1", "line 1"),
        (b"2 0 0 1 0 1 1", "line 1: there is no class 2: there are 2 names"),
        (b"-1 0 0 1 0 1 1", "line 1: there is no class -1"),
        (b"\xff\xfe", "UTF-8"),
    ],
)
def test_broken_lines_are_refused_by_number(data: bytes, message: str) -> None:
    with pytest.raises(PromptError, match=message):
        read_result(data, Known("a.txt", (3, 2), classes=("a", "b")))


@pytest.mark.parametrize(
    "names", [["dog"], ['"', "\\", "\\U0000000a", "a: b # c", "yes", "é犬🐶", "\n\x85\u2028\0", ""]]
)
def test_names_of_classes_are_read_back(names: list[str]) -> None:
    assert read_classes(write_data_yaml(names), file="data.yaml") == names


def test_names_of_classes_in_other_forms() -> None:
    plain = b"path: x\nnames:\n  # two\n  1: 'it''s' \n  0: dog # the first\n\nnc: 2\n"
    assert read_classes(plain, file="a") == ["dog", "it's"] == list(dict(sorted(_names(plain).items())).values())
    assert read_classes(b"names:\n  - dog\n  - cat\n", file="a") == ["dog", "cat"] == _names(b"names:\n- dog\n- cat")
    assert read_classes(b"names:\n- dog\n- 'a cat'\nnc: 2\n", file="a") == ["dog", "a cat"]
    assert read_classes("dog\n犬\n".encode(), file="a") == ["dog", "犬"]
    for broken in (
        b"names: [a, 'b]\n",
        b"names: []\n",
        b"names: {1: a}\n",
        b"names: [a\n",
        b"names:\n  1: dog\n",
        b'names:\n  0: "dog\n',
    ):
        with pytest.raises(PromptError, match="^a: names"):
            read_classes(broken, file="a")


@pytest.mark.parametrize(
    "row", ["[dog, cat]", "['dog', \"a, \\\"b\\\"\", 'it''s' , c d]  # four", "{0: dog, 1: 'a: b'}", "[ 犬 ]", "[dog,]"]
)
def test_names_of_classes_in_a_row_are_as_a_reader_of_yaml_has_them(row: str) -> None:
    data = f"nc: 9\nnames: {row}\ntrain: x\n".encode()
    expected = _names(data)
    assert read_classes(data, file="a") == (list(expected.values()) if isinstance(expected, dict) else expected)


def _names(data: bytes) -> Any:
    return yaml.safe_load(data)["names"]


def _broken(name: str, field: str, value: object) -> bytes:
    """A document with one field, "annotations.0.bbox" for example, set to another value."""
    document: Any = json.loads(write(_result(_stripes()), "a.json", name))
    at = document
    *path, last = field.split(".")
    for step in path:
        at = at[int(step)] if step.isdigit() else at[step]
    at[last] = value
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    ("name", "field", "value", "named"),
    [
        ("sa1b", "image", [], "image: expected an object"),
        ("sa1b", "image.width", 0, "image.width"),
        ("sa1b", "image.width", 10**9, "image: .*limit"),
        ("sa1b", "image.height", 24, r"annotations\[0\].segmentation: rle: .*31 x 23, expected 31 x 24"),
        ("sa1b", "annotations", None, "annotations: expected a list"),
        ("sa1b", "annotations.1.segmentation", None, r"annotations\[1\].segmentation"),
        ("sa1b", "annotations.0.predicted_iou", "high", r"annotations\[0\].predicted_iou"),
        ("sa1b", "annotations.0.point_coords", [[1]], r"annotations\[0\].point_coords\[0\]: expected 2 numbers"),
        ("sa1b", "annotations.0.crop_box", [0, 0, None, 1], r"annotations\[0\].crop_box: expected 4 numbers"),
        ("geojson", "features", {}, "features: expected a list"),
        ("geojson", "features.0.geometry.type", "Point", r"features\[0\].geometry.type: expected Polygon"),
        ("geojson", "features.0.geometry.coordinates", [[[0, 0], [1, 1]]], r"features\[0\].geometry"),
        ("geojson", "features.0.geometry.coordinates", [[["a", 0]] * 4], r"features\[0\].geometry"),
        ("geojson", "features.0.properties.score", "high", r"features\[0\].properties.score"),
        ("geojson", "clickmask.image.width", -1, "clickmask.image.width"),
        ("geojson", "clickmask.image.height", 10**9, "image: .*limit"),
    ],
)
def test_malformed_documents_are_refused_by_field(name: str, field: str, value: object, named: str) -> None:
    with pytest.raises(PromptError, match=f"^a.json: {named}"):
        read_result(_broken(name, field, value), Known("a.json"), name)


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("data", [b"\xff\xfe\x00", b"[1]", b"{", b"[" * 100_000, b"3", b'{"features": 3}'])
def test_what_is_in_no_format_is_refused(name: str, data: bytes) -> None:
    with pytest.raises(PromptError, match="^x: "):
        read_result(data, Known("x", (3, 3)), name)


def test_a_map_in_colour_is_none() -> None:
    out = io.BytesIO()
    Image.new("RGB", (3, 3)).save(out, "PNG")
    with pytest.raises(PromptError, match="^a.png: expected a label map"):
        read_result(out.getvalue(), Known("a.png"))


def test_files_of_unknown_kinds_are_refused_with_the_known_ones() -> None:
    with pytest.raises(PromptError, match="a.json: in none of the formats that are read: json, coco"):
        read_result(b"{}", Known("a.json"))
    for file, why in (("a.csv", "it is measurements without masks"), ("a.jpg", "")):
        with pytest.raises(PromptError, match=f"^{file}: .*{why}.* json, coco"):
            read_result(b"", Known(file))
    with pytest.raises(
        PromptError, match="'cutout' is not read, as it is a part of the photo, without its place in it"
    ):
        read_result(b"", Known("a.png"), "cutout")


def test_a_photo_of_another_size_is_refused() -> None:
    data = write(_result(_stripes()), "a.json", "sa1b")
    with pytest.raises(PromptError, match="about an image of 31 x 23 pixels, but the photo has 5 x 5"):
        read_result(data, Known("a.json", (5, 5)))
