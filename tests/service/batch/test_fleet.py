"""Processes that die, hang and lose their device: each costs the photo that did it, and no other."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import psutil
import pytest

from clickmask.models.errors import SettingsError, StoppedError
from clickmask.service.batch.fleet import fleet
from clickmask.service.batch.outlet import Folder
from clickmask.service.batch.report import Report
from clickmask.service.batch.run import Batch, run_with
from clickmask.service.batch.settings import Formats
from clickmask.service.batch.sources import STATE, scan
from clickmask.service.formats import Options

from .conftest import Run, Start, tree

sys.path.insert(0, str(Path(__file__).with_name("children")))  # spawned processes get it too
from harmful import Harmful, open_at_second_try, open_never, open_segmenter, open_unknown

Fleet = Callable[..., Report]


@pytest.fixture
def segment_apart(photos: Path, tmp_path: Path) -> Fleet:
    """A run by processes."""

    def do(harm: dict[str, str], *, workers: int = 1, opener=open_segmenter, others=()) -> Report:
        out = tmp_path / "out"
        formats = Formats(("png", "coco"), Options())
        batch = Batch(scan(str(photos), out), Harmful("center", harm), formats, Folder(out))
        return run_with(
            batch, partial(fleet, [*[opener] * workers, *others], patience=15, deaths=2), lambda report: None
        )

    return do


def test_processes_write_what_one_does(photos: Path, tmp_path: Path, segment: Run, segment_apart: Fleet) -> None:
    report = segment_apart({}, workers=2)
    assert (report.tally.total, report.tally.done, report.tally.objects) == (8, 8, 8)
    segment(photos, tmp_path / "alone")
    assert tree(tmp_path / "out") == tree(tmp_path / "alone")
    assert segment(photos, tmp_path / "out").tally.kept == 8


@pytest.mark.skipif(os.name != "posix", reason="how a process died is told otherwise there")
def test_photos_that_kill_and_hang_are_set_aside_and_the_others_are_done(
    photos: Path, tmp_path: Path, segment: Run, segment_apart: Fleet
) -> None:
    report = segment_apart({"003.png": "crash", "even/004.png": "hang"})
    assert (report.tally.done, report.tally.failed) == (6, 2)
    reasons = {trouble.name: trouble for trouble in report.failures}
    assert {trouble.kind for trouble in report.failures} == {"WorkerDied"}
    assert "died (SIGSEGV), twice" in reasons["003.png"].reason
    assert "gave no sign of life for 15 s, twice" in reasons["even/004.png"].reason
    assert segment(photos, tmp_path / "out").tally.kept == 6  # the harm is over: they are tried again
    segment(photos, tmp_path / "fresh")
    assert tree(tmp_path / "out") == tree(tmp_path / "fresh")


def test_a_process_that_dies_before_its_model_is_loaded_is_started_again(
    photos: Path, tmp_path: Path, segment: Run, segment_apart: Fleet
) -> None:
    report = segment_apart({}, others=[partial(open_at_second_try, str(tmp_path / "mark"))])
    assert (tmp_path / "mark").exists() and (report.tally.done, report.tally.failed) == (8, 0)
    segment(photos, tmp_path / "alone")
    assert tree(tmp_path / "out") == tree(tmp_path / "alone")


@pytest.mark.skipif(os.name != "posix", reason="how a process died is told otherwise there")
def test_processes_that_never_come_to_load_a_model_end_the_run_at_last(segment_apart: Fleet) -> None:
    with pytest.raises(StoppedError, match=r"died \(SIGKILL\).*memory suffices \(--workers 1 takes least\)"):
        segment_apart({"*": "hang"}, others=[open_never])


@pytest.mark.soak
def test_a_device_that_breaks_at_every_photo_ends_the_run(segment_apart: Fleet) -> None:
    with pytest.raises(
        StoppedError, match=r"lost its device \(CUDA error: an illegal .*whatever it was given; what is done is kept"
    ):
        segment_apart({"*": "break"})


def test_a_model_that_cannot_be_loaded_is_said(tmp_path: Path, segment_apart: Fleet) -> None:
    with pytest.raises(SettingsError, match="fit='round' is unknown"):
        segment_apart({}, opener=open_unknown)


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_processes_do_not_outlive_their_parent(
    make: Callable[[Path, int], None], photos: Path, tmp_path: Path, segment: Run, start: Start
) -> None:
    make(photos, 24)
    out = tmp_path / "out"
    process = start(photos, out, "--point", "center", "--format", "png,coco")
    journal = out / STATE / "journal.jsonl"
    while not (journal.exists() and journal.stat().st_size):
        assert process.poll() is None
        time.sleep(0.05)
    children = psutil.Process(process.pid).children(recursive=True)
    assert children
    os.kill(process.pid, signal.SIGKILL)  # the parent alone
    process.communicate()
    _, alive = psutil.wait_procs(children, timeout=20)
    assert not alive
    assert segment(photos, out).tally.done == 24
    segment(photos, tmp_path / "fresh")
    assert tree(out) == tree(tmp_path / "fresh")
