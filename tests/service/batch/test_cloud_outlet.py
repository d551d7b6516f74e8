"""Results in cloud storage: the bytes of a folder's, resumed from a journal on this machine, never mixed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from clickmask.models.errors import OutputError, SettingsError, StoppedError
from clickmask.service.batch.cloud_outlet import Cloud
from clickmask.service.batch.inputs import retrying
from clickmask.service.batch.outlet import Outlet
from clickmask.service.batch.questions import Question, Whole
from clickmask.service.batch.report import Report
from clickmask.service.batch.run import Batch, run
from clickmask.service.batch.settings import Formats
from clickmask.service.batch.sources import STATE, scan
from clickmask.service.formats import Options
from clickmask.service.segmenter import Segmenter

from .conftest import Run, tree
from .s3_stand_in import Bucket

Upload = Callable[..., Report]


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries follow one another at once."""
    monkeypatch.setattr(retrying, "FIRST_PAUSE", 0.0)


@pytest.fixture
def upload(photos: Path, strip_segmenter: Segmenter) -> Upload:
    """A run in this process."""

    def do(out: Outlet, question: Question | None = None, *, verify: bool = False) -> Report:
        formats = Formats(("png", "coco"), Options())
        batch = Batch(scan(str(photos), "nowhere"), question or Whole("center"), formats, out, verify=verify)
        return run(batch, lambda: strip_segmenter, lambda report: None)

    return do


def _objects(bucket: Bucket) -> dict[str, bytes]:
    paths = bucket.fs.find(f"{bucket.name}/masks")
    found = {path.removeprefix(f"{bucket.name}/masks/"): bucket.fs.cat_file(path) for path in paths}
    assert found.pop(STATE)
    return found


def test_objects_are_what_a_folder_would_hold(
    s3: Bucket, photos: Path, tmp_path: Path, segment: Run, upload: Upload
) -> None:
    out = Cloud(f"{s3.url}/masks", tmp_path / "state")
    assert upload(out).tally.done == 8
    segment(photos, tmp_path / "folder")
    assert _objects(s3) == tree(tmp_path / "folder")
    assert (tmp_path / "state" / "report.html").exists()


def test_nothing_is_done_twice_but_what_is_gone_or_spoilt(s3: Bucket, tmp_path: Path, upload: Upload) -> None:
    out = Cloud(f"{s3.url}/masks", tmp_path / "state")
    upload(out)
    before = _objects(s3)
    assert upload(out).tally.kept == 8
    s3.fs.rm_file(f"{s3.name}/masks/001_mask.png")
    s3.put("masks/003_mask.png", b"\0" * len(before["003_mask.png"]))
    assert upload(Cloud(f"{s3.url}/masks", tmp_path / "state")).tally.kept == 7
    assert upload(out, verify=True).tally.kept == 7
    assert _objects(s3) == before


def test_a_bad_moment_is_waited_out_and_a_bad_day_stops_the_run(s3: Bucket, tmp_path: Path, upload: Upload) -> None:
    out = Cloud(f"{s3.url}/masks", tmp_path / "state")
    seen: list[str] = []

    def flaky(request: str) -> str | None:
        seen.append(request)
        return "503 SlowDown" if request.startswith("PUT") and seen.count(request) < 3 else None

    s3.front.failing = flaky
    assert upload(out).tally.done == 8
    s3.front.failing = lambda request: "503 SlowDown"
    with pytest.raises(StoppedError, match=r"s3://\S+/masks cannot be used: .*what is done is kept"):
        upload(out)
    s3.front.failing = lambda request: None
    assert upload(out).tally.kept == 8


def test_results_of_two_state_folders_do_not_mix(s3: Bucket, tmp_path: Path, upload: Upload) -> None:
    upload(Cloud(f"{s3.url}/masks", tmp_path / "state"))
    with pytest.raises(OutputError, match=r"state folder is another: give that as --state"):
        upload(Cloud(f"{s3.url}/masks", tmp_path / "other"))
    with pytest.raises(SettingsError, match="box was not there, now full"):
        upload(Cloud(f"{s3.url}/masks", tmp_path / "state"), Whole("full"))
    s3.put("full/mine.txt", b"mine")
    with pytest.raises(OutputError, match="holds other things"):
        upload(Cloud(f"{s3.url}/full", tmp_path / "third"))
