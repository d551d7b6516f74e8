"""Prompts from files, checked before the first photo; options of everything-mode."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from clickmask.models.errors import PromptError, SettingsError
from clickmask.service.batch.prompt_file import read_prompts
from clickmask.service.batch.questions import Everything, Wishes, parse_options

from .conftest import Run

KNOWN = {"a.jpg", "sub/b.jpg"}
JSON = """{"image": "sub/b.jpg", "points": [[42, 3], [38.5, 9]], "labels": [1, 0], "label": "dog"}

{"image": "sub/b.jpg", "box": [4, 3, 60, 16]}
{"image": "a.jpg", "points": [[1, 2]]}
"""
CSV = 'image,points,labels,box,label\r\nsub/b.jpg,42 3;38.5 9,1;0,,dog\r\nsub/b.jpg,,,"4,3,60,16",\r\na.jpg,1 2,,,\r\n'


def _read(tmp_path: Path, text: str) -> Wishes:
    path = tmp_path / "prompts.txt"
    path.write_text(text, newline="")
    return read_prompts(path, KNOWN)


def test_both_kinds_of_file_say_the_same(tmp_path: Path) -> None:
    one, other = _read(tmp_path, JSON), _read(tmp_path, CSV)
    assert one.describe() == other.describe()
    first, second = one.by_name["sub/b.jpg"]
    assert (first.prompt.points, first.prompt.labels, first.label) == (((42, 3), (38.5, 9)), (1, 0), "dog")
    assert second.prompt.box == (4, 3, 60, 16) and second.label is None
    assert one.concerns("a.jpg") and not one.concerns("c.jpg")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no prompts|expected the columns"),
        ('{"image": "a.jpg", "points": [[1, 2]]}\n{"image"', "line 2: not JSON"),
        ('{"image": "a.jpg", "point": [[1, 2]]}', "line 1: point: there is no such field"),
        ('{"image": "a.jpg", "points": [[1]]}', "line 1: points: expected pairs"),
        ('{"image": "a.jpg", "points": [[1, 2]], "labels": [2]}', r"line 1: labels\[0\]: expected 1"),
        ('{"image": "a.jpg", "box": [5, 5, 1, 1]}', "line 1: box: expected x0 < x1"),
        ('{"image": "a.jpg"}', "line 1: points: nothing to segment"),
        ('{"image": "a.jpg", "points": [[1, 2]], "label": 3}', "line 1: label: expected a text"),
        ('{"image": "z.jpg", "points": [[1, 2]]}', "line 1: image: there is no 'z.jpg' among the photos"),
        ('{"image": 3}', "line 1: image: expected the name"),
        ("picture,points\na.jpg,1 2\n", "line 1: expected the columns image,points"),
        ("image,points\na.jpg,1 2\na.jpg,1 x\n", "line 3: points: expected numbers"),
        ("image,points\na.jpg,1 2,3\n", "line 2: more fields than the 2 columns"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_line(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(PromptError, match=message):
        _read(tmp_path, text)


def test_prompts_reach_their_photos(photos: Path, tmp_path: Path, segment: Run) -> None:
    rows = [
        {"image": "001.png", "points": [[128, 4]], "label": "bowl"},
        {"image": "001.png", "box": [10, 1, 100, 7], "label": "fig"},
        {"image": "even/000.png", "points": [[20, 4]]},
        {"image": "003.png", "points": [[20, 8000]]},
    ]
    path = tmp_path / "prompts.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    names = {f"{number:03}.png" if number % 2 else f"even/{number:03}.png" for number in range(8)}
    report = segment(photos, tmp_path / "out", "png,coco", read_prompts(path, names))
    tally = report.tally
    assert (tally.total, tally.done, tally.failed, tally.skipped, tally.objects) == (8, 2, 1, 5, 3)
    (failure,) = report.failures
    assert failure.kind == "PromptError" and "prompts.jsonl, line 4: points[0]" in failure.reason
    assert (tmp_path / "out" / "001_mask_2.png").exists()
    dataset = json.loads((tmp_path / "out" / "instances_coco.json").read_bytes())
    names = {row["id"]: row["name"] for row in dataset["categories"]}
    assert [names[row["category_id"]] for row in dataset["annotations"]] == ["bowl", "fig", "object"]


def test_options_of_everything_are_read_and_checked() -> None:
    found = parse_options(["points_per_side=16", "tiles=auto", "pred-iou-thresh=0.5", "adaptive=true"])
    assert found == {"points_per_side": 16, "tiles": "auto", "pred_iou_thresh": 0.5, "adaptive": True}
    Everything(found)
    with pytest.raises(SettingsError, match="expected NAME=VALUE"):
        parse_options(["points_per_side"])
    for wrong in ("point_per_side=3", "points_per_side=0", "pred_iou_thresh=high"):
        with pytest.raises(SettingsError, match=wrong.partition("=")[0]):
            Everything(parse_options([wrong]))
