"""What there is in cloud storage: listed page by page, through fsspec."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ....models.errors import ClickmaskError, ImageError
from .cloud_object import CloudObject, filesystem, stamp_of
from .found import STATE, Scan, Trouble
from .names import add_member
from .retrying import retried
from .source import Source

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")  # of two letters at least: C:// is a drive
_MAGIC = re.compile(r"[*?\[]")
_EXTRA = struct.Struct(">qq")
_OURS = STATE.encode()


def is_url(text: str) -> bool:
    """Whether a text says where something is by a URL. Raises ImageError for web addresses, which are not opened."""
    found = _URL.match(text)
    if found and found[0].lower() in ("http://", "https://"):
        raise ImageError(f"{text}: clickmask opens no web addresses: download the photos first")
    return bool(found)


@dataclass(frozen=True, slots=True)
class Bucket:
    """A URL below which objects lie. named: the user named them."""

    url: str
    named: bool = False

    def source(self, name: str, extra: bytes) -> Source:
        """An object."""
        size, mtime_ns = _EXTRA.unpack_from(extra) if extra else (-1, 0)
        tag = extra[_EXTRA.size :].decode()
        where = CloudObject(self.url, name, size, mtime_ns, tag, self.named)
        return Source(name, f"{self.url.rstrip('/')}/{name}", self.named, where)


def scan_cloud(url: str, found: Scan) -> None:
    """All objects below a URL, those that a pattern matches, or the one of that name.

    Raises ImageError, naming the URL, when it cannot be listed or there is nothing; MissingExtraError.
    """
    base, pattern = _split(url)
    matches = _matcher(pattern) if pattern else None
    fs, root = filesystem(base)
    try:
        if not _take(objects(fs, root), Bucket(base), matches, found) and (
            pattern or not _take_one(fs, root, base, found)
        ):
            raise ImageError(
                f"{url}: there is nothing there{', or nothing matches' if pattern else ''}; check the address"
            )
    except ClickmaskError:
        raise
    except Exception as error:  # of libraries that need not be installed
        reason = str(error) or type(error).__name__
        raise ImageError(f"{url} cannot be listed: {reason}; check the address and your credentials for it") from error


def listed_urls(lines: list[str], path: str, found: Scan) -> None:
    """The objects of a list of URLs. Raises ImageError when they lie in several storages."""
    parts = [line.split("/") for line in lines if is_url(line)]
    if len(parts) != len(lines) or len({(*part[:1], *part[2:3]) for part in parts}) != 1:
        raise ImageError(f"{path}: the photos of a list must lie in one place: one bucket, or one disk")
    shortest = min(len(part) for part in parts) - 1
    depth = next((at for at in range(shortest) if len({part[at] for part in parts}) > 1), shortest)
    place = found.sources.place(Bucket("/".join(parts[0][:depth]), named=True))
    for part in parts:
        add_member("/".join(part[depth:]).encode("utf-8", "surrogateescape"), place, b"", found)


def _split(url: str) -> tuple[str, str]:
    """The part without wildcards, and the pattern below it; no pattern where there are none."""
    start = url.index("://") + 3
    magic = _MAGIC.search(url, start)
    if magic is None:
        return url.rstrip("/") if len(url.rstrip("/")) > start else url, ""
    cut = url.rfind("/", start, magic.start())
    if cut < 0:
        raise ImageError(f"{url}: a bucket's name cannot be a pattern")
    return url[:cut], url[cut + 1 :]


def _matcher(pattern: str) -> re.Pattern[str]:
    from fsspec.utils import glob_translate

    return re.compile(glob_translate(pattern))


def _take(
    objects: Iterator[tuple[str, Mapping[str, Any]]], bucket: Bucket, matches: re.Pattern[str] | None, found: Scan
) -> bool:
    """Whether there were any."""
    place = found.sources.place(bucket)
    outputs: set[bytes] = set()
    any_there = False
    for name, info in objects:
        raw = name.encode("utf-8", "surrogateescape")
        parts = raw.split(b"/")
        if _OURS in parts:
            outputs.add(b"\0".join(parts[: parts.index(_OURS)]))
        elif not name.endswith("/") and (matches is None or matches.match(name)):
            any_there = True
            size, mtime_ns, tag = stamp_of(info)
            add_member(raw, place, _EXTRA.pack(size, mtime_ns) + tag.encode(), found)
    for folder in sorted(outputs - {b""}):
        found.sources.drop(folder)
        name = folder.replace(b"\0", b"/").decode("utf-8", "surrogateescape")
        found.skipped.append(Trouble(name, "Output", "an output folder of clickmask batch"))
    return any_there or bool(outputs)


def _take_one(fs: Any, path: str, url: str, found: Scan) -> bool:
    base, _, name = url.rpartition("/")
    try:
        info = retried(lambda: fs.info(path))
    except FileNotFoundError:
        return False
    if info.get("type") != "file":
        return False
    add_member(name.encode("utf-8", "surrogateescape"), found.sources.place(Bucket(base, named=True)), b"", found)
    return True


def objects(fs: Any, root: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Relative names and what is told of them, a page at a time."""
    if hasattr(fs, "call_s3"):
        return _pages_of_s3(fs, root)
    return _folder_by_folder(fs, root)


def _pages_of_s3(fs: Any, root: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """S3 lists all below a prefix, whatever the folders; s3fs itself would hold all of it at once."""
    bucket, prefix, _ = fs.split_path(root)
    prefix = f"{prefix}/" if prefix else ""
    asked = {"Bucket": bucket, "Prefix": prefix, **fs.req_kw}
    while True:
        page = retried(lambda: fs.call_s3("list_objects_v2", **asked))
        for info in page.get("Contents", ()):
            yield info["Key"][len(prefix) :], info
        if not page.get("IsTruncated"):
            return
        asked["ContinuationToken"] = page["NextContinuationToken"]


def _folder_by_folder(fs: Any, root: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    root = root.rstrip("/")
    waiting = [root]
    while waiting:
        folder = waiting.pop()
        try:
            entries = retried(lambda: fs.ls(folder, detail=True))  # noqa: B023
        except (FileNotFoundError, NotADirectoryError):
            continue  # deleted meanwhile, or never there: the caller counts
        for info in entries:
            path = info["name"].rstrip("/")
            if not path.startswith(f"{root}/") or path == folder:
                continue
            if info.get("type") == "directory":
                waiting.append(path)
            else:
                yield info["name"][len(root) + 1 :], info
