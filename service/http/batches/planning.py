"""From a request to what `clickmask batch` would be told, checked before anything is begun; errors name the field."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ....models.errors import ClickmaskError, ImageError, OutputError, PromptError, SettingsError
from ...batch.outlet import Folder
from ...batch.prompt_file import read_prompts
from ...batch.questions import Everything, Question, Whole
from ...batch.run import Batch
from ...batch.settings import Formats
from ...batch.sources import Scan, scan
from ...batch.subject_question import Subject
from ...formats import Options
from ..errors import ApiError
from .schemas import BatchRequest

WAYS = ("everything", "subject", "point", "box", "prompts")
_NOT_FOR_BATCHES = ("point_grids", "floor_score", "floor_stability", "format", "scale", "stream")


@dataclass(frozen=True)
class Place:
    """Where photos come from and results go. hide: takes out of a message where that is."""

    photos: Path
    out: Path
    hide: Callable[[str], str]


def plan(request: BatchRequest, place: Place, prompts: Path) -> Batch:
    """What is to be run. Waits for the disk. prompts: where the text of the prompts may lie meanwhile.

    Raises ApiError 422.
    """
    way_of(request)
    formats, out = _formats(request), Folder(place.out)
    try:
        out.check()
    except OutputError as error:
        raise _wrong("out", place.hide(str(error))) from None
    try:
        found = scan_photos(place)
    except ImageError as error:
        raise _wrong("photos", place.hide(str(error))) from None
    question = _question(request, found, prompts)
    return Batch(found, question, formats, out, verify=request.verify, restart=request.restart)


def scan_photos(place: Place) -> Scan:
    """The photos there are now. Links are not followed: they might lead anywhere."""
    found = scan(str(place.photos), place.out)
    found.sources.keep(lambda source: not Path(source.path).is_symlink())
    return found


def way_of(request: BatchRequest) -> str:
    """Which of the ways to say what to look for. Raises ApiError 422."""
    ways = [name for name in WAYS if getattr(request, name) is not None]
    if len(ways) != 1:
        given = " and ".join(ways) if ways else "none"
        raise _wrong(ways[1] if ways else "everything", f"expected one of {', '.join(WAYS)}, got {given}")
    return ways[0]


def _formats(request: BatchRequest) -> Formats:
    options = Options(request.pad, request.feather, request.polygons or None, request.tolerance)
    try:
        return Formats(tuple(dict.fromkeys(request.formats)), options)
    except OutputError as error:
        raise _wrong("formats", str(error)) from None


def _question(request: BatchRequest, found: Scan, prompts: Path) -> Question:
    if request.prompts is not None:
        return _wishes(request.prompts, found, prompts)
    if request.everything is not None:
        return _everything(request.everything.model_dump(exclude_unset=True))
    if request.subject is not None:
        return Subject(request.subject.min_confidence)
    whole = request.point or request.box
    assert whole is not None
    return Whole(whole)


def _everything(options: dict[str, Any]) -> Question:
    unfit = [name for name in _NOT_FOR_BATCHES if name in options]
    if unfit:
        raise _wrong(f"everything.{unfit[0]}", "not for batches")
    try:
        return Everything(options)
    except SettingsError as error:
        name = str(error).partition(":")[0]
        raise _wrong(f"everything.{name}" if name in options else "everything", str(error)) from None


def _wishes(text: str, found: Scan, path: Path) -> Question:
    try:
        path.write_bytes(text.encode())
        return read_prompts(path, {source.name for source in found.sources})
    except PromptError as error:
        message = str(error).replace(f"--prompts {path}", "the text").replace(f"{path}, ", "").replace(str(path), "")
        raise _wrong("prompts", message) from None
    except UnicodeEncodeError:
        raise _wrong("prompts", "expected a text") from None
    finally:
        path.unlink(missing_ok=True)


def explain(error: BaseException, place: Place) -> str | None:
    """Why a run ended, in words for its caller; None for what only the log may tell."""
    return re.sub(r" \(process [^)]*\)", "", place.hide(str(error))) if isinstance(error, ClickmaskError) else None


def _wrong(field: str, message: str) -> ApiError:
    return ApiError(422, "bad_request", f"{field}: {message}", field=field)
