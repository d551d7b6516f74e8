"""What the writers write, read back by others; and the JSON shape, read back by ourselves."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco

from clickmask.models.errors import OutputError, PromptError
from clickmask.service.cutouts import cutout, overlay
from clickmask.service.formats import FORMATS, Options, format_for, write
from clickmask.service.formats.json_file import read_json, write_json
from clickmask.service.formats.result import ObjectResult, Result
from clickmask.service.images import Picture
from clickmask.service.palette import colour

PROMPT = {"points": [[55.5, 70.0], [1, 2]], "labels": [1, 0], "box": None, "previous": False}


@pytest.fixture
def result(photo: np.ndarray) -> Result:
    """Two objects on the dogs, the second empty."""
    mask = np.zeros(photo.shape[:2], bool)
    mask[60:90, 50:70] = True
    mask[65:70, 55:60] = False
    first = ObjectResult(mask, 0.91, 0.97, 3, "dog", PROMPT)
    second = ObjectResult(np.zeros_like(mask), float("nan"), None, 4)
    return Result.of(Picture(photo, "dogs.jpg", 6), [first, second], {"variant": "vit_t", "threads": 2})


def _read(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def test_mask_png_is_black_and_white(result: Result) -> None:
    image = _read(write(result, "a.png"))
    assert (image.format, image.mode) == ("PNG", "L")
    assert np.array_equal(np.asarray(image), result.objects[0].mask * np.uint8(255))


def test_cutout_png_is_the_cutout(result: Result, photo: np.ndarray) -> None:
    image = _read(write(result, "a.png", "cutout"))
    assert image.mode == "RGBA"
    assert np.array_equal(np.asarray(image), cutout(photo, result.objects[0].mask))


def test_overlay_has_the_colours_of_the_objects_numbers(result: Result, photo: np.ndarray) -> None:
    expected = overlay(photo, [result.objects[0].mask], [colour(3)])
    assert np.array_equal(np.asarray(_read(write(result, "a.png", "overlay"))), expected)
    jpeg = _read(write(result, "a.jpg"))
    assert jpeg.format == "JPEG"
    assert np.abs(np.asarray(jpeg).astype(int) - expected).mean() < 6


@pytest.mark.parametrize(
    ("path", "explicit", "expected"),
    [
        ("a.png", None, "png"),
        ("A.PNG", None, "png"),
        ("a.json", None, "json"),
        ("a.jpg", None, "overlay"),
        ("a.JPEG", None, "overlay"),
        ("a.png", "overlay", "overlay"),
        ("a.b.png", "cutout", "cutout"),
    ],
)
def test_format_follows_name_then_extension(path: str, explicit: str | None, expected: str) -> None:
    assert format_for(path, explicit) == expected


@pytest.mark.parametrize(
    ("path", "explicit", "message"),
    [
        ("a.tga", None, r"\.tga.*\.png, \.jpg, \.jpeg, \.json"),
        ("a", None, "unknown extension ''"),
        ("a.png", "cut", "'cut'.*png, cutout, overlay, json"),
        ("a.jpg", "cutout", r"cutout is written to \.png, not to '\.jpg'"),
    ],
)
def test_unknown_format_lists_the_known_ones(path: str, explicit: str | None, message: str) -> None:
    with pytest.raises(OutputError, match=message):
        format_for(path, explicit)


def test_formats_say_rightly_whether_they_need_the_photo(result: Result) -> None:
    bare = Result(result.width, result.height, result.objects)
    for name, row in FORMATS.items():
        for extension in row.writers:
            if row.needs_photo:
                with pytest.raises(OutputError, match="photo"):
                    write(bare, "a" + extension, name)
            else:
                assert write(bare, "a" + extension, name)


def test_json_holds_the_contract_s_fields(result: Result) -> None:
    document = json.loads(write(result, "a.json"))
    assert list(document) == ["clickmask", "schema", "image", "provenance", "objects"]
    assert document["schema"] == 1
    assert isinstance(document["clickmask"], str)
    assert result.picture is not None
    assert document["image"] == {
        "name": "dogs.jpg",
        "width": 170,
        "height": 256,
        "sha256": result.picture.digest,
        "orientation": 6,
    }
    assert document["provenance"] == {"variant": "vit_t", "threads": 2}
    first, second = document["objects"]
    assert coco.area(first["rle"]) == first["area"] == 575
    assert {key: value for key, value in first.items() if key != "rle"} == {
        "index": 3,
        "label": "dog",
        "score": 0.91,
        "stability": 0.97,
        "area": 575,
        "box": [50, 60, 70, 90],
        "prompt": PROMPT,
    }
    assert (second["box"], second["area"], second["score"], second["prompt"]) == (None, 0, None, None)


def test_json_round_trip_keeps_everything(result: Result) -> None:
    data = write_json(result)
    back = read_json(data)
    assert write_json(back) == data
    assert back.picture is None
    assert np.array_equal(back.objects[0].mask, result.objects[0].mask)
    assert back.objects[0].prompt == PROMPT


def test_json_keeps_names_of_any_script(photo: np.ndarray) -> None:
    data = write_json(Result.of(Picture(photo, 'chien "été" 犬.jpg'), [], {}))
    assert "犬" in data.decode()
    assert read_json(data).name == 'chien "été" 犬.jpg'


def test_numpy_prompts_become_plain_numbers(result: Result) -> None:
    prompt: dict[str, Any] = {"points": np.array([[3, 4.5]], np.float32), "labels": np.array([1])}
    prompt |= {"box": np.array([0, 1, 2, 3]), "previous": np.True_}
    item = ObjectResult(result.objects[0].mask, np.float32(0.5), 0.5, 0, None, prompt)  # pyright: ignore
    document = json.loads(write_json(Result(result.width, result.height, [item])))
    expected = {"points": [[3.0, 4.5]], "labels": [1], "box": [0.0, 1.0, 2.0, 3.0], "previous": True}
    assert document["objects"][0]["prompt"] == expected


def _broken(result: Result, field: str, value: object) -> bytes:
    """The result's document with one field, "objects.0.index" for example, set to another value."""
    document: Any = json.loads(write_json(result))
    at = document
    *path, last = field.split(".")
    for step in path:
        at = at[int(step)] if step.isdigit() else at[step]
    at[last] = value
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("schema", 2, "^schema: expected 1, got 2"),
        ("image", None, "^image: "),
        ("image.width", 0, "^image.width: "),
        ("image.width", 171, r"^objects\[0\]: rle: .*170 x 256, expected 171 x 256"),
        ("image.height", 10**7, "^image: .*limit"),
        ("image.name", 5, "^image.name: "),
        ("image.orientation", "6", "^image.orientation: "),
        ("provenance", [], "^provenance: "),
        ("objects", {}, "^objects: "),
        ("objects.0.index", -1, r"^objects\[0\].index: "),
        ("objects.0.score", "good", r"^objects\[0\].score: "),
        ("objects.1.label", 7, r"^objects\[1\].label: "),
        ("objects.1.rle", None, r"^objects\[1\].*rle: "),
        ("objects.0.rle.counts", "?", r"^objects\[0\]: rle: "),
        ("objects.0.prompt", "here", r"^objects\[0\].*prompt: "),
        ("objects.0.prompt.points", [1, 2], r"^objects\[0\].prompt: expected points"),
    ],
)
def test_malformed_document_is_refused_by_field(result: Result, field: str, value: object, named: str) -> None:
    with pytest.raises(PromptError, match=named):
        read_json(_broken(result, field, value))


@pytest.mark.parametrize("data", [b"", b"[1]", b"{", b"\xff\xfe\x00", b"[" * 100_000, b"3"])
def test_what_is_no_document_is_refused(data: bytes) -> None:
    with pytest.raises(PromptError):
        read_json(data)


def test_provenance_beyond_json_is_refused(result: Result) -> None:
    with pytest.raises(OutputError, match="JSON"):
        write_json(Result(result.width, result.height, [], {"device": object()}))


def test_result_cannot_hold_masks_of_another_size_or_type(photo: np.ndarray) -> None:
    picture = Picture(photo)
    for mask in (np.zeros((3, 3), bool), np.zeros(photo.shape[:2], np.uint8)):
        with pytest.raises(OutputError, match="object 0: expected a bool mask"):
            Result.of(picture, [ObjectResult(mask)], {})
    with pytest.raises(OutputError, match="the picture is"):
        Result(3, 3, picture=picture)


def test_options_reach_the_format_that_takes_them(result: Result, photo: np.ndarray) -> None:
    image = _read(write(result, "a.png", "cutout", Options(pad=4, feather=1.5)))
    assert np.array_equal(np.asarray(image), cutout(photo, result.objects[0].mask, pad=4, feather=1.5))


@pytest.mark.parametrize("name", FORMATS)
def test_options_are_the_same_when_read_back_from_json(name: str) -> None:
    for options in (Options(), Options(3, 1.5, True, 0.5, ("dog", "cat"))):
        assert json.loads(json.dumps(options.of(name))) == options.of(name)


@pytest.mark.parametrize("name", [name for name, row in FORMATS.items() if not row.takes])
def test_options_that_a_format_does_not_take_are_refused(result: Result, name: str) -> None:
    path = "a" + next(iter(FORMATS[name].writers))
    with pytest.raises(OutputError, match=f"format {name} has no pad: that is for cutout"):
        write(result, path, name, Options(pad=4))
