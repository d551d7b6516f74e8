"""Opening image after image keeps memory flat; measured in processes of their own, where nothing else is freed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROBE = Path(__file__).with_name("memory_probe.py")
EMBEDDING = 4096 * 256 * 4  # bytes of one image's embedding in float32
MEGABYTE = 2**20


def _growth(kind: str, warm_up: int, count: int, folder: Path) -> int:
    """Bytes by which a process grows over `count` images, after some that fill caches."""
    command = [sys.executable, str(PROBE), kind, str(warm_up), str(count), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.parametrize(
    "kind",
    ["one after the other", *(pytest.param(kind, marks=pytest.mark.soak) for kind in ("kept but closed", "open_many"))],
)
def test_forty_images_take_the_room_of_a_few(kind: str, tmp_path: Path) -> None:
    assert _growth(kind, 16, 40, tmp_path) < 12 * EMBEDDING


def test_forty_images_that_are_kept_are_noticed(tmp_path: Path) -> None:
    """That the measure above would see a leak."""
    assert _growth("kept", 16, 40, tmp_path) > 30 * EMBEDDING


@pytest.mark.soak
def test_five_hundred_images_of_all_sizes_take_the_room_of_a_few(tmp_path: Path) -> None:
    assert _growth("any size", 150, 500, tmp_path) < 100 * MEGABYTE
