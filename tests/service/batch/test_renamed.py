"""Photos whose results are called otherwise than before, since others came or went: nothing done is deleted."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from .conftest import Run, tree


def test_a_name_that_passes_to_another_photo_stays_whose_it_is_now(
    tmp_path: Path, make: Callable[[Path, int], None], segment: Run
) -> None:
    """a.jpg, beside a.png, had its extension in its results' names; then a.jpg.png has that name."""
    made, photos, out = tmp_path / "made", tmp_path / "photos", tmp_path / "out"
    make(made, 6)
    first, second, third = sorted(made.rglob("*.png"))[:3]
    photos.mkdir()
    shutil.copy(first, photos / "a.jpg")
    shutil.copy(second, photos / "a.png")
    assert segment(photos, out).tally.done == 2
    (photos / "a.png").unlink()
    for name in ("a.jpg.png", "0.jpg"):  # of one size, they are done one after the other, before a.jpg
        shutil.copy(third, photos / name)
    report = segment(photos, out)
    segment(photos, tmp_path / "fresh")
    assert report.tally.done == 3 and "a.jpg_mask.png" in tree(out)
    found, fresh = (json.loads((folder / "instances_coco.json").read_bytes()) for folder in (out, tmp_path / "fresh"))
    assert found["images"] == fresh["images"] and len(found["images"]) == 3
    assert {name: data for name, data in tree(out).items() if name in tree(tmp_path / "fresh")} == tree(
        tmp_path / "fresh"
    )
    assert segment(photos, out).tally.kept == 3


def test_what_the_new_owner_has_already_stays_when_the_old_one_comes_late(
    tmp_path: Path, make: Callable[[Path, int], None], segment: Run
) -> None:
    """The run in which the name passed was stopped between the two."""
    made, photos, out = tmp_path / "made", tmp_path / "photos", tmp_path / "out"
    make(made, 6)
    first, second, third = sorted(made.rglob("*.png"))[:3]
    photos.mkdir()
    shutil.copy(first, photos / "a.jpg")
    shutil.copy(second, photos / "a.png")
    segment(photos, out)
    (photos / "a.png").unlink()
    shutil.copy(third, photos / "a.jpg.png")
    journal = out / ".clickmask-batch" / "journal.jsonl"
    segment(photos, out)
    lines = journal.read_bytes().splitlines(keepends=True)
    late = [number for number, line in enumerate(lines) if line.startswith(b'{"name":"a.jpg",')][-1]
    journal.write_bytes(b"".join(lines[:late] + lines[late + 1 :]))
    (out / "a_mask.png").unlink()
    report = segment(photos, out)
    assert report.tally.kept == 1 and report.tally.done == 2
    segment(photos, tmp_path / "fresh")
    assert tree(out)["a.jpg_mask.png"] == tree(tmp_path / "fresh")["a.jpg_mask.png"]
