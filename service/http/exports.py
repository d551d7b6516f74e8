"""Finished objects as files: what the writers of `formats` make of them, one file or a zip."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...models.errors import OutputError, PromptError
from .. import rle
from ..formats import DEFAULTS, FORMATS, Options, write
from ..formats.result import ObjectResult, Result
from ..images import Picture
from .errors import ApiError
from .schemas import ExportObject, ExportRequest

_MEDIA_TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".json": "application/json"}


@dataclass(frozen=True, eq=False)
class File:
    """A file to send."""

    name: str
    media_type: str
    data: bytes


def export(picture: Picture, request: ExportRequest, provenance: Mapping[str, Any]) -> File:
    """The objects in the wanted formats. Raises ApiError 422 naming the field."""
    objects = [_object(item, number, picture.size) for number, item in enumerate(request.objects)]
    result = Result.of(picture, objects, provenance)
    files = [_write(result, name, request) for name in dict.fromkeys(request.formats)]
    return files[0] if len(files) == 1 else _zip(files)


def _object(item: ExportObject, number: int, size: tuple[int, int]) -> ObjectResult:
    field = f"objects[{number}]"
    try:
        mask = rle.decode(item.rle.model_dump(), size=size)
    except PromptError as error:
        raise ApiError(422, "bad_prompt", f"{field}.{error}", field=f"{field}.rle") from None
    prompt = None if item.prompt is None else item.prompt.model_dump()
    return ObjectResult(mask, item.score, item.stability, number, item.label, prompt)


def _write(result: Result, name: str, request: ExportRequest) -> File:
    extension = next(iter(FORMATS[name].writers))
    wanted = Options(request.pad, request.feather)
    options = wanted if FORMATS[name].takes else DEFAULTS
    try:
        data = write(result, f"x{extension}", name, options)
    except (OutputError, PromptError) as error:
        raise ApiError(422, "bad_request", f"{name}: {error}", field="objects") from None
    file_name = f"{'objects' if name == 'json' else 'mask' if name == 'png' else name}{extension}"
    return File(file_name, _MEDIA_TYPES[extension], data)


def _zip(files: list[File]) -> File:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            info = zipfile.ZipInfo(file.name)  # without the time of day: equal objects give equal bytes
            info.compress_type = zipfile.ZIP_STORED if file.media_type != "application/json" else zipfile.ZIP_DEFLATED
            archive.writestr(info, file.data)
    return File("export.zip", "application/zip", out.getvalue())
