"""The decoder processes of a service, or of a pool, that runs in the process of the tests."""

from __future__ import annotations

from contextlib import suppress

import psutil


def decoders() -> list[psutil.Process]:
    """Those that run now; other tests' processes, such as Python's own tracker of resources, are none."""
    return [child for child in psutil.Process().children() if _decodes(child)]


def _decodes(child: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
        return any("decoding.worker" in part for part in child.cmdline())
    return False
