"""Killed at the worst moments: while a file is written, the journal, the settings, or the joined document."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import Run, tree
from .killing import POINTS

pytestmark = pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="which file is meant is asked of Linux")
QUICK = ["after an output's name", "half a record"]


@pytest.mark.parametrize(
    "names", [QUICK, pytest.param([name for name in POINTS if name not in QUICK], marks=pytest.mark.soak)]
)
def test_wherever_it_is_killed_it_goes_on_to_the_same_bytes(
    names: list[str], make: Callable[[Path, int], None], tmp_path: Path, segment: Run
) -> None:
    photos = tmp_path / "photos"
    make(photos, 4)
    driver = Path(__file__).with_name("killing.py")
    done = subprocess.run(
        [sys.executable, str(driver), str(photos), str(tmp_path / "out"), *names],
        capture_output=True,
        text=True,
        timeout=600,
    )
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["name"] for row in rows] == names, done.stderr
    segment(photos, tmp_path / "fresh", "png,cutout,coco")
    expected = tree(tmp_path / "fresh")
    for row in rows:
        assert (row["killed"], row["went_on"]) == (-signal.SIGKILL, 0), (row, done.stderr)
        assert tree(tmp_path / "out" / row["name"]) == expected, row["name"]
