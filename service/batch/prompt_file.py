"""Prompts from files: lists of points and boxes, and the boxes of COCO and YOLO.

Lists say one object a line, in JSON Lines, or CSV with a head line:

    {"image": "sub/a.jpg", "points": [[420, 310], [380, 90]], "labels": [1, 0], "label": "dog"}
    {"image": "b.jpg", "box": [40, 30, 600, 420]}

    image,points,labels,box,label
    sub/a.jpg,420 310;380 90,1;0,,dog
    b.jpg,,,40 30 600 420,

`image` is the photo's name below the folder of photos. Everything is checked before the first photo is opened, but
whether points and boxes lie on their photos, which is seen there.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from ...models.errors import PromptError
from ..prompts import Prompt
from .prompt_coco import load_document, read_instances, read_results
from .prompt_yolo import read_labels
from .questions import Wish, Wishes

_COLUMNS = ("image", "points", "labels", "box", "label")
_IS_ROW = re.compile(rf'\s*\{{\s*"({"|".join(_COLUMNS)})"\s*:')
_Row = tuple[int, dict[str, Any]]


def read_prompts(path: str | Path, known: Collection[str]) -> Wishes:
    """The prompts of a file. `known`: the relative names of the photos there are.

    A file is JSON Lines, CSV, or a COCO document (see `prompt_coco`); a folder holds label files of YOLO (see
    `prompt_yolo`); "instances.json,results.json" are a COCO document, and a detector's results on its images.
    Raises PromptError, naming file and line, for what makes no sense, and for a photo that is not there.
    """
    if Path(path).is_dir():
        return read_labels(Path(path), known)
    first, comma, second = str(path).partition(",")
    if comma and not Path(path).exists():
        instances, results = (load_document(_text(part), part) for part in (first, second))
        return read_results(results, instances, (first, second), known)
    text = _text(path)
    return _read_document(text, str(path), known) if _is_document(text) else _read_rows(text, path, known)


def _is_document(text: str) -> bool:
    start = text.lstrip()[:1]
    return start == "[" or (start == "{" and '"annotations"' in text and not _IS_ROW.match(text))


def _text(path: str | Path) -> str:
    try:
        return Path(path).read_bytes().decode("utf-8-sig", "surrogateescape")
    except OSError as error:
        raise PromptError(f"--prompts {path} cannot be read: {error.strerror}") from None


def _read_document(text: str, file: str, known: Collection[str]) -> Wishes:
    document = load_document(text, file)
    if isinstance(document, list):
        raise PromptError(
            f"{file}: a detector's results do not say what their images are called: give the instances too, "
            f"as --prompts instances.json,{Path(file).name}"
        )
    return read_instances(document, file, known)


def _read_rows(text: str, path: str | Path, known: Collection[str]) -> Wishes:
    is_json = text.lstrip().startswith("{")
    found: dict[str, list[Wish]] = {}
    for number, row in _json_rows(text, path) if is_json else _csv_rows(text, path):
        place = f"{path}, line {number}"
        name, wish = _wish(row, place)
        if name not in known:
            raise PromptError(f"{place}: image: there is no {name!r} among the photos; names are relative to PHOTOS")
        found.setdefault(name, []).append(wish)
    if not found:
        raise PromptError(f"--prompts {path} holds no prompts: expected JSON Lines or CSV, one object a line")
    return Wishes(found)


def _json_rows(text: str, path: str | Path) -> Iterator[_Row]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise PromptError(f"{path}, line {number}: not JSON: {error}") from None
        if not isinstance(row, dict):
            raise PromptError(f"{path}, line {number}: expected an object in braces, got {line[:40]!r}")
        yield number, row


def _csv_rows(text: str, path: str | Path) -> Iterator[_Row]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        columns = reader.fieldnames or ()
        if "image" not in columns:
            raise PromptError(f"{path}, line 1: expected the columns {','.join(_COLUMNS)} (image at least)")
        for row in reader:
            if None in row:
                raise PromptError(f"{path}, line {reader.line_num}: more fields than the {len(columns)} columns")
            yield reader.line_num, _from_csv(row, f"{path}, line {reader.line_num}")
    except csv.Error as error:
        raise PromptError(f"{path}, line {reader.line_num}: not CSV: {error}") from None


def _from_csv(row: dict[str, str | None], place: str) -> dict[str, Any]:
    found: dict[str, Any] = {key: value for key, value in row.items() if value}
    for key in ("points", "labels", "box"):
        if key in found:
            groups = [_numbers(group, f"{place}: {key}") for group in found[key].split(";")]
            found[key] = groups if key == "points" else [number for group in groups for number in group]
    return found


def _numbers(text: str, place: str) -> list[float]:
    try:
        return [float(word) for word in text.replace(",", " ").split()]
    except ValueError:
        raise PromptError(f"{place}: expected numbers, such as 420 310;380 90, got {text!r}") from None


def _wish(row: dict[str, Any], place: str) -> tuple[str, Wish]:
    unknown = [key for key in row if key not in _COLUMNS]
    if unknown:
        raise PromptError(f"{place}: {unknown[0]}: there is no such field; there are {', '.join(_COLUMNS)}")
    name, label = row.get("image"), row.get("label")
    if not isinstance(name, str) or not name:
        raise PromptError(f"{place}: image: expected the name of a photo, got {name!r}")
    if label is not None and not isinstance(label, str):
        raise PromptError(f"{place}: label: expected a text, got {label!r}")
    try:
        prompt = Prompt(row.get("points") or (), row.get("labels"), row.get("box"))
    except PromptError as error:
        raise PromptError(f"{place}: {error}") from None
    return name, Wish(prompt, label or None, place)
