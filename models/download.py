"""Official weights, fetched once and checked before anything reads them.

The file grows as `<name>.part` in the cache folder and gets its name only when both hashes are
right. `<name>.verified` remembers that a file of this size and time was checked, so that later
starts need not read gigabytes. Downloads of one file take turns by `<name>.lock`.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import uuid
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, NamedTuple

from .errors import ChecksumError, DownloadError
from .transfer import Progress, Unreachable, transfer
from .variants import Variant

_CHUNK = 1 << 20


class Hashes(NamedTuple):
    """Hex digests of a file."""

    sha256: str
    md5: str


def hash_file(path: Path) -> Hashes:
    """SHA-256 and MD5 of a file, in one reading."""
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            sha256.update(chunk)
            md5.update(chunk)
    return Hashes(sha256.hexdigest(), md5.hexdigest())


def fetch(variant: Variant, cache_dir: Path, *, progress: Progress | None = None) -> Path:
    """Return the verified file of `variant` in `cache_dir`, downloading it if it is not there.

    An interrupted download goes on where it stopped. Raises `ChecksumError` when the file (fetched, or
    found in the cache) is not the published one, `DownloadError` when it cannot be fetched or stored.
    """
    path = cache_dir / variant.file_name
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _download(variant, path, progress)
        _check_cached(path, variant)
    except OSError as error:
        raise DownloadError(f"{path}: the weights cannot be stored or read there ({error}).") from error
    return path


def _download(variant: Variant, path: Path, progress: Progress | None) -> None:
    with _turn(path) as part:
        if path.exists():  # another process fetched it while this one waited
            return
        try:
            transfer(variant.url, part, progress)
        except Unreachable as error:
            raise DownloadError(
                f"{variant.title} could not be downloaded from {variant.url}: {error}. "
                f"You can put the file at {path} by hand. The model vit_t needs no download."
            ) from error
        _check_part(part, variant)
        os.replace(part, path)
        _remember(path, variant)


@contextmanager
def _turn(path: Path) -> Generator[Path]:
    """Wait until no other process downloads `path`; give the part file to write.

    The system drops a lock when its process ends, so none is ever stale. Where there are no locks (Windows,
    some network disks) the part is this process's own, and is not kept for resuming.
    """
    with path.with_name(path.name + ".lock").open("ab") as lock:
        if _lock(lock):
            yield path.with_name(path.name + ".part")
            return
    own = path.with_name(f"{path.name}.{uuid.uuid4().hex}.part")
    try:
        yield own
    finally:
        own.unlink(missing_ok=True)


def _lock(file: IO[bytes]) -> bool:
    """Wait for the lock on an open file, until it is closed; False where there are no locks."""
    if sys.platform == "win32":
        return False
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX)
    except OSError:
        return False
    return True


def _check_part(part: Path, variant: Variant) -> None:
    difference = _difference(part, variant)
    if difference:
        part.unlink()
        raise ChecksumError(
            f"What {variant.url} gave is not the published file: {difference} It was deleted; run again, "
            f"or put the right file at {part.parent / variant.file_name} by hand."
        )


def _check_cached(path: Path, variant: Variant) -> None:
    if _is_remembered(path, variant):
        return
    difference = _difference(path, variant)
    if difference:
        raise ChecksumError(f"{path} is not the published file: {difference} Delete it and run again.")
    _remember(path, variant)


def _difference(path: Path, variant: Variant) -> str:
    """How a file's hashes differ from the published ones; empty when they do not."""
    found = hash_file(path)
    if found.sha256 != variant.sha256:
        return f"SHA-256 is {found.sha256}, expected {variant.sha256}."
    if variant.md5_prefix is not None and not found.md5.startswith(variant.md5_prefix):
        return f"MD5 is {found.md5}, expected it to begin with {variant.md5_prefix}."
    return ""


def _remember(path: Path, variant: Variant) -> None:
    with suppress(OSError):  # a cache that cannot be written is checked at every start instead
        _note_of(path).write_text(json.dumps(_note(path, variant)))


def _is_remembered(path: Path, variant: Variant) -> bool:
    try:
        return json.loads(_note_of(path).read_text()) == _note(path, variant)
    except (OSError, ValueError):
        return False


def _note_of(path: Path) -> Path:
    return path.with_name(path.name + ".verified")


def _note(path: Path, variant: Variant) -> dict[str, object]:
    stat = path.stat()
    return {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns, "sha256": variant.sha256}
