"""Masks of clickmask's, and arrays, to files of any format and to supervision."""

from __future__ import annotations

import csv
import importlib.util
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import clickmask
from clickmask import OpenImage, Segmenter, save_masks, to_detections
from clickmask.models.errors import ImageError, MissingExtraError, OutputError
from clickmask.service.formats import FORMATS, format_for
from clickmask.service.formats.json_file import read_json

HAS_SUPERVISION = importlib.util.find_spec("supervision") is not None


@pytest.fixture(scope="module")
def masks(dogs: OpenImage) -> list[clickmask.Mask]:
    return [dogs.click(290, 300), dogs.segment([(450, 600)], [1])]


@pytest.mark.parametrize("name", FORMATS)
def test_masks_of_a_photo_are_saved_in_every_format(tmp_path: Path, masks: list[clickmask.Mask], name: str) -> None:
    path = tmp_path / f"out{FORMATS[name].extension}"
    save_masks(path, masks, ["dog", None], format=name)
    assert path.stat().st_size > 0
    own = tmp_path / f"own{FORMATS[name].extension}"
    masks[0].save(own, format=name)
    assert own.stat().st_size > 0


def test_saved_masks_keep_scores_labels_prompts_and_provenance(tmp_path: Path, masks: list[clickmask.Mask]) -> None:
    save_masks(tmp_path / "a.json", masks, ["dog", None])
    back = read_json((tmp_path / "a.json").read_bytes())
    assert [item.label for item in back.objects] == ["dog", None] and back.provenance == masks[0].provenance
    for item, mask in zip(back.objects, masks, strict=True):
        assert np.array_equal(item.mask, mask.pixels) and (item.score, item.stability) == (mask.score, mask.stability)
    assert back.name == "dogs.jpg" and back.objects[0].point == (290, 300)


def test_a_folder_gets_all_files_of_a_format(tmp_path: Path, photo_path: Path, masks: list[clickmask.Mask]) -> None:
    save_masks(tmp_path / "out", masks, format="amg")
    assert sorted(path.name for path in (tmp_path / "out" / "dogs").iterdir()) == ["0.png", "1.png", "metadata.csv"]
    row, _ = csv.DictReader(io.StringIO((tmp_path / "out" / "dogs" / "metadata.csv").read_text()))
    assert (row["point_input_x"], row["point_input_y"], row["area"]) == ("290.0", "300.0", str(masks[0].area))
    save_masks(tmp_path / "out", [mask.pixels for mask in masks], image=photo_path, format="png")
    assert sorted(path.name for path in (tmp_path / "out").glob("*.png")) == ["dogs_mask_1.png", "dogs_mask_2.png"]


def test_all_that_was_found_has_the_points_and_crops_that_found_it(
    tmp_path: Path, strip_segmenter: Segmenter, strip: np.ndarray
) -> None:
    found = strip_segmenter.open(strip).everything(points_per_side=4, crop_n_layers=1, pred_iou_thresh=0.5)
    assert len(found) > 1 and len({mask.crop for mask in found}) > 1
    save_masks(tmp_path / "a.json", found, format="sa1b")
    rows = json.loads((tmp_path / "a.json").read_bytes())["annotations"]
    save_masks(tmp_path, found, format="amg")
    with open(tmp_path / "image" / "metadata.csv") as file:
        table = list(csv.DictReader(file))
    for row, cells, mask in zip(rows, table, found, strict=True):
        x0, y0, x1, y1 = mask.crop
        assert row["crop_box"] == [x0, y0, x1 - x0, y1 - y0] and row["point_coords"] == [list(mask.point)]
        assert (row["predicted_iou"], row["area"]) == (mask.score, mask.area)
        assert [float(cells[f"point_input_{axis}"]) for axis in "xy"] == list(mask.point)
        assert float(cells["stability_score"]) == mask.stability


def test_arrays_need_no_image_where_it_is_not_shown(tmp_path: Path) -> None:
    square = np.zeros((4, 5), bool)
    square[1:3, 2:5] = True
    assert save_masks(tmp_path / "a.geojson", [square], ["犬"]) == []
    (feature,) = json.loads((tmp_path / "a.geojson").read_bytes())["features"]
    assert feature["properties"] == {"index": 0, "label": "犬", "score": None, "stability": None, "area": 6}
    with pytest.raises(OutputError, match="photo"):
        save_masks(tmp_path / "a.jpg", [square])
    save_masks(tmp_path / "a.png", [square], image=np.zeros((4, 5, 3), np.uint8), format="cutout")
    with Image.open(tmp_path / "a.png") as cut:
        assert cut.size == (3, 2)


def test_what_a_format_could_not_keep_is_told(tmp_path: Path) -> None:
    inner, outer = np.zeros((6, 6), bool), np.ones((6, 6), bool)
    inner[2:4, 2:4] = True
    (loss,) = save_masks(tmp_path / "a.png", [outer, inner], format="labelmap")
    assert (loss.place, loss.pixels) == (1, 4)


def test_classes_and_options_reach_the_format(tmp_path: Path) -> None:
    square = np.ones((4, 5), bool)
    save_masks(tmp_path / "a.txt", [square], ["cat"], classes=["dog", "cat"])
    assert (tmp_path / "a.txt").read_text().startswith("1 ")
    with pytest.raises(OutputError, match="format png has no pad"):
        save_masks(tmp_path / "a.png", [square], pad=3)
    with pytest.raises(OutputError, match="format png has no pad"):
        save_masks(tmp_path / "folder", [square], format="png", pad=3)
    assert not (tmp_path / "folder").exists()


def test_what_does_not_fit_is_refused(tmp_path: Path, photo_path: Path) -> None:
    square = np.ones((4, 5), bool)
    path = tmp_path / "a.json"
    with pytest.raises(OutputError, match="labels: expected one for each of the 1 masks, got 2"):
        save_masks(path, [square], ["a", "b"])
    with pytest.raises(OutputError, match=r"masks\[0\]: expected \(H, W\) bool, got \(4, 5\) uint8"):
        save_masks(path, [square.astype(np.uint8)])
    with pytest.raises(OutputError, match="object 1: expected a bool mask of shape"):
        save_masks(path, [square, square.T])
    with pytest.raises(OutputError, match="give image="):
        save_masks(path, [])
    with pytest.raises(OutputError, match="expected one of png, cutout"):
        save_masks(tmp_path / "a", [square], format="cut")
    with pytest.raises(OutputError, match="is the input itself"):
        save_masks(photo_path, [square], image=photo_path)
    with pytest.raises(ImageError):
        save_masks(path, [square], image=tmp_path / "none.jpg")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("path", "name"), [("a.geojson", "geojson"), ("a.CSV", "csv"), ("a.txt", "yolo")])
def test_extensions_of_their_own_need_no_format(path: str, name: str) -> None:
    assert format_for(path) == name


@pytest.mark.skipif(HAS_SUPERVISION, reason="supervision is installed")
def test_without_supervision_the_error_says_what_to_install() -> None:
    with pytest.raises(MissingExtraError, match="pip install supervision"):
        to_detections([])


@pytest.mark.skipif(not HAS_SUPERVISION, reason="supervision is not installed")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_detections_are_supervision_s(masks: list[clickmask.Mask]) -> None:
    found = to_detections(masks, ["dog", "cat"])
    assert len(found) == 2 and found.xyxy.tolist() == [list(mask.box or ()) for mask in masks]
    assert found.area.tolist() == [mask.area for mask in masks]
    assert found.confidence.tolist() == pytest.approx([mask.score for mask in masks])
    assert found.class_id.tolist() == [1, 0] and found["class_name"].tolist() == ["dog", "cat"]
    assert np.array_equal(found.mask[1], masks[1].pixels)
    bare = to_detections([mask.pixels for mask in masks])
    assert bare.confidence is None and bare.class_id is None and len(to_detections([])) == 0
