"""Label maps read back: any grey PNG whose values are numbers of objects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import cv2
import numpy as np

from ...models.errors import PromptError
from .. import rle
from ..images import MAX_PIXELS
from .fields import load, mapping, naming_file, real, sequence, text, whole
from .labelmap import KEYWORD, MOST
from .png_text import find_text
from .reading_png import decode_grey
from .result import ObjectResult, Result

Fields = Mapping[str, Any]


def read_labelmap(data: bytes, *, file: str, name: str | None = None, max_pixels: int = MAX_PIXELS) -> Result:
    """The objects of the map, without the picture: what `write_labelmap` wrote, with labels, or each value from 1 up.

    `file`: what messages call the file. `name`: the image's file name, where the map does not have it. Pixels that were
    hidden by smaller objects are gone. Raises PromptError, naming the file, when `data` is no grey PNG of 8 or 16
    bits, or has over `max_pixels`.
    """
    with naming_file(file):
        found = decode_grey(data, max_pixels, "label map")
        said = find_text(data, KEYWORD)
        document = {} if said is None else mapping(load(said.encode(), "label map's"), "its text")
        rows = sequence(document.get("objects", []), "objects")
        if len(rows) > MOST:
            raise PromptError(f"objects: expected at most {MOST}, got {len(rows)}")
        return Result(
            found.shape[1],
            found.shape[0],
            list(_objects(found, rows, is_ours=said is not None)),
            mapping(document.get("provenance", {}), "provenance"),
            name=text(document.get("name", name), "name"),
            orientation=whole(document.get("orientation", 1), "orientation", least=1),
        )


def _objects(found: np.ndarray, rows: list[Any], *, is_ours: bool) -> Iterator[ObjectResult]:
    runs = _runs(found)
    if is_ours and runs and max(runs) > len(rows):
        raise PromptError(f"objects: the map has a number {max(runs)}, its text {len(rows)} objects")
    height, width = found.shape
    none = {"size": [height, width], "counts": rle.compress(np.array([height * width]))}
    for index, value in enumerate(range(1, len(rows) + 1) if is_ours else sorted(runs)):
        row, field = mapping(rows[index], f"objects[{index}]") if is_ours else {}, f"objects[{index}]"
        yield ObjectResult(
            rle.compressed(runs.get(value, none)),
            real(row.get("score"), f"{field}.score"),
            real(row.get("stability"), f"{field}.stability"),
            whole(row.get("index", index), f"{field}.index", least=0),
            text(row.get("label"), f"{field}.label"),
        )


def _runs(found: np.ndarray) -> dict[int, Fields]:
    """Run lengths for each value that there is, all in one go: a mask an object would take as many passes."""
    flat = cv2.transpose(found).ravel()
    starts = np.concatenate(([0], np.flatnonzero(flat[1:] != flat[:-1]) + 1))
    lengths = np.diff(np.concatenate((starts, [flat.size])))
    order = np.argsort(flat[starts], kind="stable")
    values = flat[starts][order]
    firsts = np.flatnonzero(np.concatenate(([True], values[1:] != values[:-1])))
    groups = zip(firsts.tolist(), [*firsts[1:].tolist(), len(values)], strict=True)
    return {
        int(values[first]): _run_lengths(starts[order[first:end]], lengths[order[first:end]], found.shape)
        for first, end in groups
        if values[first]
    }


def _run_lengths(starts: np.ndarray, lengths: np.ndarray, shape: tuple[int, ...]) -> Fields:
    height, width = shape
    ends = starts + lengths
    before = starts - np.concatenate(([0], ends[:-1]))
    counts = np.stack((before, lengths), axis=1).ravel()
    rest = height * width - int(ends[-1])
    return {"size": [height, width], "counts": rle.compress(np.append(counts, rest) if rest else counts)}
