"""Cloud storage as a place for results, through fsspec. Journal, lock and parts stay in a folder of this machine.

An object appears whole or not at all. A small one at the top, `.clickmask-batch`, says which state folder the results
belong to; it is written on the condition that there is none, so that two machines never mix their results unseen.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from ...models.errors import OutputError, SettingsError, StoppedError
from .inputs.cloud import objects
from .inputs.cloud_object import filesystem
from .inputs.retrying import retried
from .outlet import Folder
from .sources import STATE

_OWNER = "owner"  # the file in the state folder that says the same as the object at the top

Found = TypeVar("Found")


class Cloud:
    """The objects below a URL. state: the folder of this machine that holds the run's own affairs."""

    def __init__(self, url: str, state: Path) -> None:
        self._url, self._state = url.rstrip("/"), state
        self._sizes: dict[bytes, int] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Without the listing: other processes only write."""
        return {"_url": self._url, "_state": self._state, "_sizes": None}

    @property
    def title(self) -> str:
        """The URL."""
        return self._url

    @property
    def state(self) -> Path:
        """Of this machine, or mounted there."""
        return self._state

    @property
    def root(self) -> Path:
        """There is none."""
        raise SettingsError(f"{self._url}: shards are put together in a folder of this machine: choose one as OUT")

    def check(self) -> None:
        """It must hold nothing, or what belongs to this state folder."""
        marker, own = self._marker(), self._own()
        if marker is not None and marker != own:
            raise OutputError(
                f"{self._url} holds results whose state folder is another: give that as --state, or choose another OUT"
            )
        if marker is None and next(iter(self._do(self._list)), None) is not None:
            raise OutputError(f"{self._url} holds other things already: choose a new or empty place")

    @property
    def disk(self) -> Path | None:
        """None."""
        return None

    def names(self, folder: str) -> list[str]:
        """Objects, and what others have below them."""
        try:
            found = self._do(lambda fs, root: fs.ls(f"{root}/{folder}".rstrip("/"), detail=False))
        except FileNotFoundError:
            return []
        return sorted(name.rstrip("/").rpartition("/")[2] for name in found)

    def claim(self) -> None:
        """Write down whose results these are. Raises OutputError when somebody else has, just now."""
        if self._marker() is None:
            self._state.mkdir(parents=True, exist_ok=True)
            Folder(self._state).write(_OWNER, secrets.token_hex(16).encode())
            try:
                self._do(lambda fs, root: fs.pipe_file(f"{root}/{STATE}", self._own(), mode="create"))
            except FileExistsError:
                raise OutputError(f"{self._url} was taken by another run just now: choose another OUT") from None

    def write(self, path: str, data: bytes | Iterable[bytes]) -> None:
        """In one piece; what comes in pieces is put together on the disk first."""
        if self._is_own(path):
            return Folder(self._state).write(self._inner(path), data)
        if isinstance(data, bytes):
            self._do(lambda fs, root: fs.pipe_file(f"{root}/{path}", data))
            return None
        Folder(self._state).write("upload", data)
        self._do(lambda fs, root: fs.put_file(str(self._state / "upload"), f"{root}/{path}"))
        Folder(self._state).remove(["upload"])
        return None

    def read(self, path: str) -> bytes:
        """All of it."""
        if self._is_own(path):
            return Folder(self._state).read(self._inner(path))
        return self._do(lambda fs, root: fs.cat_file(f"{root}/{path}"))

    def remove(self, paths: Iterable[str]) -> None:
        """One by one."""
        for path in paths:
            if self._is_own(path):
                Folder(self._state).remove([self._inner(path)])
                continue
            try:
                self._do(lambda fs, root: fs.rm_file(f"{root}/{path}"))  # noqa: B023
            except FileNotFoundError:
                continue

    def has(self, path: str, size: int, digest: str, *, verify: bool = False) -> bool:
        """By a listing of everything, made once; or by fetching it."""
        if self._is_own(path):
            return Folder(self._state).has(self._inner(path), size, digest, verify=verify)
        if verify:
            try:
                return hashlib.sha256(self.read(path)).hexdigest() == digest
            except FileNotFoundError:
                return False
        if self._sizes is None:
            self._sizes = {_key(name): _size(info) for name, info in self._do(self._list)}
        return self._sizes.get(_key(path)) == size

    def refresh(self) -> None:
        """Forget the listing."""
        self._sizes = None

    def tidy(self) -> None:
        """Nothing is ever half there; on the disk something may be."""
        Folder(self._state).tidy()

    def prune(self) -> None:
        """There are no folders."""

    def _is_own(self, path: str) -> bool:
        return path.startswith(f"{STATE}/")

    def _inner(self, path: str) -> str:
        return path.removeprefix(f"{STATE}/")

    def _own(self) -> bytes | None:
        try:
            return (self._state / _OWNER).read_bytes()
        except OSError:
            return None

    def _marker(self) -> bytes | None:
        try:
            return self._do(lambda fs, root: fs.cat_file(f"{root}/{STATE}"))
        except FileNotFoundError:
            return None

    def _list(self, fs: Any, root: str) -> Iterable[tuple[str, Any]]:
        return objects(fs, root)

    def _do(self, call: Callable[[Any, str], Found]) -> Found:
        """Again, where it was a bad moment only. What is not there, or is there already, is for the caller."""
        fs, root = filesystem(self._url)
        try:
            return retried(lambda: call(fs, root.rstrip("/")))
        except (FileNotFoundError, FileExistsError):
            raise
        except Exception as error:  # of libraries that need not be installed
            reason = str(error) or type(error).__name__
            raise StoppedError(
                f"{self._url} cannot be used: {reason}; what is done is kept: check address and credentials, then "
                "run the same command again"
            ) from error


def _key(path: str) -> bytes:
    return hashlib.blake2b(path.encode("utf-8", "surrogateescape"), digest_size=8).digest()


def _size(info: Any) -> int:
    return info.get("Size", info.get("size", -1))
