"""All files of a picture: how many there are, what they are called, and that they are the same each time."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from clickmask.models.errors import OutputError
from clickmask.service.cutouts import cutout
from clickmask.service.formats import FORMATS, Options, count_files, write, write_files
from clickmask.service.formats.names import file_name, is_file_name
from clickmask.service.formats.result import ObjectResult, Result
from clickmask.service.images import Picture


def _result(photo: np.ndarray, count: int, name: str | None = "dogs.jpg") -> Result:
    objects = []
    for number in range(count):
        mask = np.zeros(photo.shape[:2], bool)
        mask[10 * number + 5 : 10 * number + 12, 20:50] = True
        objects.append(ObjectResult(mask, 0.9, 0.8, number, "dog"))
    return Result.of(Picture(photo, name), objects, {})


def _pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


def test_one_object_is_one_file_a_format(photo: np.ndarray) -> None:
    result = _result(photo, 1)
    files = list(write_files(result, FORMATS))
    assert [file.name for file in files] == [
        "dogs_mask.png",
        "dogs_cutout.png",
        "dogs_overlay.jpg",
        "dogs_objects.json",
        "dogs_coco.json",
        "dogs.json",
        "dogs_sa1b.json",
        "dogs/0.png",
        "dogs/metadata.csv",
        "dogs.txt",
        "dogs_labels.png",
        "dogs.geojson",
        "dogs_measurements.csv",
    ]
    assert count_files(result, FORMATS) == len(files)
    single = [file for file in files if "/" not in file.name]
    for file, name in zip(single, (name for name, row in FORMATS.items() if row.folder is None), strict=True):
        assert file.data == write(result, f"x{FORMATS[name].extension}", name)


def test_masks_and_cutouts_are_one_file_an_object(photo: np.ndarray) -> None:
    result = _result(photo, 11)
    files = {file.name: file.data for file in write_files(result, ["png", "coco", "cutout", "png"], Options(pad=3))}
    names = [f"{number:02}" for number in range(1, 12)]
    assert list(files) == [
        *(f"dogs_mask_{number}.png" for number in names),
        "dogs_coco.json",
        *(f"dogs_cutout_{number}.png" for number in names),
    ]
    assert count_files(result, ["png", "coco", "cutout", "png"]) == len(files) == 23
    for number, item in zip(names, result.objects, strict=True):
        assert np.array_equal(_pixels(files[f"dogs_mask_{number}.png"]), item.mask * np.uint8(255))
        assert np.array_equal(_pixels(files[f"dogs_cutout_{number}.png"]), cutout(photo, item.mask, pad=3))


def test_the_same_objects_give_the_same_files(photo: np.ndarray) -> None:
    first, second = ([(f.name, f.data) for f in write_files(_result(photo, 2), FORMATS)] for _ in range(2))
    assert first == second


def test_files_are_made_one_by_one(photo: np.ndarray) -> None:
    result = _result(photo, 1)
    empty = ObjectResult(np.zeros(photo.shape[:2], bool), index=1)
    files = write_files(Result.of(Picture(photo), [*result.objects, empty], {}), ["cutout"])
    assert next(files).name == "cutout_1.png"
    with pytest.raises(OutputError, match="^cutout of object 2: the mask is empty"):
        next(files)


def test_a_picture_without_objects_has_its_documents_still(photo: np.ndarray) -> None:
    files = list(write_files(_result(photo, 0), FORMATS))
    assert [file.name for file in files] == [
        *("dogs_overlay.jpg", "dogs_objects.json", "dogs_coco.json", "dogs.json", "dogs_sa1b.json"),
        *("dogs/metadata.csv", "dogs.txt", "dogs_labels.png", "dogs.geojson", "dogs_measurements.csv"),
    ]


@pytest.mark.parametrize(
    ("picture", "word", "number", "expected"),
    [
        ("photo.jpg", "mask", "", "photo_mask.png"),
        ("photo.jpg", "mask", "07", "photo_mask_07.png"),
        ("photo.jpg", "", "", "photo.png"),
        ("a.b.c", "cutout", "", "a.b_cutout.png"),
        ("photo", "mask", "", "photo_mask.png"),
        (".png", "mask", "", ".png_mask.png"),
        (None, "mask", "", "mask.png"),
        (None, "mask", "3", "mask_3.png"),
        (None, "", "", "image.png"),
        ("犬 \U0001f436.webp", "mask", "", "犬 \U0001f436_mask.png"),
    ],
)
def test_files_are_named_after_their_picture(picture: str | None, word: str, number: str, expected: str) -> None:
    assert file_name(picture, word, ".png", number) == expected


@pytest.mark.parametrize("letter", ["a", "é", "犬", "\U0001f436"])
def test_long_names_are_cut_to_what_file_systems_take(letter: str) -> None:
    picture = letter * (251 // len(letter.encode())) + ".jpg"
    assert is_file_name(picture)
    name = file_name(picture, "mask", ".png", "1000")
    assert 240 < len(name.encode()) <= 255 and name.endswith("_mask_1000.png")
    assert set(name.removesuffix("_mask_1000.png")) == {letter}


@pytest.mark.parametrize(
    "name",
    ["a.jpg", "a b.jpg", "犬.jpg", 'a"b.jpg', "a:b.jpg", "...", "-", "a" * 255, "\U0001f469\u200d\U0001f52c.png"],
)
def test_these_are_names_of_files(name: str) -> None:
    assert is_file_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "a/b",
        "/a",
        "a\\b",
        "a\0",
        "a\nb",
        "\x7f",
        "\x85",
        "\u2028",
        "\ud800",
        "a\u202egpj.exe",
        "é" * 128,
    ],
)
def test_these_are_none(name: str) -> None:
    assert not is_file_name(name)
