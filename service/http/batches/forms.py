"""Uploads of many photos: a form whose files go to the disk as they arrive, never all into memory."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterable, Callable
from pathlib import Path
from typing import IO

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from ...batch.sources import STATE
from ...formats.names import is_file_name
from ..errors import ApiError

PHOTOS, REQUEST = "photos", "request"  # the fields of the form
_PIECE = 1 << 20  # bytes that are handed to the disk at a time
_LONGEST_HEAD, _LONGEST_TEXT = 8 << 10, 12 << 20
_MOST_DEEP = 16
_FULL = {errno.ENOSPC, errno.EDQUOT}


async def receive(
    parts: AsyncIterable[bytes], content_type: str, folder: Path, most: int, on_bytes: Callable[[int], object]
) -> bytes:
    """Put a form's photos into a folder, under their names; what it says as `request` is returned.

    most: photos. on_bytes: told how many arrived, each time some did; what it raises ends the upload.
    Raises ApiError: 400 no form, 413 too many, 415 another kind of body, 422 a name that is none, 503 the disk is full.
    """
    form = _Form(_boundary(content_type), folder, most)
    waiting = bytearray()
    try:
        async for part in parts:
            on_bytes(len(part))
            waiting += part
            if len(waiting) >= _PIECE:
                data, waiting = bytes(waiting), bytearray()
                await asyncio.to_thread(form.feed, data)
        await asyncio.to_thread(form.feed, bytes(waiting))
        return form.finish()
    finally:
        form.close()


def _boundary(content_type: str) -> bytes:
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data":
        raise ApiError(415, "bad_request", "expected application/json or multipart/form-data", field="Content-Type")
    if not options.get(b"boundary"):
        raise ApiError(400, "bad_form", "the form cannot be read: its type names no boundary")
    return options[b"boundary"]


class _Form:
    """The parts of a form, as the parser comes to them."""

    def __init__(self, boundary: bytes, folder: Path, most: int) -> None:
        self._folder, self._most = folder, most
        self._count, self._is_whole = 0, False
        self._text: bytearray | None = None
        self._file: IO[bytes] | None = None
        self._head, self._name, self._value = dict[bytes, bytes](), b"", b""
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin,
                    "on_header_field": self._on_name,
                    "on_header_value": self._on_value,
                    "on_header_end": self._on_header,
                    "on_headers_finished": self._on_head,
                    "on_part_data": self._on_data,
                    "on_part_end": self._end,
                    "on_end": self._on_end,
                },
            )
        except FormParserError:
            raise _damaged() from None

    def feed(self, data: bytes) -> None:
        """The next bytes. Raises ApiError."""
        try:
            self._parser.write(data)
        except FormParserError:
            raise _damaged() from None
        except OSError as error:
            if error.errno in _FULL:
                raise ApiError(503, "no_room", "the server's disk is full", retry_after=60) from error
            raise

    def finish(self) -> bytes:
        """What was said as `request`. Raises ApiError where something is missing."""
        if not self._is_whole:
            raise _damaged()
        if self._text is None:
            raise ApiError(422, "bad_request", f"{REQUEST}: expected JSON in the form", field=REQUEST)
        if not self._count:
            raise ApiError(422, "bad_request", f"{PHOTOS}: expected at least one file in the form", field=PHOTOS)
        return bytes(self._text)

    def close(self) -> None:
        """Let go of a file that is not whole."""
        if self._file is not None:
            self._file.close()

    def _begin(self) -> None:
        self._head, self._name, self._value = {}, b"", b""

    def _on_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]
        self._check_head()

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]
        self._check_head()

    def _check_head(self) -> None:
        if len(self._name) + len(self._value) > _LONGEST_HEAD or len(self._head) > 16:
            raise _damaged()

    def _on_header(self) -> None:
        self._head[self._name.lower()] = self._value
        self._name = self._value = b""

    def _on_head(self) -> None:
        _, options = parse_options_header(self._head.get(b"content-disposition", b""))
        field = options.get(b"name", b"").decode(errors="replace")
        if field == PHOTOS and b"filename" in options:
            self._open(options[b"filename"])
        elif field == REQUEST and b"filename" not in options and self._text is None:
            self._text = bytearray()
        else:
            message = f"expected files called {PHOTOS}, and one text called {REQUEST}"
            raise ApiError(422, "bad_request", message, field=field[:60] or None)

    def _open(self, raw: bytes) -> None:
        field = f"{PHOTOS}[{self._count}]"
        self._count += 1
        if self._count > self._most:
            raise ApiError(413, "too_many", f"{PHOTOS}: at most {self._most} in an upload", field=PHOTOS)
        path = self._folder.joinpath(*_parts_of(raw, field))
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
        except OSError as error:
            if error.errno in _FULL:
                raise
            message = f"{field}: there is another photo of this name, or the name is none for this system"
            raise ApiError(422, "bad_request", message, field=field) from None
        self._file = os.fdopen(handle, "wb")

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        if self._file is not None:
            self._file.write(data[start:end])
        elif self._text is not None:
            self._text += data[start:end]
            if len(self._text) > _LONGEST_TEXT:
                raise ApiError(413, "body_too_large", f"{REQUEST}: expected at most {_LONGEST_TEXT} bytes")

    def _end(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _on_end(self) -> None:
        self._is_whole = True


def _parts_of(raw: bytes, field: str) -> list[str]:
    """The folders, and the name, that a photo is to have. Raises ApiError 422."""
    try:
        parts = raw.decode().split("/")
    except UnicodeDecodeError:
        parts = []
    if not 0 < len(parts) <= _MOST_DEEP or not all(is_file_name(part) and part != STATE for part in parts):
        message = f"{field}: expected the photo's name, in folders with / between, without control characters"
        raise ApiError(422, "bad_request", message, field=field)
    return parts


def _damaged() -> ApiError:
    return ApiError(400, "bad_form", "the form cannot be read: it is damaged")
