"""Memory of searches, measured in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROBE = Path(__file__).with_name("search_probe.py")
MEGABYTE = 2**20


def _measured(*arguments: object) -> int:
    command = [sys.executable, PROBE, *map(str, arguments)]
    alone = {**os.environ, "OMP_NUM_THREADS": "1"}  # threads that wait for each other wait long beside other tests
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=alone)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.soak
def test_a_hundred_megapixels_in_tiles_take_no_more_than_max_memory(tmp_path: Path) -> None:
    """The photo alone has 300 MB, and each tile, which is copied to be encoded, 100."""
    limit = 420 * MEGABYTE
    assert _measured("peak", 10_000, 5800, limit, tmp_path) < limit


@pytest.mark.soak
def test_a_hundred_megapixels_in_a_hundred_tiles_take_no_more_than_max_memory(tmp_path: Path) -> None:
    limit = 250 * MEGABYTE
    assert _measured("peak", 10_000, 1024, limit, tmp_path) < limit


@pytest.mark.soak
def test_thirty_searches_leave_nothing_behind(tmp_path: Path) -> None:
    """Complete, cancelled, and ended by an error; each embedding alone has 4 MB."""
    assert _measured("growth", 30, tmp_path) < 25 * MEGABYTE
