"""How much memory there is to take."""

from __future__ import annotations

import psutil

_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")  # of a container


def free_memory() -> int:
    """Bytes that are free, and no more than the container may have."""
    free = psutil.virtual_memory().available
    for name in _LIMITS:
        try:
            with open(name) as file:
                free = min(free, int(file.read()))
        except (OSError, ValueError):  # no such limit
            continue
    return free
