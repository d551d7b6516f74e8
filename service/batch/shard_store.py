"""Output shards as they lie on the disk: what is in each, whether it is whole, and how a new one takes its place.

A shard's files are first written whole into a folder for staging; then a row of the state folder says what they are,
and whose results are in them; then they are moved. Whoever comes after a crash finds the row, and moves them.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path

from ..files import write_atomic
from ..shards.index import INDEX
from .sources import STATE
from .spool import FOLDER as SPOOLS
from .spool import read_entry, shard_at

SHARDS = "shards"
_ROWS, _STAGED = f"{STATE}/shards", f"{STATE}/staged"


@dataclass(frozen=True)
class ShardRow:
    """A shard that was written.

    files: name in the folder of shards, bytes and SHA-256 of each, the Parquet file first. members: SHA-256 of the
    payload of each photo in it, in their order. first, last: these photos' names. labels: how many objects have each.
    """

    number: int
    files: tuple[tuple[str, int, str], ...]
    members: tuple[str, ...]
    first: str | None = None
    last: str | None = None
    objects: int = 0
    labels: dict[str, int] = field(default_factory=dict)

    @cached_property
    def places(self) -> dict[str, int]:
        """Payload's SHA-256 -> the photo's number in the shard."""
        return {digest: number for number, digest in enumerate(self.members)}


def holds(out: Path, place: str, size: int, digest: str, *, verify: bool = False) -> bool:
    """Whether a photo's payload is there: in its spool, or in its shard, which is looked at or (verify) read."""
    if read_entry(out, place, size, digest) is not None:
        return True
    row = read_row(out, shard_at(place))
    return row is not None and digest in row.places and are_whole(out, row.files[:1], verify=verify)


def read_row(out: Path, number: int) -> ShardRow | None:
    """What was written down about a shard; None where there is nothing that can be read."""
    path = _row_path(out, number)
    try:
        now = path.stat()
        return _load(path, now.st_mtime_ns, now.st_size, now.st_ino)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def are_whole(out: Path, files: Iterable[tuple[str, int, str]], *, verify: bool = False) -> bool:
    """Whether files of shards are there, by their sizes or (verify) by what is in them."""
    try:
        return all(_is_whole(out / SHARDS / name, size, digest, verify=verify) for name, size, digest in files)
    except OSError:
        return False


def staged(out: Path, name: str) -> Path:
    """Where a shard's new file is written."""
    return out / _STAGED / name


def commit(out: Path, row: ShardRow) -> None:
    """Have the staged files take their place; the index, which tells of others, goes. Raises OutputError, OSError."""
    remove_index(out)
    write_atomic(_row_path(out, row.number), json.dumps(asdict(row)).encode() + b"\n")
    for name, _, _ in row.files:
        _move(out, name)


def recover(out: Path) -> None:
    """Finish what a crash left between staging and moving; what was not written to its end is deleted."""
    for path in sorted((out / _STAGED).glob("*")):
        row = read_row(out, int(path.name[:5]))
        if row is not None and (path.name, path.stat().st_size, _sha256(path)) in row.files:
            _move(out, path.name)
        else:
            path.unlink()


def remove_shard(out: Path, number: int) -> None:
    """Delete a shard's files, its row, and what was spooled for it."""
    row = read_row(out, number)
    for name, _, _ in row.files if row else ():
        (out / SHARDS / name).unlink(missing_ok=True)
    _row_path(out, number).unlink(missing_ok=True)
    for path in spools_of(out, number):
        path.unlink(missing_ok=True)


def remove_all(out: Path) -> None:
    """Delete all shards and their index."""
    remove_index(out)
    for number in numbers(out):
        remove_shard(out, number)
    with suppress(OSError):  # it is not there, or holds something of others
        (out / SHARDS).rmdir()


def remove_index(out: Path) -> None:
    """Delete the index, which is there only when all shards are as it says."""
    (out / SHARDS / INDEX).unlink(missing_ok=True)


def numbers(out: Path) -> list[int]:
    """The numbers of all shards that were written."""
    return sorted(int(path.stem) for path in (out / _ROWS).glob("[0-9]*.json"))


def spools_of(out: Path, number: int) -> list[Path]:
    """The spool files, of all runs, of a shard."""
    return sorted((out / SPOOLS).glob(f"{number:05}*.bin"))


def _row_path(out: Path, number: int) -> Path:
    return out / _ROWS / f"{number:05}.json"


@lru_cache(maxsize=4)
def _load(path: Path, mtime_ns: int, size: int, inode: int) -> ShardRow:
    values = json.loads(path.read_bytes())
    files = tuple((str(name), int(size), str(digest)) for name, size, digest in values.pop("files"))
    return ShardRow(**{**values, "files": files, "members": tuple(values["members"])})


def _is_whole(path: Path, size: int, digest: str, *, verify: bool) -> bool:
    now = path.stat()
    if now.st_size != size:
        return False
    return not verify or _known_sha256(path, now.st_mtime_ns, now.st_size, now.st_ino) == digest


@lru_cache(maxsize=4)
def _known_sha256(path: Path, mtime_ns: int, size: int, inode: int) -> str:
    """It is asked for each photo of a shard."""
    return _sha256(path)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _move(out: Path, name: str) -> None:
    (out / SHARDS).mkdir(parents=True, exist_ok=True)
    os.replace(staged(out, name), out / SHARDS / name)
