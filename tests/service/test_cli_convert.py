"""`clickmask convert`: every way between the formats that are read, and its errors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner
from typer.testing import Result as Done

from clickmask.service.cli.app import app
from clickmask.service.formats import FORMATS, Options, write
from clickmask.service.formats.reading import READERS, Known, read_result
from clickmask.service.formats.result import ObjectResult, Result
from clickmask.service.formats.yolo import write_data_yaml

Run = Callable[..., Done]
CLASSES = ("dog", "object", "犬")
OF_MANY = [name for name in READERS if name != "png"]  # which is one mask of all objects


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    monkeypatch.chdir(tmp_path)
    return lambda *words: CliRunner().invoke(app, ["convert", *map(str, words)])


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    cv2.imwrite(str(path), np.full((12, 16, 3), 90, np.uint8))
    return path


def _objects() -> Result:
    frame, dot = np.zeros((12, 16), bool), np.zeros((12, 16), bool)
    frame[2:10, 3:13], dot[11, 15] = True, True
    frame[4:7, 5:9] = False
    return Result(
        16, 12, [ObjectResult(frame, 0.5, 0.25, 0, "犬"), ObjectResult(dot, 0.5, 0.25, 1, "dog")], name="p.png"
    )


def _place(name: str, result: Result) -> str:
    file = f"a_{name}{FORMATS[name].extension}"
    Path(file).write_bytes(write(result, file, name, Options(classes=CLASSES if name == "yolo" else ())))
    return file


@pytest.mark.parametrize("target", OF_MANY)
@pytest.mark.parametrize("source", OF_MANY)
def test_every_format_becomes_every_other(run: Run, photo: Path, source: str, target: str) -> None:
    Path("data.yaml").write_bytes(write_data_yaml(CLASSES))
    classes = ["--classes", "data.yaml"] if "yolo" in (source, target) else []
    size = ["--photo", photo] if source == "yolo" else []
    made = f"b{FORMATS[target].extension}"
    done = run(_place(source, _objects()), made, "--to", target, *classes, *size)
    assert done.exit_code == 0, done.output
    assert done.stdout == "" and done.stderr == f"{made}: 2 objects as {target}\n"
    back = read_result(Path(made).read_bytes(), Known(made, (16, 12), classes=CLASSES), target)
    for item, given in zip(back.objects, _objects().objects, strict=True):
        assert np.array_equal(item.mask, given.mask)
        assert item.label == given.label or "amg" in (source, target)  # which has no place for labels


def test_formats_that_show_the_photo_are_given_it(run: Run, photo: Path) -> None:
    source = _place("sa1b", _objects())
    assert run(source, "b.jpg", "--photo", photo).exit_code == 0 and Path("b.jpg").is_file()
    done = run(source, "c.jpg")
    assert done.exit_code == 2 and "photo" in done.stderr and not Path("c.jpg").exists()


def test_a_mask_is_one_object_and_measurements_are_none(run: Run) -> None:
    result = _objects()
    assert run(_place("png", result), "b.json", "--from", "png").exit_code == 0
    (item,) = read_result(Path("b.json").read_bytes(), Known("b")).objects
    assert np.array_equal(item.mask, result.union())
    done = run(_place("csv", result), "c.json")
    assert done.exit_code == 2 and "'csv' is not read, as it is measurements without masks" in done.stderr


def test_what_is_lost_is_told(run: Run) -> None:
    parts = np.zeros((12, 16), bool)
    parts[0, 0] = parts[11, 15] = True
    file = _place("json", Result(16, 12, [ObjectResult(parts, index=place) for place in range(12)]))
    done = run(file, "b.txt")
    assert done.exit_code == 0 and done.stderr.count("Lost: yolo cannot keep object") == 10
    assert "its 2 parts are joined by lines (" in done.stderr and "px of 2 more objects" in done.stderr
    assert run(file, "b.txt", "--quiet").stderr == ""


def test_one_image_of_a_coco_document_is_chosen_by_name(run: Run) -> None:
    file = _place("coco", _objects())
    assert run(file, "b.geojson", "--image", "p.png").exit_code == 0
    done = run(file, "c.geojson", "--image", "q.png")
    assert done.exit_code == 2 and "none of the 1 called 'q.png'" in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("none.json", "b.geojson"), "none.json cannot be read: No such file"),
        ((".", "b.geojson"), "cannot be read: Is a directory"),
        (("a_sa1b.json", "b.tga"), "unknown extension '.tga'"),
        (("a_sa1b.json", "b.json", "--to", "cut"), "unknown format 'cut'"),
        (("a_sa1b.json", "b.json", "--to", "yolo"), "format yolo is written to .txt"),
        (("a_sa1b.json", "b.json", "--from", "csv"), "'csv' is not read"),
        (("a_sa1b.json", "b.json", "--from", "coco"), "a_sa1b.json: images: expected a list"),
        (("a_sa1b.json", "b.json", "--tolerance", "2"), "format json has no tolerance"),
        (("a_sa1b.json", "a_sa1b.json"), "is the input itself"),
        (("a_sa1b.json", "b.json", "--photo", "none.jpg"), "none.jpg"),
        (("a_sa1b.json", "b.json", "--classes", "a_sa1b.json"), "--classes is for yolo"),
        (("a.txt", "b.json"), "a.txt: yolo's lines do not say how large their image is: give the photo too"),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_written(run: Run, words: tuple[str, ...], message: str) -> None:
    _place("sa1b", _objects())
    Path("a.txt").write_text("0 0 0 1 0 1 1\n")
    before = Path("a_sa1b.json").read_bytes()
    done = run(*words)
    assert done.exit_code == 2 and message in done.stderr, done.output
    assert Path("a_sa1b.json").read_bytes() == before and not Path("b.json").exists()
