"""`clickmask batch --format shards`, with the model: what a run promises holds for shards too."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import pandas
import pytest

from clickmask import MaskShards
from clickmask.models.errors import MissingExtraError, OutputError, SettingsError
from clickmask.service.batch.questions import Everything, Wish, Wishes
from clickmask.service.batch.settings import Formats, ShardOptions
from clickmask.service.batch.sources import STATE
from clickmask.service.formats import Options
from clickmask.service.formats.json_file import read_json
from clickmask.service.prompts import Prompt

from .conftest import Run, Start, tree

THREE = ShardOptions(size=3)
FILES = {f"shards/0000{number}.{end}" for number in range(3) for end in ("parquet", "tar")} | {"shards/index.json"}


def test_shards_hold_what_the_files_of_each_photo_hold(photos: Path, tmp_path: Path, segment: Run) -> None:
    out = tmp_path / "out"
    assert segment(photos, out, "json,shards", shards=THREE).tally.done == 8
    found = tree(out)
    assert {name for name in found if name.startswith("shards")} == FILES
    dataset = MaskShards(out / "shards", photos=photos, masks=True)
    assert [sample["name"] for sample in dataset] == ["001.png", "003.png", "005.png", "007.png"] + [
        f"even/{number:03}.png" for number in (0, 2, 4, 6)
    ]
    for sample in dataset:
        own = read_json(found[f"{sample['key']}_objects.json"])
        assert (own.sha256, own.width, own.height) == (sample["sha256"], sample["width"], sample["height"])
        assert (sample["masks"][0] == own.objects[0].mask).all() and sample["objects"][0]["score"] == own.objects[
            0
        ].score
        assert sample["pixels"].shape == (8, 256, 3)
    with tarfile.open(out / "shards" / "00001.tar") as tar:
        assert tar.getnames() == ["007.json", "even/000.json", "even/002.json"]
        member = tar.extractfile("even/000.json")
        assert member is not None and read_json(member.read()).provenance == own.provenance
    assert "threads" not in json.dumps(dataset.index["provenance"])
    segment(photos, out, "json,shards", shards=THREE)
    assert tree(out) == found and not list((out / STATE / "spool").iterdir())


def test_however_it_is_shared_out_and_gone_on_with(
    photos: Path, tmp_path: Path, segment: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    segment(photos, tmp_path / "one", "shards", shards=THREE)
    out = tmp_path / "out"
    for number in (3, 1, 2):
        segment(photos, out, "shards", shards=THREE, shard=f"{number}/3")
    assert tree(out) == tree(tmp_path / "one")
    cv2.imwrite(str(photos / "003.png"), cv2.imread(str(photos / "003.png"))[:, ::-1])
    os.utime(photos / "even" / "002.png", ns=(1, 1))  # touched: what was found in it is still in its shard
    (photos / "even" / "006.png").write_bytes(b"bad")
    report = segment(photos, out, "shards", shards=THREE)
    assert (report.tally.done, report.tally.failed) == (7, 1)
    segment(photos, tmp_path / "fresh", "shards", shards=THREE)
    assert tree(out) == tree(tmp_path / "fresh")
    with pytest.raises(SettingsError, match=r'options was .*"size": 3.*now .*"size": 4.*--restart'):
        segment(photos, out, "shards", shards=ShardOptions(size=4))
    segment(photos, out, "shards", shards=ShardOptions(size=100), restart=True)
    assert set(tree(out)) == {"shards/00000.parquet", "shards/00000.tar", "shards/index.json"}


def test_photos_in_the_tars_are_those_that_were_segmented(photos: Path, tmp_path: Path, segment: Run) -> None:
    out, options = tmp_path / "out", ShardOptions(size=3, photos=True)
    segment(photos, out, "shards", shards=options)
    with tarfile.open(out / "shards" / "00000.tar") as tar:
        assert tar.getnames() == ["001.png", "001.json", "003.png", "003.json", "005.png", "005.json"]
        member = tar.extractfile("003.png")
        assert member is not None and member.read() == (photos / "003.png").read_bytes()
    (out / "shards" / "00000.tar").unlink()
    times = (photos / "003.png").stat()
    data = (photos / "003.png").read_bytes()
    (photos / "003.png").write_bytes(data[::-1])  # behind our back: as long and as old as before
    os.utime(photos / "003.png", ns=(times.st_atime_ns, times.st_mtime_ns))
    report = segment(photos, out, "shards", shards=options)
    assert (report.tally.done, report.tally.failed) == (7, 1)
    assert "003.png" in report.failures_path.read_text() and not (out / "shards" / "00000.tar").exists()
    (photos / "003.png").write_bytes(data)
    segment(photos, out, "shards", shards=options)
    segment(photos, tmp_path / "fresh", "shards", shards=options)
    assert tree(out) == tree(tmp_path / "fresh")


def test_labels_and_scores_can_be_asked_for(make: Callable[[Path, int], None], tmp_path: Path, segment: Run) -> None:
    photos = tmp_path / "photos"
    make(photos, 3)
    shutil.copy(photos / "001.png", photos / "a.b.png")
    question = Wishes(
        {name: [Wish(Prompt([(128, 4)]), label) for label in ("dog", "cat")] for name in ("001.png", "a.b.png")}
    )
    segment(photos, tmp_path / "out", "shards", question)
    table = pandas.read_parquet(tmp_path / "out" / "shards" / "00000.parquet")
    assert list(table[table["label"] == "dog"]["key"]) == ["001", "a%2Eb"]
    assert json.loads((tmp_path / "out" / "shards" / "index.json").read_bytes())["labels"] == {"cat": 2, "dog": 2}
    options = {"points_per_side": 2, "pred_iou_thresh": 0.0, "stability_score_thresh": 0.0}
    report = segment(photos, tmp_path / "all", "shards", Everything(options))
    table = pandas.read_parquet(tmp_path / "all" / "shards" / "00000.parquet")
    assert len(table) == report.tally.objects > 4 and table["image"].nunique() == 4
    none = segment(photos, tmp_path / "none", "shards", Everything({**options, "pred_iou_thresh": 2.0}))
    assert none.tally.objects == 0
    assert len(pandas.read_parquet(tmp_path / "none" / "shards" / "00000.parquet")) == 4


@pytest.mark.soak
@pytest.mark.skipif(os.name != "posix", reason="signals of Unix")
def test_killed_with_the_model_at_work(
    make: Callable[[Path, int], None], tmp_path: Path, segment: Run, start: Start
) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    make(photos, 9)
    process = start(photos, out, "--point", "center", "--format", "shards", "--shard-size", "3")
    deadline = time.monotonic() + 120
    while not (out / "shards" / "00000.tar").exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    with process:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    assert segment(photos, out, "shards", shards=THREE).tally.kept >= 3
    segment(photos, tmp_path / "fresh", "shards", shards=THREE)
    assert tree(out) == tree(tmp_path / "fresh")


def test_what_cannot_be_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OutputError, match="format png has no shard size or photos: that is for shards"):
        Formats(("png",), Options(), THREE)
    with pytest.raises(OutputError, match="has no pad: that is for cutout"):
        Formats(("shards",), Options(pad=2))
    with pytest.raises(SettingsError, match="from 1 up, got 0"):
        ShardOptions(size=0)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'clickmask\[shards\]'"):
        Formats(("png", "shards"), Options())
