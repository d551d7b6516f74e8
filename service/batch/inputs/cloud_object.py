"""A photo in cloud storage, fetched through fsspec; whose keys and tokens open the door is fsspec's business."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, BinaryIO

from ....models.errors import ImageError, MissingExtraError
from .inflating import MOST_BYTES
from .names import looks_like_photo
from .retrying import retried
from .source import Stamp, Where

_TAGS = ("ETag", "etag", "generation")
_TIMES = ("LastModified", "last_modified", "updated", "modified", "mtime", "created")


def filesystem(url: str) -> tuple[Any, str]:
    """fsspec's file system for a URL, and the path in it; fsspec keeps one a thread.

    Raises MissingExtraError when what it takes is not installed, ImageError when there is no such kind of storage.
    """
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise MissingExtraError(f"{url} needs fsspec: pip install 'clickmask[cloud]'") from None
    try:
        fs, path = url_to_fs(url, use_listings_cache=False, **_own_patience(url))
    except ImportError as error:
        raise MissingExtraError(f"{url}: {error} (s3:// comes with pip install 'clickmask[cloud]')") from None
    except ValueError as error:
        raise ImageError(f"{url}: {error}; such as s3://bucket/photos is expected") from None
    if hasattr(fs, "call_s3"):
        fs.retries = 1
    return fs, path


def _own_patience(url: str) -> dict[str, Any]:
    """Options by which S3's libraries do not try again by themselves, unless the user asked them to: each of our tries
    would be 25 of theirs.
    """
    from fsspec.config import conf

    if not url.startswith(("s3://", "s3a://")):
        return {}
    given = {**conf.get("s3", {}), **conf.get("s3a", {})}.get("config_kwargs", {})
    return {"config_kwargs": {"retries": {"total_max_attempts": 1}, **given}}


@dataclass(frozen=True, slots=True)
class CloudObject(Where):
    """An object below `base`, a URL. size: bytes, -1 where it was not listed. tag: its ETag, or nothing. named: the
    user named it.
    """

    base: str
    name: str
    size: int = -1
    mtime_ns: int = 0
    tag: str = ""
    named: bool = False

    def open(self) -> BinaryIO:
        """The content: of what is called a photo all at once, else as it is asked for. Raises what fsspec raises."""
        reader = Ranges(self)
        if self.named or looks_like_photo(self.name):
            with reader:
                return io.BytesIO(reader.read())
        return reader  # pyright: ignore[reportReturnType]

    def stamp(self) -> Stamp:
        """As it was listed; else the storage is asked."""
        if self.size >= 0:
            return Stamp(self.size, self.mtime_ns, self.tag)
        fs, path = self.place()
        return stamp_of(retried(lambda: fs.info(path)))

    def place(self) -> tuple[Any, str]:
        """The file system, and the path in it."""
        fs, root = filesystem(self.base)
        return fs, f"{root.rstrip('/')}/{self.name}"


class Ranges(io.BufferedIOBase):
    """An object read piece by piece, each a request; within MOST_BYTES, which is seen to before anything is fetched."""

    def __init__(self, what: CloudObject) -> None:
        self._what, self._at, self._size = what, 0, what.size
        self._fs, self._path = what.place()

    def readable(self) -> bool:
        """It is."""
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        """So many bytes, or the rest. Raises ImageError when that is too much, and what fsspec raises."""
        if self._at == self._size:
            return b""
        rest = size is None or size < 0
        if rest and self._size > MOST_BYTES:
            raise self._too_large(self._size)
        end = MOST_BYTES + 1 if rest or size is None else self._at + size
        data = retried(lambda: self._fs.cat_file(self._path, start=self._at, end=end))
        self._at += len(data)
        if self._at > MOST_BYTES:
            raise self._too_large(self._at)
        return data

    def _too_large(self, size: int) -> ImageError:
        return ImageError(
            f"{self._path} has {size:,} bytes or more, more than the limit of {MOST_BYTES:,} for a cloud photo"
        )


def stamp_of(info: Mapping[str, Any]) -> Stamp:
    """Size, time and tag from what fsspec, or S3 itself, tells of an object."""
    size = info.get("size", info.get("Size"))
    tag = next((str(info[key]).strip('"') for key in _TAGS if info.get(key)), "")
    time = next((info[key] for key in _TIMES if info.get(key)), None)
    return Stamp(0 if size is None else int(size), _nanoseconds(time), tag)


def _nanoseconds(time: object) -> int:
    if isinstance(time, str):
        try:
            time = datetime.fromisoformat(time)
        except ValueError:
            return 0
    if isinstance(time, datetime):
        time = time if time.tzinfo else time.replace(tzinfo=UTC)
        return int(time.timestamp()) * 10**9 + time.microsecond * 1000
    return int(time * 10**9) if isinstance(time, int | float) else 0
