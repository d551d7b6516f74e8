"""Finished objects as files: what the writers of `formats` make of them, one file or a zip."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from ...models.errors import OutputError, PromptError
from .. import rle
from ..formats import File, Options, count_files, write_files
from ..formats.names import file_name
from ..formats.result import ObjectResult, Result
from ..images import Picture
from .errors import ApiError
from .export_room import room_for
from .schemas import ExportObject, ExportRequest

_MEDIA_TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".json": "application/json", ".zip": "application/zip"}
_MEDIA_TYPES |= {".geojson": "application/geo+json", ".csv": "text/csv; charset=utf-8"}
_MEDIA_TYPES |= {".txt": "text/plain; charset=utf-8"}
_TEXTS = (".json", ".geojson", ".csv", ".txt")


@dataclass(frozen=True, eq=False)
class Export:
    """Objects whose run lengths are well-formed and fit the image, to be written as was asked.

    `room`: bytes that `write` may take.
    """

    result: Result
    formats: Sequence[str]
    options: Options
    room: int

    def write(self) -> File:
        """The file, or the zip of several. Raises ApiError 422 naming the format that cannot be written."""
        files = write_files(self.result, self.formats, self.options)
        try:
            several = count_files(self.result, self.formats) > 1
            return _zip(self.result.name, files) if several else next(files)
        except (OutputError, PromptError) as error:
            raise ApiError(422, "bad_request", str(error), field="objects") from None


def prepare(picture: Picture, request: ExportRequest, provenance: Mapping[str, Any]) -> Export:
    """What is to be exported. Raises ApiError 422 naming the field."""
    objects = [_object(item, number, picture.size) for number, item in enumerate(request.objects)]
    result = replace(Result.of(picture, objects, provenance), name=request.name)
    options = Options(request.pad, request.feather, request.polygons, request.tolerance, tuple(request.classes))
    formats = tuple(dict.fromkeys(request.formats))
    return Export(result, formats, options, room_for(result, formats, options))


def headers_of(file: File) -> dict[str, str]:
    """Kind, and the name to save it under: for programs of today, and in ASCII for all others."""
    plain = "".join(letter if letter.isascii() and letter not in '"%' else "_" for letter in file.name)
    named = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(file.name, safe='')}"
    short = f'attachment; filename="{plain}"'
    kind = _MEDIA_TYPES[os.path.splitext(file.name)[1]]
    return {"Content-Type": kind, "Content-Disposition": short if plain == file.name else named}


def _object(item: ExportObject, number: int, size: tuple[int, int]) -> ObjectResult:
    field = f"objects[{number}]"
    try:
        runs = rle.compressed(item.rle.model_dump(), size=size)
    except PromptError as error:
        raise ApiError(422, "bad_prompt", f"{field}.{error}", field=f"{field}.rle") from None
    prompt = None if item.prompt is None else item.prompt.model_dump()
    return ObjectResult(runs, item.score, item.stability, number, item.label, prompt)


def _zip(picture: str | None, files: Iterable[File]) -> File:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for file in files:
            info = zipfile.ZipInfo(file.name)  # without the time of day: equal objects give equal bytes
            info.compress_type = zipfile.ZIP_DEFLATED if file.name.endswith(_TEXTS) else zipfile.ZIP_STORED
            archive.writestr(info, file.data)
    return File(file_name(picture, "" if picture else "export", ".zip"), out.getvalue())
