"""Writing results to disk: whole or not at all, and never over an input."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from ..models.errors import OutputError


def write_atomic(path: str | os.PathLike[str], data: bytes | Iterable[bytes]) -> None:
    """Write `data`, in one or in pieces, so that `path` holds what it held before or all of it, even after a power cut.

    Missing parent folders are made; a symbolic link is followed; the new file's mode obeys the umask. Devices
    and pipes (/dev/null) are written to as they are. Raises OutputError, naming the path and the reason.
    """
    try:
        target = Path(os.path.realpath(path))
        if target.exists() and not target.is_file() and not target.is_dir():
            with target.open("wb") as file:
                file.writelines(_pieces(data))
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        _write_and_rename(target, data)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OutputError(f"{path} cannot be written: {reason}; choose another output path") from None


def _pieces(data: bytes | Iterable[bytes]) -> Iterable[bytes]:
    return [data] if isinstance(data, bytes) else data


def _write_and_rename(target: Path, data: bytes | Iterable[bytes]) -> None:
    # os.open and not tempfile, whose files are private to the user whatever the umask says.
    part = target.with_name(f".clickmask-{secrets.token_hex(8)}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.writelines(_pieces(data))
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def guard_output(path: str | os.PathLike[str], inputs: Iterable[str | os.PathLike[str]]) -> None:
    """Raise OutputError when `path` is one of the `inputs`, by whatever name, link or spelling."""
    for source in inputs:
        if _is_same_file(Path(path), Path(source)):
            raise OutputError(f"{path} is the input itself: choose another output path, inputs are never written over")


def _is_same_file(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:  # one of them does not exist yet
        return os.path.realpath(one) == os.path.realpath(other)
    except ValueError:  # a name that no file can have
        return False
