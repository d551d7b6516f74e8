"""One file over HTTPS onto the disk, going on where an earlier attempt stopped.

What arrives is not trusted here: `download` checks it before anything reads it.
"""

from __future__ import annotations

import errno
import http.client
import os
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from .errors import DownloadError

Progress = Callable[[int, int | None], None]
"""Called with bytes done and bytes in all (None when the server does not say)."""

_TIMEOUT = 30.0  # seconds without an answer, or without a byte
_CHUNK = 1 << 18
_MARGIN = 64 << 20  # bytes left free on the disk
_ATTEMPTS = 4
_PAUSE = 1.0  # seconds before another attempt, times its number
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Unreachable(Exception):
    """The file could not be had from the server; the message is the reason, a clause without a stop."""


class _Interrupted(Exception):
    """The connection failed in a way that another attempt may mend."""


class _UselessPart(Exception):
    """What is on the disk cannot be gone on with; begin again."""


def transfer(url: str, part: Path, progress: Progress | None = None) -> None:
    """Fetch `url` into the file `part`, appending to what is there when the server allows it.

    Plain http is taken from this machine alone. Raises `Unreachable` when the server does not give the
    file (what came is kept in `part`), `DownloadError` when the disk is full or cannot be written.
    """
    if not _is_allowed(url):
        raise Unreachable("only https addresses are fetched")
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return _attempt(url, part, progress)
        except _UselessPart:
            part.unlink()
        except _Interrupted as error:
            if attempt == _ATTEMPTS:
                kept = f"{_size(part):,} bytes are kept in {part} and the next run goes on from there"
                raise Unreachable(f"{error}, {_ATTEMPTS} times; {kept}") from error
            time.sleep(_PAUSE * attempt)
    raise Unreachable("the server's answers to requests for a part of the file make no sense")


def _attempt(url: str, part: Path, progress: Progress | None) -> None:
    start = _size(part)
    response = _open(url, start)
    if response is None:
        return
    with response:
        if response.status == 206 and not _goes_on(response.headers, start):
            raise _UselessPart
        if response.status == 200:  # all of it: this server takes no ranges
            start = 0
        _copy(response, part, start, _total(response, start), progress)


def _open(url: str, start: int) -> http.client.HTTPResponse | None:
    """The answer for the bytes from `start` on; None when there are none left."""
    headers = {"User-Agent": "clickmask", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    opener = urllib.request.build_opener(_HttpsRedirects)
    try:
        return opener.open(urllib.request.Request(url, headers=headers), timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and start:
            return _judge_end(error.headers.get("Content-Range"), start)
        answer = f"the server answered {error.code} {error.reason}"
        passing = error.code in (408, 429) or error.code >= 500
        raise (_Interrupted(answer) if passing else Unreachable(answer)) from error
    except urllib.error.URLError as error:
        raise Unreachable(f"the server could not be reached ({error.reason})") from error
    except (OSError, http.client.HTTPException) as error:
        raise _Interrupted(f"the server did not answer ({error or type(error).__name__})") from error


def _judge_end(content_range: str | None, start: int) -> None:
    """No bytes from `start` on: the part is whole, or it is not of this file."""
    if content_range != f"bytes */{start}":
        raise _UselessPart


def _copy(
    response: http.client.HTTPResponse, part: Path, start: int, total: int | None, progress: Progress | None
) -> None:
    """Append the body to `part`; raise `_Interrupted` if it ends early."""
    done = start
    try:
        _check_space(part.parent, None if total is None else total - start)
        with part.open("ab" if start else "wb") as file:
            _report(progress, done, total)
            while chunk := _read(response):
                file.write(chunk)
                done += len(chunk)
                _report(progress, done, total)
            file.flush()
            os.fsync(file.fileno())  # renamed later: a name must not outlive its bytes in a power cut
    except OSError as error:
        raise _storing_failed(part, None if total is None else total - done, error) from error
    if total is not None and done != total:
        raise _Interrupted(f"the connection ended after {done:,} of {total:,} bytes")


def _read(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read(_CHUNK)
    except (OSError, http.client.HTTPException) as error:
        raise _Interrupted(f"the connection broke off ({error or type(error).__name__})") from error


def _report(progress: Progress | None, done: int, total: int | None) -> None:
    if progress is not None:
        progress(done, total)


def _goes_on(headers: http.client.HTTPMessage, start: int) -> bool:
    """Whether a 206 answer begins where the part ends."""
    return (headers.get("Content-Range") or "").startswith(f"bytes {start}-")


def _total(response: http.client.HTTPResponse, start: int) -> int | None:
    """The length of the whole file in bytes, if the server says it."""
    if response.status == 206:
        whole = re.search(r"/(\d+)$", response.headers.get("Content-Range") or "")
        return int(whole[1]) if whole else None
    return None if response.length is None else start + response.length


def _check_space(folder: Path, needed: int | None) -> None:
    free = shutil.disk_usage(folder).free
    if needed is not None and free < needed + _MARGIN:
        raise DownloadError(_full(folder, needed, free))


def _storing_failed(part: Path, needed: int | None, error: OSError) -> DownloadError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DownloadError(_full(part.parent, needed, shutil.disk_usage(part.parent).free))
    return DownloadError(f"{part}: the file cannot be written ({error.strerror or error}).")


def _full(folder: Path, needed: int | None, free: int) -> str:
    wanted = "more bytes" if needed is None else f"{needed:,} more bytes"
    return (
        f"The disk is too full: {wanted} are needed in {folder} (and {_MARGIN:,} to spare), "
        f"{free:,} are free. What came is kept; free some space and run again."
    )


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _is_allowed(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)


class _HttpsRedirects(urllib.request.HTTPRedirectHandler):
    """Follows no redirect from https down to http, nor away to another scheme."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        if not _is_allowed(newurl) or (req.type == "https" and urlsplit(newurl).scheme != "https"):
            fp.close()
            raise Unreachable(f"the server redirects to {newurl}, which is not https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)
