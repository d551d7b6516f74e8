"""How much memory something took at most, in megabytes (10^6 bytes); None where the system does not tell."""

from __future__ import annotations

import gc
import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from ...models.errors import StoppedError
from ..everything.proposals import Peak as GpuPeak

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")  # Linux
# A process counts what its parent held when it was started, so a large one must not be the parent. (Windows: no word.)
_STARTER = """
import subprocess, sys, time
begun = time.perf_counter()
code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL)
seconds = time.perf_counter() - begun
try:
    import resource
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
except ImportError:
    peak = 0
print(code, seconds, peak)
"""


def run(line: Sequence[str]) -> tuple[float, float | None]:
    """Run a process to its end: the seconds, and the most memory, that it took.

    Raises StoppedError, with what it said, when it failed. Whatever ends this call ends the process.
    """
    command = [sys.executable, "-I", "-S", "-c", _STARTER, *line]
    own_group = hasattr(os, "killpg")
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, start_new_session=own_group, text=True) as process:
        try:
            told, said = process.communicate()
        except BaseException:
            if own_group:
                os.killpg(process.pid, signal.SIGKILL)
            process.kill()
            process.wait()
            raise
    code, seconds, peak = told.split() or (process.returncode, 0, 0)
    if int(code):
        raise StoppedError(f"a process that was to segment the photo failed: {said.strip().removeprefix('Error: ')}")
    return float(seconds), megabytes(int(peak)) if int(peak) else None


class Peak:
    """The most memory that is taken from now on: of the GPU where the model is on one, else of this process.

    graphs: whether CUDA graphs run.
    """

    def __init__(self, device: torch.device, *, graphs: bool = False) -> None:
        gc.collect()
        self._of_gpu = GpuPeak(device, graphs=graphs) if device.type == "cuda" else None
        self._is_fresh = self._of_gpu is not None or _begin_anew()

    def read(self) -> float | None:
        """Megabytes; None where what came before cannot be told from it."""
        if self._of_gpu is not None:
            return (self._of_gpu.read() or 0) / 1e6
        if not self._is_fresh:
            return None
        found = re.search(r"^VmHWM:\s+(\d+) kB", _STATUS.read_text(), re.MULTILINE)
        return int(found[1]) * 1024 / 1e6 if found else None


def _begin_anew() -> bool:
    """Have Linux forget this process's peak; whether it did."""
    try:
        _RESET.write_text("5")
    except OSError:
        return False
    return True


def megabytes(maxrss: int) -> float:
    """Of `ru_maxrss`: Linux counts it in kilobytes, macOS in bytes."""
    return maxrss / 1e6 if sys.platform == "darwin" else maxrss * 1024 / 1e6
