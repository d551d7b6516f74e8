"""Boxes of COCO, of detectors and of YOLO as prompts: as others read them, and refused by name where wrong."""

from __future__ import annotations

import copy
import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO
from typer.testing import CliRunner

from clickmask.models.errors import PromptError
from clickmask.service.batch.box_wish import BoxWish
from clickmask.service.batch.photo_names import PhotoNames
from clickmask.service.batch.prompt_file import read_prompts
from clickmask.service.batch.questions import Wishes
from clickmask.service.cli.app import app

from .conftest import MODEL, Run

KNOWN = {"a.jpg", "sub/b.jpg", "train/c.png"}
DOCUMENT: dict[str, Any] = {
    "info": {},
    "images": [
        {"id": 7, "file_name": "sub/b.jpg", "width": 256, "height": 8},
        {"id": 3, "file_name": "images/a.jpg", "width": 256, "height": 8},
        {"id": 4, "file_name": "nowhere.jpg"},
        {"id": 5, "file_name": "c.png"},
    ],
    "categories": [{"id": 1, "name": "dog"}, {"id": 90, "name": "cat"}],
    "annotations": [
        {"id": 1, "image_id": 7, "category_id": 90, "bbox": [10, 1, 30.5, 6], "segmentation": [[1, 1, 5, 1, 5, 5]]},
        {"id": 2, "image_id": 3, "category_id": 1, "bbox": [0, 0, 256, 8], "iscrowd": 0},
        {"id": 3, "image_id": 7, "category_id": 1, "bbox": [20, 2, 5, 5], "iscrowd": 1},
        {"id": 4, "image_id": 7, "category_id": 1, "bbox": [20, 2, 5, 0]},
        {"id": 5, "image_id": 7, "category_id": 1, "bbox": [-1.5, 0, 20, 9.5], "score": 0.5},
        {"id": 6, "image_id": 5, "category_id": 1, "bbox": [1, 2, 3, 4]},
    ],
}
RESULTS = [{"image_id": 3, "category_id": 90, "bbox": [1, 2, 3, 4], "score": 0.9}]


def _read(tmp_path: Path, document: object, name: str = "coco.json") -> Wishes:
    (tmp_path / name).write_text(json.dumps(document, indent=1))
    return read_prompts(tmp_path / name, KNOWN)


def _boxes(wishes: Wishes, name: str, size: tuple[int, int] = (256, 8)) -> list[tuple[str | None, Any]]:
    return [(wish.label, wish.prompt_on(size).box) for wish in wishes.by_name[name]]


def test_annotations_of_coco_are_boxes_with_labels(tmp_path: Path) -> None:
    wishes = _read(tmp_path, DOCUMENT)
    assert sorted(wishes.by_name) == ["a.jpg", "sub/b.jpg", "train/c.png"]
    assert _boxes(wishes, "sub/b.jpg") == [("cat", (10, 1, 40.5, 7)), ("dog", (0, 0, 18.5, 8))]  # cut off at the edge
    assert _boxes(wishes, "a.jpg") == [("dog", (0, 0, 256, 8))]
    assert _boxes(wishes, "train/c.png", (9, 9)) == [("dog", (1, 2, 4, 6))]
    assert wishes.labels() == ["cat", "dog"]
    assert wishes.note == f"{tmp_path}/coco.json: 1 crowd and 1 box without an area passed over"


def test_pycocotools_reads_the_same_boxes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draw = np.random.default_rng(4)
    names = [f"{number}.jpg" for number in range(20)]
    images = [{"id": int(n), "file_name": names[n], "width": 640, "height": 480} for n in draw.permutation(20)]
    rows = [
        {
            "id": number,
            "image_id": int(draw.integers(20)),
            "category_id": int(draw.integers(1, 4)),
            "bbox": [*draw.uniform(0, 300, 2).round(2).tolist(), *draw.uniform(1, 150, 2).round(2).tolist()],
            "iscrowd": int(draw.random() < 0.1),
            "segmentation": [[1, 1, 5, 1, 5, 5]],
        }
        for number in range(300)
    ]
    categories = [{"id": number, "name": "abcd"[number]} for number in range(1, 4)]
    path = tmp_path / "coco.json"
    path.write_text(json.dumps({"images": images, "annotations": rows, "categories": categories}))
    wishes, theirs = read_prompts(path, names), COCO(str(path))
    for image in theirs.loadImgs(theirs.getImgIds()):
        found = theirs.loadAnns(theirs.getAnnIds([image["id"]], iscrowd=False))
        expected = [(theirs.loadCats(row["category_id"])[0]["name"], *row["bbox"]) for row in found]
        ours = [
            (label, x, y, x1 - x, y1 - y) for label, (x, y, x1, y1) in _boxes(wishes, image["file_name"], (640, 480))
        ]
        assert [row[0] for row in ours] == [row[0] for row in expected]
        assert np.allclose([row[1:] for row in ours], [row[1:] for row in expected], atol=1e-9)
    capsys.readouterr()


def test_the_same_boxes_are_the_same_question_however_they_are_said(tmp_path: Path) -> None:
    wishes = _read(tmp_path, DOCUMENT)
    rows = [
        {"image": name, "box": list(wish.box), "label": wish.label}
        for name, group in wishes.by_name.items()
        for wish in group
        if isinstance(wish, BoxWish)
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert read_prompts(tmp_path / "rows.jsonl", KNOWN).describe() == wishes.describe()
    moved = copy.deepcopy(DOCUMENT)
    moved["annotations"][0]["bbox"][0] = 10.5
    assert _read(tmp_path, moved).describe() != wishes.describe()


def test_a_detector_s_results_take_their_names_from_the_instances(tmp_path: Path) -> None:
    with pytest.raises(PromptError, match=r"results.json: a detector's .*--prompts instances.json,results.json"):
        _read(tmp_path, RESULTS, "results.json")
    _read(tmp_path, DOCUMENT)
    wishes = read_prompts(f"{tmp_path}/coco.json,{tmp_path}/results.json", KNOWN)
    assert list(wishes.by_name) == ["a.jpg"] and _boxes(wishes, "a.jpg") == [("cat", (1, 2, 4, 6))]
    with pytest.raises(PromptError, match="coco.json: the results: expected a list"):
        read_prompts(f"{tmp_path}/coco.json,{tmp_path}/coco.json", KNOWN)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("images", None, "images: expected a list"),
        ("images.1.id", None, r"images\[1\].id: expected a number"),
        ("images.1.id", 7, r"images\[1\].id: 7 is the id of images\[0\] too"),
        ("images.0.file_name", 5, r"images\[0\].file_name: expected a string"),
        ("images.0.file_name", "z.jpg", r"images\[0\].file_name: there is no 'z.jpg' among the photos"),
        ("images.0.width", "256", r"images\[0\].width: expected a whole number"),
        ("categories.0.id", "1", r"categories\[0\].id"),
        ("categories.0.name", 1, r"categories\[0\].name"),
        ("annotations", {}, "annotations: expected a list"),
        ("annotations", [], "there is no box to segment among 0 annotations"),
        ("annotations.1", 3, r"annotations\[1\]: expected an object"),
        ("annotations.1.image_id", 99, r"annotations\[1\].image_id: the file has no image 99"),
        ("annotations.1.image_id", 4, r"images\[2\].file_name: there is no 'nowhere.jpg'"),
        ("annotations.1.category_id", 99, r"annotations\[1\].category_id: the file has no category 99"),
        ("annotations.1.bbox", None, r"annotations\[1\].bbox: expected x, y, width, height"),
        ("annotations.1.bbox", [1, 2, 3], r"annotations\[1\].bbox: expected x, y"),
        ("annotations.1.bbox", [1, 2, 3, "4"], r"annotations\[1\].bbox: expected x, y"),
        ("annotations.1.bbox", [1, 2, 3, float("inf")], r"annotations\[1\].bbox: expected finite"),
        ("annotations.1.bbox", [1, 2, -3, 4], r"annotations\[1\].bbox: .*from 0 up"),
    ],
)
def test_coco_that_is_wrong_is_refused_by_file_and_field(
    field: str, value: object, message: str, tmp_path: Path
) -> None:
    document = copy.deepcopy(DOCUMENT)
    at: Any = document
    *path, last = [int(part) if part.isdigit() else part for part in field.split(".")]
    for part in path:
        at = at[part]
    at[last] = value
    with pytest.raises(PromptError, match=f"coco.json: {message}"):
        _read(tmp_path, document)


def test_a_document_cut_short_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "coco.json"
    path.write_text(json.dumps(DOCUMENT, indent=1)[:-40])
    with pytest.raises(PromptError, match=r"coco.json, line \d\d+: not JSON"):
        read_prompts(path, KNOWN)
    path.write_text('{"annotations": ' + "[" * 100_000)
    with pytest.raises(PromptError, match="coco.json: not COCO"):
        read_prompts(path, KNOWN)


def test_a_name_that_may_be_two_photos_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "coco.json"
    path.write_text(json.dumps(DOCUMENT))
    with pytest.raises(PromptError, match=r"images\[3\].file_name: 'c.png' may be 'train/c.png' or 'val/c.png'"):
        read_prompts(path, {*KNOWN, "val/c.png"})


@pytest.mark.parametrize(
    ("box", "size", "message"),
    [
        ((0, 0, 5, 8), (8, 256), r"256 x 8, but the photo has 8 x 256 upright: boxes .*EXIF"),
        ((0, 0, 5, 8), (256, 9), r"256 x 8, but the photo has 256 x 9: give the photos that"),
        ((-2.5, 0, 5, 8), (256, 8), r"box: \(-2.5, 0, 5, 8\) reaches outside the 256 x 8 image"),
        ((0, 0, 5, 10.5), (256, 8), "reaches outside"),
        ((256.5, 0, 257.5, 5), (256, 8), "box: expected x0 < x1"),
    ],
)
def test_a_box_that_is_not_on_its_photo_is_refused_with_its_place(box: Any, size: Any, message: str) -> None:
    with pytest.raises(PromptError, match=rf"^a.json, annotations\[5\]: .*{message}"):
        BoxWish(box, None, "a.json", "annotations[{}]", 5, (256, 8)).prompt_on(size)


def _labels(tmp_path: Path, files: dict[str, str], known: set[str], folder: str = "labels") -> Wishes:
    for name, text in files.items():
        path = tmp_path / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return read_prompts(tmp_path / folder, known)


def test_yolo_s_lines_are_boxes_in_shares_of_the_photo(tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_text("train: images/train\nnames: ['dog', 'cat']\n")
    lines = "1 0.5 0.5 0.25 0.5", "", "0 0.125 0.5 0.25 1 0.87", "0 0.25 0.5 0.75 0.5 0.5 0.875"
    text = "\n".join((*lines, "0 .1 .1 .2 .2 .1 .3 .99", "0 .5 .5 0 1\n"))
    wishes = _labels(tmp_path, {"a.txt": text, "empty.txt": "", "blank.txt": "\n"}, {"a.jpg", "empty.jpg"})
    # Of 200 x 80: middle 100, 40 and half of 50 x 40 on either side, and so on.
    assert _boxes(wishes, "a.jpg", (200, 80)) == [
        ("cat", (75, 20, 125, 60)),
        ("dog", (0, 0, 50, 80)),
        ("dog", (50, 40, 150, 70)),
        ("dog", (20, 8, 40, 24)),
    ]
    assert not wishes.concerns("empty.jpg")
    assert wishes.note.endswith("labels: 1 box without an area passed over")


@pytest.mark.parametrize(
    ("folder", "label", "photo"),
    [
        ("labels", "a.txt", "a.jpg"),
        ("labels/train", "a.txt", "a.jpg"),
        ("labels", "train/a.txt", "train/a.png"),
        ("labels", "train/a.txt", "images/train/a.jpg"),  # PHOTOS is the data set
        (".", "labels/train/a.txt", "images/train/a.jpg"),
        (".", "train/labels/a.txt", "train/images/a.jpg"),
        ("labels", "images/a.txt", "images/images/a.jpg"),  # ultralytics: the last of them
    ],
)
def test_a_label_file_finds_its_photo(folder: str, label: str, photo: str, tmp_path: Path) -> None:
    others = {"b.jpg", "images/val/a.jpg", "val/a.png"}
    assert list(_labels(tmp_path, {label: "0 .5 .5 1 1\n"}, {photo, *others}, folder).by_name) == [photo]


@pytest.mark.parametrize(
    ("files", "known", "message"),
    [
        ({"b.txt": "0 .5 .5 1 1"}, {"a.jpg"}, "labels/b.txt: there is no photo b"),
        ({"a.txt": "0 .5 .5 1 1"}, {"a.jpg", "a.png"}, "labels/a.txt: it may belong to 'a.jpg' or 'a.png'"),
        (
            {"a.txt": "0 .5 .5 1 1", "labels/a.txt": "0 .5 .5 1 1"},
            {"a.jpg"},
            "belongs to 'a.jpg', and so does .*/a.txt",
        ),
        ({"a.txt": ""}, {"a.jpg"}, "holds no label files with boxes"),
        ({"a.txt": "0 .5 .5 1 1\n0 .5 .5 1"}, {"a.jpg"}, "a.txt: line 2: expected class cx cy w h"),
        ({"a.txt": "0 .5 .5 1 x"}, {"a.jpg"}, "a.txt: line 1: expected a class and numbers"),
        ({"a.txt": "0 .5 .5 1 nan"}, {"a.jpg"}, "a.txt: line 1: expected class cx cy w h"),
        ({"a.txt": "0 50 50 100 100"}, {"a.jpg"}, "a.txt: line 1: .*as shares"),
        ({"a.txt": "0 .5 .5 -1 1"}, {"a.jpg"}, "a.txt: line 1: expected a width"),
        ({"a.txt": "0.5 .5 .5 1 1"}, {"a.jpg"}, "a.txt: line 1: expected the number of a class"),
        ({"a.txt": "-1 .5 .5 1 1"}, {"a.jpg"}, "a.txt: line 1: expected the number of a class"),
        ({"a.txt": "2 .5 .5 1 1", "classes.txt": "dog\ncat\n"}, {"a.jpg"}, "a.txt: line 1: there is no class 2"),
    ],
)
def test_labels_that_are_wrong_are_refused_by_file_and_line(
    files: dict[str, str], known: set[str], message: str, tmp_path: Path
) -> None:
    with pytest.raises(PromptError, match=message):
        _labels(tmp_path, files, known)


def test_names_of_classes_are_numbers_where_nobody_says_them(tmp_path: Path) -> None:
    wishes = _labels(tmp_path, {"a.txt": "7 .5 .5 1 1\n0 .5 .5 1 1\n"}, {"a.jpg"})
    assert wishes.labels() == ["0", "7"]
    (tmp_path / "labels" / "a.txt").write_bytes(b"\xff\xfe\0")
    with pytest.raises(PromptError, match="a.txt: expected lines of numbers"):
        read_prompts(tmp_path / "labels", {"a.jpg"})


def test_masks_by_their_boxes_again(photos: Path, tmp_path: Path, segment: Run) -> None:
    """What a run wrote as COCO and as YOLO is asked again, by boxes: of each photo the same boxes and labels."""
    out, names = tmp_path / "out", {f"{n:03}.png" if n % 2 else f"even/{n:03}.png" for n in range(8)}
    rows = "image,points,label\n001.png,128 4,bowl\n001.png,20 4,fig\neven/002.png,40 4,fig\n"
    (tmp_path / "rows.csv").write_text(rows)
    segment(photos, out, "coco,yolo,csv", read_prompts(tmp_path / "rows.csv", names))
    by_coco = read_prompts(out / "instances_coco.json", names)
    by_yolo = read_prompts(out, names)  # data.yaml lies there too
    measured = list(csv.DictReader((out / "001_measurements.csv").read_text().splitlines()))
    for wishes, slack in ((by_coco, 0.0), (by_yolo, 0.11)):  # YOLO's corners lie a tenth of a pixel inside
        assert sorted(wishes.by_name) == ["001.png", "even/002.png"]
        for (label, box), row in zip(_boxes(wishes, "001.png"), measured, strict=True):
            assert label == row["label"]
            assert np.allclose(box, [float(row[side]) for side in ("box_x0", "box_y0", "box_x1", "box_y1")], atol=slack)
    report = segment(photos, tmp_path / "again", "png", by_yolo)
    assert (report.tally.done, report.tally.failed, report.tally.skipped, report.tally.objects) == (2, 0, 6, 3)
    wrong = Wishes({"001.png": [BoxWish((0, 0, 2, 2), None, "b", "line {}", 3, in_shares=True)]})
    (failure,) = segment(photos, tmp_path / "wrong", "png", wrong).failures
    assert failure.kind == "PromptError" and failure.reason.startswith("b, line 3: box: (0, 0, 512, 16) reaches")


def test_the_command_line_takes_a_folder_and_tells_what_it_passed_over(photos: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels"
    (labels / "even").mkdir(parents=True)
    (labels / "001.txt").write_text("0 .5 .5 .5 1\n0 .5 .5 0 1\n")
    (labels / "even" / "002.txt").write_text("1 .25 .5 .5 1\n")
    words = ["batch", str(photos), str(tmp_path / "out"), "--prompts", str(labels), *MODEL]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    told = " ".join(done.stderr.split())
    assert "labels: 1 box without an area passed over" in told and "2 of 8 done, 6 passed over, 2 objects" in told
    (labels / "001.txt").write_text("0 .5 .5 .5 .9\n")
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 2 and "prompts was" in " ".join(done.stderr.split())  # other prompts are other settings
    done = CliRunner().invoke(app, [*words[:4], f"{labels}/a.json,{labels}/b.json", *MODEL])
    assert done.exit_code == 2 and "a.json cannot be read" in " ".join(done.stderr.split())


def test_our_own_documents_lead_back_to_photos_of_strange_names() -> None:
    names = PhotoNames(["sub/-a.jpg", "x\n.jpg", "plain.jpg"])
    assert names.find("sub/%2Da.jpg", "here") == "sub/-a.jpg"
    assert names.find("x%0A.jpg", "here") == "x\n.jpg"
