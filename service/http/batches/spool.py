"""Where uploaded photos, and what comes of them, lie until they are fetched: a folder of this process, gone with it.

Several servers may share a state folder: each holds a lock on its own part, and what nobody holds any more, because its
server was killed, is cleared away at the next start.
"""

from __future__ import annotations

import os
import secrets
import shutil
import time
from contextlib import ExitStack
from pathlib import Path

from ....models.errors import OutputError, SettingsError
from ...batch.lock import locked
from ...batch.shards import Shard

_HELD, _BEGUN = "run-", "new-"
_SURELY_DEAD = 3600.0  # seconds after which a part that was begun and never held is nobody's


class Spool:
    """A folder of folders, one an upload. Everything here waits for the disk: not for the event loop."""

    def __init__(self, folder: Path, most: int) -> None:
        """folder: may be shared. most: bytes of all that lies here."""
        self._shared, self._own, self.most = folder, folder / f"{_HELD}{secrets.token_hex(8)}", most
        self._held = ExitStack()

    def open(self) -> None:
        """Take a part of the folder, and clear away those of servers that are gone. Raises SettingsError."""
        try:
            self._shared.mkdir(mode=0o700, parents=True, exist_ok=True)
            begun = self._own.with_name(self._own.name.replace(_HELD, _BEGUN))
            begun.mkdir(mode=0o700)
            self._held.enter_context(locked(begun, Shard(), begun.name))
            begun.rename(self._own)
            self._clear_others()
        except OSError as error:
            raise SettingsError(
                f"{self._shared}: uploads of batches cannot be kept there ({error.strerror}); name a folder that this "
                "user may write with --state-dir"
            ) from error

    def close(self) -> None:
        """Forget everything."""
        shutil.rmtree(self._own, ignore_errors=True)
        self._held.close()

    def make(self) -> Path:
        """A new folder, with `photos` and `out` in it."""
        made = self._own / secrets.token_hex(8)
        for name in ("photos", "out"):
            (made / name).mkdir(mode=0o700, parents=True)
        return made

    def prompts_path(self) -> Path:
        """Where the text of a request's prompts may lie for a moment."""
        return self._own / f"{secrets.token_hex(8)}.prompts"

    def remove(self, made: Path) -> None:
        """Forget one of them."""
        shutil.rmtree(made, ignore_errors=True)

    def left(self) -> int:
        """Bytes that may still be put here."""
        return self.most - sum(_size(self._own / name) for name in os.listdir(self._own))

    def _clear_others(self) -> None:
        for entry in list(os.scandir(self._shared)):
            path = Path(entry.path)
            if entry.name.startswith(_HELD) and path != self._own:
                try:
                    with locked(path, Shard(), entry.name):
                        shutil.rmtree(path, ignore_errors=True)
                except (OutputError, OSError):
                    continue  # a server that lives
            elif entry.name.startswith(_BEGUN) and time.time() - entry.stat().st_mtime > _SURELY_DEAD:
                shutil.rmtree(path, ignore_errors=True)


def _size(folder: Path) -> int:
    """Bytes of all files in a folder, as far as they are there."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(place, name)).st_size
            except OSError:  # it went meanwhile
                continue
    return total
