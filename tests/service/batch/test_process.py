"""`clickmask batch` as a process: killed, interrupted, and gone on with; exit codes."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from clickmask.service.batch.journal import Record
from clickmask.service.batch.sources import STATE
from clickmask.service.cli.app import app

from .conftest import MODEL, Run, Start, tree

UNIX = pytest.mark.skipif(os.name != "posix", reason="signals of Unix")
WORDS = ("--point", "center", "--format", "png,coco")


def _batch(*words: str | Path) -> Result:
    return CliRunner().invoke(app, ["batch", *map(str, words)])


def _done(out: Path) -> list[str]:
    path = out / STATE / "journal.jsonl"
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    return [record.name for line in lines if (record := Record.parse(line)) is not None]


def _wait_for(process: subprocess.Popen[bytes], out: Path, count: int) -> None:
    deadline = time.monotonic() + 60
    while len(_done(out)) < count and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)


def _end(process: subprocess.Popen[bytes]) -> tuple[int, bytes]:
    with process:
        _, said = process.communicate(timeout=60)
        return process.returncode, said


def _kill_again_and_again(start: Start, photos: Path, out: Path, moments: int, step: int) -> int:
    """Kill a run at random moments, each a few photos further than the one before; how many kills struck."""
    draw, struck = random.Random(7), 0
    for _ in range(moments):
        process = start(photos, out, *WORDS)
        _wait_for(process, out, len(_done(out)) + draw.randint(1, step))
        time.sleep(draw.uniform(0, 0.08))
        struck += process.poll() is None
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        _end(process)
    return struck


@UNIX
def test_killed_and_gone_on_with_is_as_uninterrupted(
    make: Callable[[Path, int], None], tmp_path: Path, segment: Run, start: Start
) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    make(photos, 24)
    assert _kill_again_and_again(start, photos, out, 4, 4) >= 3
    before = len(set(_done(out)))
    report = segment(photos, out)
    assert report.tally.kept == before and 0 < before < 24
    assert len(_done(out)) == len(set(_done(out))) == 24  # nothing that was done was done twice
    segment(photos, tmp_path / "fresh")
    assert tree(out) == tree(tmp_path / "fresh")


@UNIX
@pytest.mark.soak
def test_twenty_kills_of_two_hundred_photos(
    make: Callable[[Path, int], None], tmp_path: Path, segment: Run, start: Start
) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    make(photos, 200)
    assert _kill_again_and_again(start, photos, out, 20, 14) >= 15
    segment(photos, out)
    assert len(_done(out)) == len(set(_done(out))) == 200
    segment(photos, tmp_path / "fresh")
    assert tree(out) == tree(tmp_path / "fresh")


@UNIX
@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.soak)])
def test_an_interrupt_stops_it_soon_and_it_goes_on(
    number: signal.Signals, make: Callable[[Path, int], None], tmp_path: Path, segment: Run, start: Start
) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    make(photos, 60)
    process = start(photos, out, *WORDS)
    _wait_for(process, out, 2)
    asked = time.monotonic()
    process.send_signal(number)
    code, said = _end(process)
    assert (code, said) == (130, b"Error: interrupted\n")
    assert time.monotonic() - asked < 15  # three times what is promised
    assert json.loads((out / STATE / "summary.json").read_bytes())["state"] == "interrupted"
    tree(out)
    report = segment(photos, out)
    assert report.tally.kept >= 2 and report.tally.done == len(_done(out)) == 60


def test_exit_codes(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = _batch(photos, out, *WORDS, *MODEL)
    assert done.exit_code == 0
    assert done.stderr.endswith(f"8 of 8 done, 8 objects\n{out / STATE / 'report.html'} shows what came of it\n")
    (photos / "bad.jpg").write_bytes(b"bad")
    done = _batch(photos, out, *WORDS, *MODEL)
    assert done.exit_code == 3
    assert "8 of 9 done (8 of them before)" in done.stderr and "Failed: bad.jpg: " in done.stderr
    assert "failures.csv says which and why" in done.stderr
    done = _batch(photos, out, "--box", "full", *MODEL, "--quiet")
    assert done.exit_code == 2 and done.stderr.count("\n") == 1 and "point was center" in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "got none"),
        (["--point", "center", "--everything"], "got --everything and --point"),
        (["--point", "center", "--search", "tiles=auto"], "options of --everything"),
        (["--point", "middle"], "center"),
        (["--everything", "--search", "tiles=3"], "tiles: expected"),
        (["--prompts", "missing.csv"], "missing.csv cannot be read"),
        (["--point", "center", "--format", "png,jpeg2"], "unknown format 'jpeg2'"),
        (["--point", "center", "--format", ","], "no format"),
        (["--point", "center", "--pad", "3"], "format png has no pad"),
        (["--point", "center", "--shard", "4/3"], "expected NUMBER/COUNT"),
        (["--point", "center", "--devices", ""], "expected all, or devices"),
        (["--point", "center", "--ray", ""], "expected local, or a cluster's address"),
        (["--point", "center", "--ray", "local", "--devices", "all"], "knows its devices itself"),
        (["--point", "center", "--state", "here"], "holds its state itself"),
        (["--point", "center", "--embeddings", "nowhere"], "no OUT of a run with --embed"),
        (["--point", "center", "--format", "cutout", "--fast-decode"], "cutout need all of the photo"),
        (["--everything", "--search", "tiles=auto", "--fast-decode"], "--search tiles need all"),
        (["--embed", "--format", "png"], "give it without --format"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_made(
    words: list[str], message: str, photos: Path, tmp_path: Path
) -> None:
    done = _batch(photos, tmp_path / "out", *words)
    assert done.exit_code == 2 and not (tmp_path / "out").exists()
    assert message in " ".join(done.stderr.replace("│", " ").split())


def test_help_shows_examples() -> None:
    help = _batch("--help").stdout
    assert "clickmask batch photos masks --point center" in help and "--restart" in help
