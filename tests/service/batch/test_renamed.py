"""Photos whose results are called otherwise than before, since others came or went: nothing done is deleted."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from clickmask.service.batch.shards import Shard

from .conftest import Run, tree


@pytest.fixture
def moved(tmp_path: Path, make: Callable[[Path, int], None], segment: Run) -> Path:
    """a.jpg, beside a.png, was done with its extension in its results' names; now a.jpg.png has that name."""
    made, photos = tmp_path / "made", tmp_path / "photos"
    make(made, 6)
    first, second, third = sorted(made.rglob("*.png"))[:3]
    photos.mkdir()
    shutil.copy(first, photos / "a.jpg")
    shutil.copy(second, photos / "a.png")
    assert segment(photos, tmp_path / "out").tally.done == 2
    (photos / "a.png").unlink()
    shutil.copy(third, photos / "a.jpg.png")
    return photos


def test_a_name_that_passes_to_another_photo_stays_whose_it_is_now(moved: Path, tmp_path: Path, segment: Run) -> None:
    out, fresh = tmp_path / "out", tmp_path / "fresh"
    shutil.copy(moved / "a.jpg.png", moved / "0.jpg")  # of one size, they are done one after the other, before a.jpg
    report = segment(moved, out)
    segment(moved, fresh)
    assert report.tally.done == 3 and "a.jpg_mask.png" in tree(out)
    images = [json.loads((folder / "instances_coco.json").read_bytes())["images"] for folder in (out, fresh)]
    assert images[0] == images[1] and len(images[0]) == 3
    assert {name: data for name, data in tree(out).items() if name in tree(fresh)} == tree(fresh)
    assert segment(moved, out).tally.kept == 3


def test_what_the_new_owner_has_already_stays_when_the_old_one_comes_late(
    moved: Path, tmp_path: Path, segment: Run
) -> None:
    """The run in which the name passed was stopped between the two."""
    out = tmp_path / "out"
    journal = out / ".clickmask-batch" / "journal.jsonl"
    segment(moved, out)
    lines = journal.read_bytes().splitlines(keepends=True)
    late = [number for number, line in enumerate(lines) if line.startswith(b'{"name":"a.jpg",')][-1]
    journal.write_bytes(b"".join(lines[:late] + lines[late + 1 :]))
    (out / "a_mask.png").unlink()
    report = segment(moved, out)
    assert report.tally.kept == 1 and report.tally.done == 2
    segment(moved, tmp_path / "fresh")
    assert tree(out)["a.jpg_mask.png"] == tree(tmp_path / "fresh")["a.jpg_mask.png"]


def test_a_shard_leaves_alone_what_another_may_be_writing(moved: Path, tmp_path: Path, segment: Run) -> None:
    """The other has written the new owner's file, and not yet its record."""
    out, count = tmp_path / "out", 3
    shard_of = {name: n for n in range(1, count + 1) for name in ("a.jpg", "a.jpg.png") if Shard(n, count).holds(name)}
    assert len(set(shard_of.values())) == 2
    segment(moved, out, shard=f"{shard_of['a.jpg.png']}/{count}")
    (out / ".clickmask-batch" / f"journal-{shard_of['a.jpg.png']}of{count}.jsonl").write_bytes(b"")
    written = tree(out)["a.jpg_mask.png"]
    assert segment(moved, out, shard=f"{shard_of['a.jpg']}/{count}").tally.done == 1
    assert tree(out)["a.jpg_mask.png"] == written
