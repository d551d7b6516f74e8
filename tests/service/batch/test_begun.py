"""A killed run leaves nothing behind: files that no record knows are deleted by the next run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from clickmask.service.batch.begun import Begun, leftovers
from clickmask.service.batch.history import History
from clickmask.service.batch.journal import Journal, Record
from clickmask.service.batch.outlet import Folder
from clickmask.service.batch.questions import Everything, Question, Whole
from clickmask.service.batch.sources import STATE

from .conftest import Run, tree


def _journal(tmp_path: Path, name: str = "journal.jsonl") -> Journal:
    return Journal(tmp_path / name, tmp_path)


def _left(tmp_path: Path) -> list[str]:
    history = History(sorted(tmp_path.glob("journal*.jsonl")))
    history.close()
    return [begun.name for begun in history.begun()]


def test_what_is_begun_is_left_until_it_is_recorded(tmp_path: Path) -> None:
    journal = _journal(tmp_path)
    for name in ("a.png", "b.png", "\udcff\n.png"):
        journal.begin(Begun(name, name))
    journal.add(Record("b.png", "done"))
    journal.begin(Begun("b.png", "b"))
    journal.add(Record("a.png", "failed"))
    journal.close()
    assert _left(tmp_path) == ["b.png", "\udcff\n.png"] or _left(tmp_path) == ["\udcff\n.png", "b.png"]


def test_what_was_cleared_stays_so_in_whatever_order_journals_are_read(tmp_path: Path) -> None:
    """A whole run is killed, a shard clears and does the photo: the whole run's journal is read after the shard's."""
    whole, begun = _journal(tmp_path), Begun("a.png", "a")
    whole.begin(begun)
    whole.close()
    shard = _journal(tmp_path, "journal-1of2.jsonl")
    shard.clear(begun)
    shard.begin(Begun("a.png", "a"))
    assert _left(tmp_path) == ["a.png"]
    shard.add(Record("a.png", "done"))
    shard.close()
    assert _left(tmp_path) == []


@pytest.mark.parametrize("line", [b'{"begun":', b'{"begun":"a"}\n', b'{"begun":[1],"base":"a","outputs":[]}\n'])
def test_a_torn_beginning_is_none(line: bytes, tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").write_bytes(line)
    assert _left(tmp_path) == []


def test_leftovers_are_a_photo_s_own_files_alone(tmp_path: Path) -> None:
    own = ["a_mask.png", "a_mask_12.png", "a_cutout_3.png", "a.json", "a.txt", "a_labels.png", "a/0.png", "a/12.png"]
    others = ["b_mask.png", "a_mask.png.txt", "aa_mask.png", "a_mask_x.png", "a.png", "A_mask.png", "a/0_mask.png"]
    for name in (*own, *others, "a/metadata.csv", "sub/a_mask.png", "a_coco.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert sorted(leftovers(Folder(tmp_path), "a")) == sorted([*own, "a/metadata.csv"])
    assert list(leftovers(Folder(tmp_path), "sub/a")) == ["sub/a_mask.png"]
    assert list(leftovers(Folder(tmp_path), "nowhere/a")) == []


def _kill_before_the_last_record(out: Path) -> str:
    """Make the journal as it is when a run is killed between a photo's files and its record; the photo's name."""
    path = out / STATE / "journal.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    name = json.loads(lines[-1])["name"]
    assert b'"done"' in lines[-1] and any(line.startswith(f'{{"begun":"{name}"'.encode()) for line in lines)
    path.write_bytes(b"".join(lines[:-1]))
    return name


EVERYTHING = {"points_per_side": 2, "pred_iou_thresh": 0.0, "stability_score_thresh": 0.0}


@pytest.mark.parametrize(("question", "formats"), [(Everything(EVERYTHING), "png,json"), (Whole("center"), "amg,coco")])
def test_files_without_a_record_go_with_their_photo(
    question: Question, formats: str, make: Callable[[Path, int], None], tmp_path: Path, segment: Run
) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    make(photos, 3)
    segment(photos, out, formats, question)
    before = tree(out)
    (photos / _kill_before_the_last_record(out)).unlink()
    segment(photos, tmp_path / "fresh", formats, question)
    for _ in range(2):  # and what is cleared once is not cleared again
        segment(photos, out, formats, question)
        assert tree(out) == tree(tmp_path / "fresh") and len(tree(out)) < len(before)


def test_fewer_objects_than_before_the_kill_leave_no_masks_behind(
    make: Callable[[Path, int], None], tmp_path: Path, segment: Run
) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    make(photos, 2)
    segment(photos, out, "png", Everything(EVERYTHING))
    name = _kill_before_the_last_record(out)
    for number in (8, 9, 12):  # as if it had been many more
        (out / f"{Path(name).with_suffix('')}_mask_{number}.png").write_bytes(b"orphan")
    segment(photos, out, "png", Everything(EVERYTHING))
    segment(photos, tmp_path / "fresh", "png", Everything(EVERYTHING))
    assert tree(out) == tree(tmp_path / "fresh")
    _kill_before_the_last_record(out)
    segment(photos, out, "json", Everything(EVERYTHING), restart=True)
    assert not [path for path in tree(out) if path.endswith(".png")]


def test_a_shard_leaves_alone_what_another_is_writing(photos: Path, tmp_path: Path, segment: Run) -> None:
    out = tmp_path / "out"
    segment(photos, out, "png", shard="1/2")
    path = out / STATE / "journal-1of2.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    before = tree(out)
    segment(photos, out, "png", shard="2/2")
    assert before.items() <= tree(out).items() and len(tree(out)) == 8
