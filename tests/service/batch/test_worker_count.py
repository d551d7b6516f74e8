"""How many processes do a folder where nobody says it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from clickmask.service.cli.app import app
from clickmask.service.cli.batch_workers import processes

from .conftest import tree

GIB = 1 << 30


def test_many_photos_get_a_process_a_core_as_far_as_memory_goes() -> None:
    assert processes(photos=31, cores=4, free=64 * GIB) == 1
    assert processes(photos=32, cores=4, free=64 * GIB) == 4
    assert processes(photos=32, cores=64, free=64 * GIB) == 8
    assert processes(photos=32, cores=4, free=3 * GIB - 1) == 2
    assert processes(photos=32, cores=4, free=0) == 1


@pytest.mark.soak
def test_masks_are_the_same_however_many_processes_there_are(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(40):
        pixels = np.random.default_rng(number).integers(0, 256, (24, 96, 3), dtype=np.uint8)
        cv2.imwrite(str(photos / f"{number:02}.png"), cv2.resize(pixels, (384, 96)))
    for name, words in (("several", ()), ("one", ("--workers", "1"))):
        line = ["batch", str(photos), str(tmp_path / name), "--point", "center", "--quiet", *words]
        found = CliRunner().invoke(app, line)
        assert found.exit_code == 0, found.output
    several, one = (tree(tmp_path / name) for name in ("several", "one"))
    assert several == one and len(several) == 40
