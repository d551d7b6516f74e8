"""`clickmask ui` in a process of its own."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

PATIENCE = 60.0  # seconds until it must be there


class Served:
    """A process that serves the page: its address, and what it logs."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process, self.log = process, log
        self.url = self._wait_for_start()

    def _wait_for_start(self) -> str:
        end = time.monotonic() + PATIENCE
        while "clickmask serves" not in (text := self.log.read_text()):
            assert self.process.poll() is None, text
            assert time.monotonic() < end, text
            time.sleep(0.02)
        return text.partition(" at ")[2].split()[0]


@contextmanager
def serving(folder: Path, words: Sequence[str] = (), *, port: int = 0) -> Iterator[Served]:
    """It serves until the block ends; its state is in the folder."""
    log = folder / f"log-{time.monotonic_ns()}"
    line = [sys.executable, "-m", "clickmask", "ui", "--port", str(port), "--state-dir", str(folder / "state"), *words]
    with log.open("wb") as file, subprocess.Popen(line, cwd=folder, stdout=file, stderr=file) as process:
        try:
            yield Served(process, log)
        finally:
            process.kill()
