"""The server's secret: 32 random bytes in a file, made once, with which ids and cookies are signed."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import stat
import tempfile
from pathlib import Path

from platformdirs import user_state_path

from ...models.errors import SettingsError

_SIZE = 32  # bytes


def load_secret(folder: Path | None = None) -> bytes:
    """The secret of `<folder>/secret` (None: the user's state folder), made first if there is none.

    Processes that start at the same time get the same one.

    Raises:
        SettingsError: the file is damaged, other users can read it, or it can be neither read nor made.
    """
    file = state_folder(folder) / "secret"
    try:
        if not file.exists():
            _make(file)
        return _read(file)
    except OSError as error:
        raise SettingsError(
            f"{file}: the server's secret can be neither read nor made ({error.strerror}); "
            "name a folder that this user may write with --state-dir"
        ) from error


def sign(secret: bytes, *parts: str | bytes) -> bytes:
    """A digest (32 bytes, HMAC-SHA256) of the parts in their order; text counts as its UTF-8.

    Each part goes in with its length before it, so that ("ab", "c") and ("a", "bc") differ.
    """
    digest = hmac.new(secret, digestmod=hashlib.sha256)
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big"))
        digest.update(data)
    return digest.digest()


def state_folder(folder: Path | None = None) -> Path:
    """Where a server keeps what outlives it: the folder that was named, else the user's state folder."""
    return _state_folder() if folder is None else folder.expanduser()


def _state_folder() -> Path:
    """The user's state folder; one of the user's own under the temporary folder where there is no home."""
    try:
        folder = user_state_path("clickmask")
    except RuntimeError:  # platformdirs' word for "no home"; its older releases answer "~/..." instead
        folder = Path("~")
    return folder if folder.is_absolute() else _temporary_folder()


def _temporary_folder() -> Path:
    # Anybody may write in the temporary folder, so another user may have been there first.
    user = os.getuid() if os.name == "posix" else 0
    folder = Path(tempfile.gettempdir()) / f"clickmask-state-{user}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if os.name == "posix" and (not stat.S_ISDIR(found.st_mode) or found.st_uid != user or found.st_mode & 0o077):
        raise SettingsError(
            f"{folder}: expected a folder that only this user can open; remove it, or name another with --state-dir"
        )
    return folder


def _make(file: Path) -> None:
    """Make the file whole or not at all: it is written under another name, and linked unless one is there by now."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(prefix=".secret-", dir=file.parent)  # readable by this user alone
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(secrets.token_bytes(_SIZE))
            stream.flush()
            os.fsync(stream.fileno())
        os.link(draft, file)
    except FileExistsError:
        pass  # another process was quicker: its secret is ours too
    finally:
        os.unlink(draft)


def _read(file: Path) -> bytes:
    with file.open("rb") as stream:
        mode = os.fstat(stream.fileno()).st_mode
        data = stream.read(_SIZE + 1)
    if os.name == "posix" and mode & 0o077:
        raise SettingsError(
            f"{file}: other users can read the server's secret (mode {stat.S_IMODE(mode):04o}); "
            f"remove the file, and a new one is made; if nobody else had access: chmod 600 '{file}'"
        )
    if len(data) != _SIZE:
        raise SettingsError(
            f"{file}: expected the server's secret, {_SIZE} bytes, got {'more' if len(data) > _SIZE else len(data)}; "
            "remove the file, and a new one is made"
        )
    return data
