"""Where results go. A path within is relative, with "/" between folders; below STATE it is the run's own affairs."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ...models.errors import OutputError, StoppedError
from ..files import write_atomic
from .shard_store import holds
from .sources import STATE
from .spool import is_place

# What is about one file's name or place. Anything else will befall the next file too.
_OF_THE_FILE = {errno.ENAMETOOLONG, errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.EINVAL, errno.EILSEQ, errno.ELOOP}


class Outlet(Protocol):
    """A place for results; small, and picklable, so that processes may each have it."""

    @property
    def title(self) -> str:
        """What messages call it."""
        ...

    @property
    def state(self) -> Path:
        """The folder of journal, lock, status and parts: always of this machine, or mounted there."""
        ...

    @property
    def root(self) -> Path:
        """The folder it is, of this machine or mounted there. Raises SettingsError when it is none."""
        ...

    def check(self) -> None:
        """Raise OutputError when it cannot take results: it is none, or it holds other things."""
        ...

    def write(self, path: str, data: bytes | Iterable[bytes]) -> None:
        """Write a file, whole or not at all. Raises StoppedError where the next file would fare no better, else
        OutputError."""
        ...

    def read(self, path: str) -> bytes:
        """A file's content. Raises OSError."""
        ...

    def remove(self, paths: Iterable[str]) -> None:
        """Delete files, where they are there."""
        ...

    def has(self, path: str, size: int, digest: str, *, verify: bool = False) -> bool:
        """Whether a file is there, of that many bytes and (verify) of that SHA-256; or what waits for its shard."""
        ...

    @property
    def disk(self) -> Path | None:
        """The folder that it is; None when it is none."""
        ...

    def names(self, folder: str) -> list[str]:
        """What lies directly in a folder of it, sorted; nothing where there is no such folder."""
        ...

    def claim(self) -> None:
        """Have it be this run's. Raises OutputError when it is another's."""
        ...

    def refresh(self) -> None:
        """Look anew: other processes may have written since."""
        ...

    def tidy(self) -> None:
        """Delete what a killed run left half written. No other run may be at it."""
        ...

    def prune(self) -> None:
        """Delete empty folders."""
        ...


@dataclass(frozen=True)
class Folder:
    """A folder of this machine, or one that is mounted there."""

    folder: Path

    @property
    def root(self) -> Path:
        """The folder."""
        return self.folder

    @property
    def title(self) -> str:
        """The folder, as it was given."""
        return str(self.root)

    @property
    def state(self) -> Path:
        """In the folder itself."""
        return self.root / STATE

    def check(self) -> None:
        """It must be new, empty, or of an earlier run."""
        if os.path.lexists(self.root) and not self.root.is_dir():
            raise OutputError(f"{self.root} is no folder: choose another OUT")
        try:
            if self.root.is_dir() and not self.state.is_dir() and any(self.root.iterdir()):
                raise OutputError(
                    f"{self.root} holds other files already: choose a new or empty folder, nothing is written over"
                )
        except OSError as error:
            raise OutputError(f"{self.root} cannot be read: {error.strerror}; choose another OUT") from None

    def write(self, path: str, data: bytes | Iterable[bytes]) -> None:
        """By `write_atomic`."""
        try:
            write_atomic(self.root / path, data)
        except OutputError as error:
            cause = error.__context__
            if isinstance(cause, OSError) and cause.errno not in _OF_THE_FILE:
                raise stopped(f"{self.root / path} cannot be written", cause) from error
            raise

    def read(self, path: str) -> bytes:
        """All of it."""
        return (self.root / path).read_bytes()

    def remove(self, paths: Iterable[str]) -> None:
        """What is a folder by now, or not ours to delete, stays: nothing depends on it."""
        for path in paths:
            with suppress(OSError):
                (self.root / path).unlink(missing_ok=True)

    def has(self, path: str, size: int, digest: str, *, verify: bool = False) -> bool:
        """By size, or by reading it."""
        if is_place(path):
            return holds(self.root, path, size, digest, verify=verify)
        try:
            if os.stat(f"{self.folder}/{path}").st_size != size:
                return False
            return not verify or hashlib.sha256(self.read(path)).hexdigest() == digest
        except OSError:
            return False

    @property
    def disk(self) -> Path | None:
        """The folder."""
        return self.folder

    def names(self, folder: str) -> list[str]:
        """Files and folders."""
        try:
            return sorted(os.listdir(self.root / folder))
        except OSError:
            return []

    def claim(self) -> None:
        """Its lock is enough."""

    def refresh(self) -> None:
        """It is always looked at."""

    def tidy(self) -> None:
        """The parts of `write_atomic`."""
        for folder, _, names in os.walk(self.root):
            parts = [name for name in names if name.startswith(".clickmask-") and name.endswith(".part")]
            Folder(Path(folder)).remove(parts)

    def prune(self) -> None:
        """From the innermost out."""
        for folder, _, _ in os.walk(self.root, topdown=False):
            with suppress(OSError):  # it holds something
                os.rmdir(folder)


def stopped(what: str, error: OSError) -> StoppedError:
    """The error of a run that cannot go on."""
    name = errno.errorcode.get(error.errno or 0, "")
    return StoppedError(
        f"{what}: {error.strerror} ({name}); what is done is kept: mend it, then run the same command again"
    )
