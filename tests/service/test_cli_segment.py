"""`clickmask segment` with the embedded weights: the files it writes are those that Python gives."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import cv2
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from clickmask.models.checkpoints import EMBEDDED
from clickmask.models.precision import PRECISIONS
from clickmask.service import rle
from clickmask.service.cli import settings
from clickmask.service.cli.app import app
from clickmask.service.formats.reading_coco import read_coco
from clickmask.service.formats.reading_labelme import read_labelme
from clickmask.service.segmenter import FITS, REFINES, Segmenter

ON_THE_DOG = "290,300"
Run = Callable[..., Result]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """`clickmask segment` in an empty folder; it must end well."""
    monkeypatch.chdir(tmp_path)

    def invoke(*words: str | Path, stdin: bytes | None = None, env: dict[str, str] | None = None) -> Result:
        done = CliRunner().invoke(app, ["segment", *map(str, words)], input=stdin, env=env)
        assert done.exit_code == 0, done.output
        return done

    return invoke


@pytest.fixture(scope="module")
def segmenter(tmp_path_factory: pytest.TempPathFactory) -> Segmenter:
    return Segmenter(cache_dir=tmp_path_factory.getbasetemp() / "cache" / "clickmask")  # with its self-check done


def _written(path: str) -> np.ndarray:
    return np.asarray(Image.open(path))


def test_a_click_writes_the_mask_that_python_gives(run: Run, segmenter: Segmenter, photo_path: Path) -> None:
    mask = segmenter.open(photo_path).click(290, 300)
    assert mask.box is not None
    done = run(photo_path, "--point", ON_THE_DOG, "-o", "new/dog.png")
    assert np.array_equal(_written("new/dog.png"), mask.pixels * np.uint8(255))
    assert done.stdout == ""
    box = ",".join(map(str, mask.box))
    for part in ("new/dog.png", f"{mask.area:,} px", f"box {box}", f"score {mask.score:.2f}", " s\n"):
        assert part in done.stderr


def test_json_goes_to_standard_output_alone(run: Run, segmenter: Segmenter, photo_path: Path) -> None:
    words = ("--point", ON_THE_DOG, "--point", "600,900,0", "--box", "190,200,470.5,620", "--format", "json")
    done = run("-", *words, "-o", "-", stdin=photo_path.read_bytes())
    document = json.loads(done.stdout)
    (found,) = document["objects"]
    assert found["prompt"]["points"] == [[290, 300], [600, 900]]
    assert (found["prompt"]["labels"], found["prompt"]["box"]) == ([1, 0], [190, 200, 470.5, 620])
    assert (document["image"]["name"], document["image"]["width"]) == (None, 682)
    image = segmenter.open(photo_path)
    mask = image.segment([(290, 300), (600, 900)], [1, 0], (190, 200, 470.5, 620))
    assert np.array_equal(rle.decode(found["rle"]), mask.pixels)
    assert "standard output: " in done.stderr and list(Path().iterdir()) == []


def test_coco_and_labelme_files_are_named_as_their_readers_expect(run: Run, photo_path: Path) -> None:
    words = (photo_path, "--point", ON_THE_DOG, "--quiet", "--format")
    for name in ("png", "coco", "labelme", "json"):
        run(*words, name)
    assert sorted(path.name for path in Path().iterdir()) == [
        "dogs.json",
        "dogs_coco.json",
        "dogs_mask.png",
        "dogs_objects.json",
    ]
    expected = _written("dogs_mask.png") > 0
    for result in (
        read_coco(Path("dogs_coco.json").read_bytes(), file="coco", image="dogs.jpg"),
        read_labelme(Path("dogs.json").read_bytes(), file="labelme"),
    ):
        assert [item.label for item in result.objects] == ["object"] and result.name == "dogs.jpg"
        assert np.array_equal(result.objects[0].mask, expected)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("sa1b", "dogs_sa1b.json"),
        ("amg", "dogs_amg.zip"),
        ("yolo", "dogs.txt"),
        ("labelmap", "dogs_labels.png"),
        ("geojson", "dogs.geojson"),
        ("csv", "dogs_measurements.csv"),
    ],
)
def test_every_format_has_a_name_of_its_own(run: Run, photo_path: Path, name: str, file: str) -> None:
    run(photo_path, "--point", ON_THE_DOG, "--format", name)
    assert [path.name for path in Path().iterdir()] == [file] and Path(file).stat().st_size > 0


def test_candidates_are_written_best_first(run: Run, segmenter: Segmenter, photo_path: Path) -> None:
    masks = segmenter.open(photo_path).candidates([(290, 300)])
    done = run(photo_path, "--point", ON_THE_DOG, "--candidates", "--format", "cutout", "--pad", "5", "-o", "dog.png")
    assert sorted(path.name for path in Path().iterdir()) == ["dog_1.png", "dog_2.png", "dog_3.png"]
    for number, mask in enumerate(masks, start=1):
        assert np.array_equal(_written(f"dog_{number}.png"), mask.cutout(pad=5))
    assert done.stderr.count("score") == 3


def test_only_the_window_is_looked_at(run: Run, segmenter: Segmenter, photo_path: Path) -> None:
    box = (190, 200, 470, 620)
    run(photo_path, "--point", ON_THE_DOG, "--window", "190,200,470,620", "-o", "dog.png")
    mask = segmenter.open(photo_path).window(box).click(290, 300)
    assert np.array_equal(_written("dog.png") > 0, mask.pixels)
    assert np.array_equal(segmenter.open(photo_path, window=box).click(290, 300).pixels, mask.pixels)


def test_mask_is_cleaned(run: Run, segmenter: Segmenter, photo_path: Path) -> None:
    run(photo_path, "--point", ON_THE_DOG, "--clean-specks", "0.5", "--clean-holes", "0.2", "-o", "dog.png", "--quiet")
    mask = segmenter.open(photo_path).click(290, 300)
    assert np.array_equal(_written("dog.png") > 0, mask.clean(0.5, 0.2).pixels)


def test_default_name_is_never_written_over_without_force(run: Run, photo_path: Path) -> None:
    words = (str(photo_path), "--point", ON_THE_DOG, "--format", "overlay")
    assert run(*words).stderr.startswith("dogs_overlay.jpg: ")
    first = Path("dogs_overlay.jpg").read_bytes()
    again = CliRunner().invoke(app, ["segment", *words])
    assert again.exit_code == 2 and "dogs_overlay.jpg exists already" in again.stderr and "--force" in again.stderr
    Path("dogs_overlay.jpg").write_bytes(b"old")
    run(*words, "--force")
    assert Path("dogs_overlay.jpg").read_bytes() == first


def test_a_named_file_is_written_over(run: Run, photo_path: Path) -> None:
    Path("dog.png").write_bytes(b"old")
    done = run(photo_path, "--point", ON_THE_DOG, "-o", "dog.png", "--quiet")
    assert _written("dog.png").shape == (1024, 682)
    assert done.output == ""


def test_settings_come_from_the_environment_too(run: Run, photo_path: Path, tmp_path: Path) -> None:
    env = {
        "CLICKMASK_MODEL": str(EMBEDDED),
        "CLICKMASK_PRECISION": "float32",
        "CLICKMASK_FIT": "square",
        "CLICKMASK_DEVICE": "cpu",
        "CLICKMASK_CACHE_DIR": str(tmp_path / "cache"),
        "CLICKMASK_QUIET": "1",
    }
    done = run(photo_path, "--point", ON_THE_DOG, "-o", "-", "--format", "json", env=env)
    provenance = json.loads(done.stdout)["provenance"]
    assert (provenance["precision"], provenance["fit"], provenance["device"]) == ("float32", "square", "cpu")
    assert done.stderr == ""


def test_photo_of_one_pixel_has_a_mask(run: Run, tmp_path: Path) -> None:
    cv2.imwrite("one.png", np.zeros((1, 1, 3), np.uint8))
    run("one.png", "--point", "0.5,0.5", "-o", "mask.png")
    assert _written("mask.png").shape == (1, 1)


def test_photo_from_standard_input_goes_to_standard_output(run: Run, photo_path: Path) -> None:
    done = run("-", "--point", ON_THE_DOG, stdin=photo_path.read_bytes())
    assert Image.open(io.BytesIO(done.stdout_bytes)).size == (682, 1024)


def test_choices_are_those_of_python() -> None:
    assert get_args(settings.Fit) == FITS
    assert get_args(settings.Refine) == REFINES
    assert get_args(settings.Precision) == ("auto", *PRECISIONS)
