"""What a run promises: nothing twice, nothing mixed, nothing lost, and one row for each failure."""

from __future__ import annotations

import csv
import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from clickmask.models.errors import OutputError, SettingsError, StoppedError
from clickmask.service.batch.history import History
from clickmask.service.batch.journal import Record
from clickmask.service.batch.lock import locked
from clickmask.service.batch.questions import Everything, Whole, Wish, Wishes
from clickmask.service.batch.shards import Shard
from clickmask.service.batch.sources import STATE
from clickmask.service.formats import FORMATS, Options
from clickmask.service.formats.coco_merge import merge_coco
from clickmask.service.prompts import Prompt

from .conftest import Run, tree


def _lines(out: Path) -> list[Record]:
    journals = sorted((out / STATE).glob("journal*.jsonl"))
    records = [Record.parse(line) for path in journals for line in path.read_bytes().splitlines(keepends=True)]
    return [record for record in records if record is not None]


def test_files_lie_as_the_photos_do(photos: Path, tmp_path: Path, segment: Run) -> None:
    report = segment(photos, tmp_path / "out", "png,json,overlay")
    assert (report.tally.total, report.tally.done, report.tally.objects) == (8, 8, 8)
    names = sorted(tree(tmp_path / "out"))
    assert names[:3] == ["001_mask.png", "001_objects.json", "001_overlay.jpg"]
    assert "even/000_mask.png" in names and len(names) == 24


def test_masks_are_those_that_python_gives(photos: Path, tmp_path: Path, segment: Run, strip_segmenter) -> None:
    segment(photos, tmp_path / "out")
    mask = strip_segmenter.open(photos / "even" / "002.png").click(128, 4)
    written = cv2.imread(str(tmp_path / "out" / "even" / "002_mask.png"), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(written > 0, mask.pixels)


def test_dataset_is_the_parts_in_order(photos: Path, tmp_path: Path, segment: Run) -> None:
    out = tmp_path / "out"
    segment(photos, out)
    parts = sorted((out / STATE / "coco").rglob("*.json"), key=lambda path: path.relative_to(out).parts)
    merged = merge_coco([json.loads(path.read_bytes()) for path in parts])
    dataset = json.loads((out / "instances_coco.json").read_bytes())
    assert dataset == merged
    assert [row["file_name"] for row in dataset["images"]][:2] == ["001.png", "003.png"]
    assert dataset["images"][-1]["file_name"] == "even/006.png"
    assert "threads" not in json.dumps(dataset["info"])


def test_nothing_is_done_twice(photos: Path, tmp_path: Path, segment: Run) -> None:
    out = tmp_path / "out"
    segment(photos, out)
    before, journal = tree(out), (out / STATE / "journal.jsonl").read_bytes()
    report = segment(photos, out)
    assert (report.tally.done, report.tally.kept, report.tally.objects) == (8, 8, 8)
    assert tree(out) == before and (out / STATE / "journal.jsonl").read_bytes() == journal


def test_an_edited_photo_is_done_again_and_a_touched_one_is_not(photos: Path, tmp_path: Path, segment: Run) -> None:
    out = tmp_path / "out"
    segment(photos, out)
    pixels = cv2.imread(str(photos / "001.png"))
    cv2.imwrite(str(photos / "001.png"), pixels[:, ::-1])
    os.utime(photos / "003.png", ns=(1, 1))
    times = {path: path.stat().st_mtime_ns for path in out.rglob("*_mask.png")}
    segment(photos, out)
    changed = [path.name for path, before in times.items() if path.stat().st_mtime_ns != before]
    assert changed == ["001_mask.png"]
    segment(photos, tmp_path / "fresh")
    assert tree(out) == tree(tmp_path / "fresh")


def test_what_is_gone_or_spoilt_is_made_again(photos: Path, tmp_path: Path, segment: Run) -> None:
    out = tmp_path / "out"
    segment(photos, out)
    before = tree(out)
    (out / "001_mask.png").unlink()
    (out / "instances_coco.json").unlink()
    (out / "003_mask.png").write_bytes(b"short")
    same_length = b"\0" * len(before["005_mask.png"])
    (out / "005_mask.png").write_bytes(same_length)
    segment(photos, out)
    assert tree(out) == {**before, "005_mask.png": same_length}
    segment(photos, out, verify=True)
    assert tree(out) == before


def test_other_settings_are_refused_by_name(photos: Path, tmp_path: Path, segment: Run) -> None:
    out = tmp_path / "out"
    segment(photos, out, "cutout", options=Options(pad=2))
    before = tree(out)
    with pytest.raises(SettingsError, match=r"formats was cutout, now png.*--restart"):
        segment(photos, out, "png")
    with pytest.raises(SettingsError, match=r'options was .*"pad": 2.*now .*"pad": 3'):
        segment(photos, out, "cutout", options=Options(pad=3))
    with pytest.raises(SettingsError, match="box was not there, now full.*point was center, now not there"):
        segment(photos, out, "cutout", Whole("full"), options=Options(pad=2))
    assert tree(out) == before
    segment(photos, out, "png", restart=True)
    segment(photos, tmp_path / "fresh", "png")
    assert tree(out) == tree(tmp_path / "fresh")


def test_weights_and_device_are_settings_too(photos: Path, tmp_path: Path, segment: Run) -> None:
    out = tmp_path / "out"
    segment(photos, out)
    path = out / STATE / "settings.json"
    values = json.loads(path.read_bytes())
    path.write_text(json.dumps({**values, "digest": "abc", "device": "cuda"}))
    with pytest.raises(SettingsError, match="device was cuda, now cpu; digest was abc, now [0-9a-f]{64}"):
        segment(photos, out)


def test_bad_files_cost_a_row_each(photos: Path, tmp_path: Path, segment: Run) -> None:
    segment(photos, tmp_path / "clean")
    whole = (photos / "001.png").read_bytes()
    bad = {"cut.png": whole[: len(whole) // 2], "empty.jpg": b"", "text.png": b"hello", "even/old.jpg": b"\xff\xd8\xff"}
    for name, data in bad.items():
        (photos / name).write_bytes(data)
    (photos / "notes.txt").write_text("no photo, and not called one")
    shutil.copy(photos / "001.png", photos / "photo.dat")  # a photo, whatever it is called
    report = segment(photos, tmp_path / "out")
    tally = report.tally
    assert (tally.total, tally.done, tally.failed, tally.skipped) == (14, 9, 4, 1)
    rows = list(csv.DictReader(report.failures_path.read_text().splitlines()))
    assert [row["image"] for row in rows] == ["cut.png", "empty.jpg", "even/old.jpg", "text.png"]
    assert all(row["class"] == "ImageError" and row["reason"] for row in rows)
    dirty, clean = tree(tmp_path / "out"), tree(tmp_path / "clean")
    assert {name: data for name, data in dirty.items() if name in clean and name.endswith("png")} == {
        name: data for name, data in clean.items() if name.endswith("png")
    }
    assert segment(photos, tmp_path / "out").tally == tally.__class__(14, 9, 4, 1, kept=9, objects=9)


def test_a_photo_that_went_bad_loses_its_files(photos: Path, tmp_path: Path, segment: Run) -> None:
    segment(photos, tmp_path / "out")
    (photos / "001.png").write_bytes(b"")
    assert segment(photos, tmp_path / "out").tally.failed == 1
    assert "001_mask.png" not in tree(tmp_path / "out")
    segment(photos, tmp_path / "fresh")
    assert tree(tmp_path / "out") == tree(tmp_path / "fresh")


def _whole_records(journal: bytes) -> int:
    return sum(line.startswith(b'{"name"') and line.endswith(b"\n") for line in journal.splitlines(keepends=True))


def test_a_torn_journal_costs_what_was_torn_off(photos: Path, tmp_path: Path, segment: Run) -> None:
    out = tmp_path / "out"
    segment(photos, out)
    before, journal = tree(out), (out / STATE / "journal.jsonl").read_bytes()
    for cut in (1, 50, len(journal) // 2, len(journal)):
        (out / STATE / "journal.jsonl").write_bytes(journal[:-cut])
        report = segment(photos, out)
        assert report.tally.done == 8 and report.tally.kept == _whole_records(journal[:-cut])
        assert tree(out) == before and len(_lines(out)) == 8
    (out / STATE / "journal.jsonl").write_bytes(b"\0garbage\n{}\n[1]\n" + journal)
    assert segment(photos, out).tally.kept == 8


def test_three_shards_are_as_one(photos: Path, tmp_path: Path, segment: Run) -> None:
    segment(photos, tmp_path / "one")
    totals = [segment(photos, tmp_path / "three", shard=f"{number}/3").tally.total for number in (3, 1, 2)]
    assert sum(totals) == 8 and max(totals) < 8
    assert tree(tmp_path / "three") == tree(tmp_path / "one")
    assert segment(photos, tmp_path / "three").tally.kept == 8


def test_two_runs_do_not_meet(photos: Path, tmp_path: Path, segment: Run) -> None:
    out = tmp_path / "out"
    (out / STATE).mkdir(parents=True)
    with locked(out / STATE, Shard(), str(out)):
        for shard in ("1/1", "1/2"):
            with pytest.raises(OutputError, match=rf"out is being written by another run .*process {os.getpid()}"):
                segment(photos, out, shard=shard)
    with locked(out / STATE, Shard(1, 2), str(out)):
        for shard in ("1/1", "1/2", "2/3"):
            with pytest.raises(OutputError, match="is being written by another run"):
                segment(photos, out, shard=shard)
        segment(photos, out, shard="2/2")
    assert segment(photos, out).tally.done == 8


def test_a_full_disk_stops_it_and_it_goes_on(
    photos: Path, tmp_path: Path, segment: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Full at ten moments: it gets a file or two further each time."""
    out, sync = tmp_path / "out", os.fsync
    for last in (0, 1, 2, 3, 4, 5, 6, 4, 5, 7):  # settings, three folders, then two files a photo
        calls = [0]

        def full(descriptor: int, calls: list[int] = calls, last: int = last) -> None:
            calls[0] += 1
            if calls[0] > last:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            sync(descriptor)

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            with pytest.raises(StoppedError, match="No space left"):
                segment(photos, out)
        tree(out)
    assert 0 < segment(photos, out).tally.kept < 8
    segment(photos, tmp_path / "fresh")
    assert tree(out) == tree(tmp_path / "fresh")


def test_a_folder_with_other_things_is_refused(photos: Path, tmp_path: Path, segment: Run) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match="holds other files"):
        segment(photos, tmp_path / "out")
    with pytest.raises(OutputError, match="holds other files"):
        segment(photos, photos)
    with pytest.raises(OutputError, match="is no folder"):
        segment(photos, tmp_path / "out" / "mine.txt")


def test_an_output_folder_among_the_photos_is_not_scanned(photos: Path, tmp_path: Path, segment: Run) -> None:
    segment(photos, photos / "out")
    report = segment(photos, photos / "out")
    assert (report.tally.done, report.tally.skipped) == (8, 1)
    segment(photos, tmp_path / "other")
    assert tree(photos / "out") == tree(tmp_path / "other")


def test_everything_in_several_formats(make: Callable[[Path, int], None], tmp_path: Path, segment: Run) -> None:
    photos = tmp_path / "photos"
    make(photos, 3)
    options = {"points_per_side": 2, "pred_iou_thresh": 0.0, "stability_score_thresh": 0.0}
    report = segment(photos, tmp_path / "out", "png,coco,json", Everything(options))
    assert report.tally.objects > 3
    dataset = json.loads((tmp_path / "out" / "instances_coco.json").read_bytes())
    assert len(dataset["images"]) == 3 and len(dataset["annotations"]) == report.tally.objects
    assert dataset["info"]["provenance"]["asked"]["everything"] == options
    before = tree(tmp_path / "out")
    segment(photos, tmp_path / "out", "png,coco,json", Everything(options), verify=True)
    assert tree(tmp_path / "out") == before


def test_every_format_at_once(make: Callable[[Path, int], None], tmp_path: Path, segment: Run) -> None:
    photos, out, names = tmp_path / "photos", tmp_path / "out", ",".join(FORMATS)
    make(photos, 2)
    shutil.copy(photos / "001.png", photos / "001.gif")
    question = Wishes({name: [Wish(Prompt([(128, 4)]), name[-7:])] for name in ("001.gif", "001.png", "even/000.png")})
    report = segment(photos, out, names, question)
    assert (report.tally.done, report.failures) == (3, [])
    found = tree(out)
    assert [found[f"{name}.txt"].split()[0] for name in ("001.gif", "001.png", "even/000")] == [b"1", b"2", b"0"]
    assert [found["data.yaml"].index(name) for name in (b"000.png", b"001.gif", b"001.png")]
    assert {"001.gif/0.png", "001.png/metadata.csv", "even/000/0.png", "even/000.geojson"} <= set(found)
    assert segment(photos, out, names, question).tally.kept == 3 and tree(out) == found


def test_status_and_summary_add_up(photos: Path, tmp_path: Path, segment: Run) -> None:
    seen: list[int] = []
    segment(photos, tmp_path / "out", show=lambda report: seen.append(report.tally.past))
    assert seen == [0, *range(1, 9), 8]
    for name in ("status", "summary"):
        values = json.loads((tmp_path / "out" / STATE / f"{name}.json").read_bytes())
        assert values["state"] == "finished"
        assert values["total"] == values["done"] + values["failed"] + values["skipped"] == 8


def test_a_history_of_many_is_small_and_quick(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with path.open("wb") as file:
        file.writelines(Record(f"{n}.jpg", "done", base=str(n)).line() for n in range(20_000))
    history = History([path])
    assert len(history) == 20_000
    found = history.get("19999.jpg")
    assert found is not None and found.base == "19999" and history.get("none.jpg") is None
    history.close()


def test_results_never_take_the_place_of_documents_or_of_one_another(
    make: Callable[[Path, int], None], tmp_path: Path, segment: Run
) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    make(photos, 1)
    names = ["shards/index.png", "instances_coco.json/q.png", "data.yaml/q.png", "a.png", "a_mask.jpg", "a_mask.png"]
    for name in names:
        (photos / name).parent.mkdir(exist_ok=True)
        shutil.copy(photos / "even" / "000.png", photos / name)
    chosen = "png,coco,yolo,labelme,amg,shards,cutout"
    assert segment(photos, out, chosen).tally.done == 7
    written = set(tree(out))
    assert {"instances_coco.json", "data.yaml", "shards/index.json", "%73hards/index.json"} <= written
    assert {"instances_coco%2Ejson/q_mask.png", "data%2Eyaml/q_mask.png", "a_mask.png"} <= written
    assert {"a/0.png", "a_mask%2Ejpg/0.png", "a_mask%2Epng/0.png"} <= written
    assert segment(photos, out, chosen, verify=True).tally.kept == 7


def test_results_of_photos_that_are_gone_are_told(photos: Path, tmp_path: Path, segment: Run) -> None:
    assert segment(photos, tmp_path / "out").gone == 0
    (photos / "001.png").unlink()
    report = segment(photos, tmp_path / "out")
    assert (report.gone, report.tally.kept) == (1, 7)
    assert json.loads((tmp_path / "out" / STATE / "summary.json").read_bytes())["gone"] == 1
