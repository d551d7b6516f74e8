"""A pilot is a part of the whole run; --finish joins what is done, and nothing else."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from clickmask.models.errors import OutputError, SettingsError
from clickmask.service.batch.finish import Missing, finish
from clickmask.service.batch.journal import Record
from clickmask.service.batch.lock import locked
from clickmask.service.batch.lots import drawn
from clickmask.service.batch.outlet import Folder
from clickmask.service.batch.pilot import forecast
from clickmask.service.batch.questions import Whole
from clickmask.service.batch.report import Report
from clickmask.service.batch.run import Batch
from clickmask.service.batch.settings import Formats
from clickmask.service.batch.shards import Shard
from clickmask.service.batch.sources import STATE, scan
from clickmask.service.cli.app import app
from clickmask.service.formats import Options

from .conftest import MODEL, Run, tree


def _names(out: Path) -> list[str]:
    lines = (out / STATE / "journal.jsonl").read_bytes().splitlines(keepends=True)
    return [record.name for line in lines if (record := Record.parse(line)) is not None]


def _finish(photos: Path, out: Path, formats: str = "png,coco", kind: str = "center") -> Report | Missing:
    chosen = Formats(tuple(formats.split(",")), Options())
    return finish(Batch(scan(str(photos), out), Whole(kind), chosen, Folder(out)), lambda report: None)


def test_a_pilot_and_the_rest_are_the_whole(photos: Path, tmp_path: Path, segment: Run) -> None:
    out, fresh = tmp_path / "out", tmp_path / "fresh"
    report = segment(photos, out, "png,coco,yolo", pilot=3)
    chosen = _names(out)
    assert (report.tally.total, report.tally.done, report.ahead) == (3, 3, 5)
    assert set(chosen) == drawn((source.name for source in scan(str(photos), out).sources), 3)
    assert not {"instances_coco.json", "data.yaml"} & set(tree(out))
    again = segment(photos, out, "png,coco,yolo", pilot=3)
    assert again.tally.kept == 3 and _names(out) == chosen
    whole = segment(photos, out, "png,coco,yolo")
    assert whole.tally.kept == 3 and whole.tally.total == 8 and sorted(_names(out)) == sorted(set(_names(out)))
    segment(photos, fresh, "png,coco,yolo")
    assert tree(out) == tree(fresh)


def test_a_forecast_is_the_samples_mean_times_what_is_left(photos: Path, tmp_path: Path, segment: Run) -> None:
    out = tmp_path / "out"
    report = segment(photos, out, "png,json", pilot=4)
    sizes = [len(data) for data in tree(out).values()]
    found = forecast(report)
    assert found is not None and (found.images, found.files, found.files_error) == (4, 8, 0)
    assert found.bytes == sum(sizes) and 0 < found.bytes_error < found.bytes
    assert found.seconds is not None and found.seconds > 0
    assert json.loads((out / STATE / "summary.json").read_bytes())["forecast"] == vars(found)
    again = forecast(segment(photos, out, "png,json", pilot=4))
    assert again is not None and again.seconds is None and again.bytes == found.bytes  # nothing was done to be timed
    assert forecast(segment(photos, out, "png,json")) is None


def test_what_is_not_done_is_told_by_shard_and_what_is_done_is_joined(
    photos: Path, tmp_path: Path, segment: Run
) -> None:
    out, fresh = tmp_path / "out", tmp_path / "fresh"
    (photos / "bad.jpg").write_bytes(b"bad")
    total = segment(photos, fresh).tally.total
    counts = [segment(photos, out, shard=f"{number}/3").tally.total for number in (1, 2)]
    before = tree(out)
    missing = _finish(photos, out)
    assert isinstance(missing, Missing) and (len(missing.names), missing.total) == (total - sum(counts), total)
    assert missing.shards == (("3/3", total - sum(counts)),) and tree(out) == before
    segment(photos, out, shard="3/3")
    (out / "instances_coco.json").unlink()
    done = _finish(photos, out)
    assert isinstance(done, Report) and tree(out) == tree(fresh)
    assert (done.tally.done, done.tally.failed, done.failures[0].name) == (8, 1, "bad.jpg")
    summary = json.loads((out / STATE / "summary.json").read_bytes())
    assert summary["state"] == "finished" and sum(summary["area_share"]["counts"]) == 8
    assert (out / STATE / "report.html").read_bytes().count(b"<img ") == 16
    (photos / "001.png").write_bytes((photos / "003.png").read_bytes())
    missing = _finish(photos, out)
    assert isinstance(missing, Missing) and missing.names == ("001.png",)


def test_finish_refuses_what_it_cannot_join(photos: Path, tmp_path: Path, segment: Run) -> None:
    out = tmp_path / "out"
    with pytest.raises(SettingsError, match="holds no results yet"):
        _finish(photos, out)
    assert not out.exists()
    segment(photos, out)
    with pytest.raises(SettingsError, match="box was not there, now full"):
        _finish(photos, out, kind="full")
    with pytest.raises(SettingsError, match="formats was coco,png, now png"):
        _finish(photos, out, "png")
    with locked(out / STATE, Shard(1, 2), str(out)), pytest.raises(OutputError, match="another run"):
        _finish(photos, out)


def test_the_command_line_tells_the_forecast_and_what_is_missing(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"

    def batch(*words: str) -> tuple[int, str]:
        command = ["batch", str(photos), str(out), "--point", "center", "--format", "png,coco", *MODEL, *words]
        done = CliRunner().invoke(app, command)
        return done.exit_code, done.stderr

    code, said = batch("--pilot", "3")
    assert code == 0 and "3 of 3 done, 3 objects\n" in said
    assert re.search(r"^Pilot: \d+\.\d\d photos a second; 5 more photos would take .*, until \w{3} \d\d ", said, re.M)
    assert re.search(r"^Pilot: they would be about 5 files, .* ± .*; the same command without --pilot", said, re.M)
    code, said = batch("--finish")
    assert code == 3 and "--finish: 5 of 8 photos are not done yet" in said and "the first: " in said
    assert batch()[0] == 0 and (out / "instances_coco.json").is_file()
    (out / "instances_coco.json").unlink()
    code, said = batch("--finish")
    assert code == 0 and said.startswith("8 of 8 done (8 of them before)") and (out / "instances_coco.json").is_file()
    assert batch("--finish", "--pilot", "2")[0] == 2
