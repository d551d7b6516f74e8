"""One run at a time writes to an output folder, or one a shard. The system frees a lock when its process ends."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from ...models.errors import OutputError
from .shards import Shard

_PATIENCE = 0.2  # seconds between two looks at a lock that is held


@contextmanager
def locked(state: Path, shard: Shard, out: str) -> Generator[None]:
    """Hold the folder, or the shard's part of it. Raises OutputError, naming the process that holds it."""
    held: list[int] = []
    try:
        held.append(_take(state / "lock", out, shared=not shard.is_whole))
        if not shard.is_whole:
            for path in state.glob("lock-*of*"):
                if not path.name.endswith(f"of{shard.count}"):
                    os.close(_take(path, out))
            own = _take(state / f"lock{shard.suffix}", out)
            held.append(own)
        os.ftruncate(held[-1], 0)
        os.pwrite(held[-1], str(os.getpid()).encode(), 0) if hasattr(os, "pwrite") else None
        yield
    finally:
        for descriptor in held:
            os.close(descriptor)


@contextmanager
def joining(state: Path, out: str) -> Generator[None]:
    """Hold what one run at a time may do for all shards; wait until others have done it."""
    while True:
        try:
            descriptor = _take(state / "lock-join", out)
            break
        except OutputError:
            time.sleep(_PATIENCE)
    try:
        yield
    finally:
        os.close(descriptor)


@contextmanager
def idle(state: Path, suffix: str, out: str) -> Generator[bool]:
    """Whether no run of this suffix (see `Shard`) is at it; none begins meanwhile."""
    try:
        descriptor = _take(state / f"lock{suffix}", out)
    except OutputError:
        yield False
        return
    try:
        yield True
    finally:
        os.close(descriptor)


def _take(path: Path, out: str, *, shared: bool = False) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        _lock(descriptor, shared=shared)
    except OSError:
        holder = os.read(descriptor, 32).decode(errors="replace").strip() or "of other shards"
        os.close(descriptor)
        raise OutputError(
            f"{out} is being written by another run of clickmask batch (process {holder}): wait until it is done, "
            "choose another folder, or share the work with --shard 1/2 and --shard 2/2"
        ) from None
    return descriptor


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int, *, shared: bool) -> None:
        """Windows locks a byte far behind the text, and knows no shared locks: shards run one after another."""
        os.lseek(descriptor, 1 << 20, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        os.lseek(descriptor, 0, os.SEEK_SET)

else:
    import fcntl

    def _lock(descriptor: int, *, shared: bool) -> None:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
