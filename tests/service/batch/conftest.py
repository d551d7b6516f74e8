"""Low strips of a real photo, which the embedded model encodes in a moment, and runs over them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from clickmask import Segmenter
from clickmask.service.batch.outlet import Folder
from clickmask.service.batch.questions import Question, Whole
from clickmask.service.batch.report import Report
from clickmask.service.batch.run import Batch, run
from clickmask.service.batch.settings import Formats, ShardOptions
from clickmask.service.batch.shards import Shard
from clickmask.service.batch.sources import STATE, scan
from clickmask.service.formats import Options

if TYPE_CHECKING:
    from .s3_stand_in import Bucket, Server

MODEL = ("--device", "cpu", "--precision", "float32", "--fit", "rectangle", "--refine", "off")
Run = Callable[..., Report]
Start = Callable[..., "subprocess.Popen[bytes]"]


def make_photos(folder: Path, count: int, strip: np.ndarray) -> None:
    """Different pictures of 256 x 8, in two folders."""
    small = cv2.resize(strip, (256, 8), interpolation=cv2.INTER_AREA)
    for number in range(count):
        path = folder / ("even" if number % 2 == 0 else ".") / f"{number:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.roll(small, number * 7, axis=1))


def tree(out: Path) -> dict[str, bytes]:
    """All that is promised: every file but those of the state folder; there is no half a file anywhere."""
    paths = [path for path in out.rglob("*") if path.is_file()]
    assert not [path for path in paths if path.name.endswith(".part")]
    found = {os.fsdecode(os.fsencode(path.relative_to(out))): path.read_bytes() for path in paths}
    return {name: data for name, data in found.items() if not name.startswith(STATE)}


@pytest.fixture
def make(strip: np.ndarray) -> Callable[[Path, int], None]:
    """Photos into a folder."""
    return lambda folder, count: make_photos(folder, count, strip)


@pytest.fixture
def photos(tmp_path: Path, strip: np.ndarray) -> Path:
    """Eight photos."""
    make_photos(tmp_path / "photos", 8, strip)
    return tmp_path / "photos"


@pytest.fixture
def segment(strip_segmenter: Segmenter) -> Run:
    """A run in this process."""

    def do(
        photos: Path | str,
        out: Path,
        formats: str = "png,coco",
        question: Question | None = None,
        shard: str = "1/1",
        verify: bool = False,
        restart: bool = False,
        options: Options | None = None,
        shards: ShardOptions | None = None,
        pilot: int = 0,
        embeddings: Path | None = None,
        show: Callable[[Report], None] = lambda report: None,
    ) -> Report:
        found = scan(str(photos), out)
        chosen = Formats(tuple(formats.split(",")), options or Options(), shards or ShardOptions())
        asked = question or Whole("center")
        batch = Batch(found, asked, chosen, Folder(out), Shard.parse(shard), verify, restart, pilot, embeddings)
        return run(batch, lambda: strip_segmenter, show)

    return do


@pytest.fixture
def start() -> Start:
    """A run in a process of its own."""

    def begin(photos: Path, out: Path, *words: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "clickmask", "batch", str(photos), str(out), *words]
        return subprocess.Popen([*command, *MODEL, "--quiet"], stderr=subprocess.PIPE, start_new_session=True)

    return begin


@pytest.fixture(scope="session")
def s3_server() -> Iterator[Server]:
    """S3 on this machine."""
    from .s3_stand_in import Server

    server = Server()
    yield server
    server.close()


@pytest.fixture
def s3(s3_server: Server, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """An empty bucket: `s3.url` is what a user would write."""
    return s3_server.bucket(monkeypatch)
