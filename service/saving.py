"""Masks to files, from Python, in any format: one call for masks of clickmask's and for plain arrays."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..models.errors import OutputError
from .files import guard_output, write_atomic
from .formats import FORMATS, Options, check_options, count_losses, format_for, write, write_files
from .formats.loss import Loss
from .formats.result import ObjectResult, Result
from .images import Picture, read_picture
from .masks import BaseMask


def save_masks(
    path: str | os.PathLike[str],
    masks: Sequence[BaseMask | np.ndarray],
    labels: Sequence[str | None] | None = None,
    *,
    image: object = None,
    format: str | None = None,
    pad: int = 0,
    feather: float = 0.0,
    polygons: bool | None = None,
    tolerance: float = 0.0,
    classes: Sequence[str] = (),
    soft: bool = False,
) -> list[Loss]:
    """Write the masks of one image, and tell what the format could not keep of them.

    Args:
        path: a file, which shows all masks together; or, with `format`, a folder (a new one's name has no extension)
            for all files of that format, named after the image: one a mask of "png" and "cutout", of "amg" a folder.
        masks: masks of one image, or arrays (H, W) bool.
        labels: one for each mask, None for those without.
        image: the photo, whatever `Segmenter.open` takes; not needed for masks that come with it.
        format: as of `Mask.save`; where the extension does not say enough.
        pad, feather, soft: of cut-outs, see `cutouts.cutout`. polygons, tolerance: outlines, and pixels they may be
            simpler by. classes: the names that yolo's numbers stand for, in their order; else the labels, sorted.

    Raises:
        OutputError: an unknown extension or format, masks that do not fit the image or one another, a path that cannot
            be written or is the image's own. ImageError: the image cannot be read.
    """
    if isinstance(image, str | os.PathLike):
        guard_output(path, [image])
    result = _result(masks, labels, image)
    options = Options(pad, feather, polygons, tolerance, tuple(classes), soft)
    if format is not None and format in FORMATS and (os.path.isdir(path) or not Path(path).suffix):
        check_options(format, options)
        for file in write_files(result, [format], options):
            write_atomic(Path(path) / file.name, file.data)
        return count_losses(result, format, options)
    write_atomic(path, write(result, path, format, options))
    return count_losses(result, format_for(path, format), options)


def to_objects(
    masks: Sequence[BaseMask | np.ndarray], labels: Sequence[str | None] | None = None
) -> list[ObjectResult]:
    """The masks as writers take them. Raises OutputError when there are not as many labels."""
    names = [None] * len(masks) if labels is None else labels
    if len(names) != len(masks):
        raise OutputError(f"labels: expected one for each of the {len(masks)} masks, got {len(names)}")
    return [_object(mask, number, label) for number, (mask, label) in enumerate(zip(masks, names, strict=True))]


def _object(mask: BaseMask | np.ndarray, number: int, label: str | None) -> ObjectResult:
    if isinstance(mask, BaseMask):
        asked = mask.prompt.describe()
        return ObjectResult(mask.rle(), mask.score, mask.stability, number, label, asked, mask.frame.window)
    pixels = np.asarray(mask)
    if pixels.ndim != 2 or pixels.dtype != bool:
        raise OutputError(f"masks[{number}]: expected (H, W) bool, got {pixels.shape} {pixels.dtype}")
    return ObjectResult(pixels, index=number, label=label)


def _result(masks: Sequence[BaseMask | np.ndarray], labels: Sequence[str | None] | None, image: object) -> Result:
    objects = to_objects(masks, labels)
    first = next((mask for mask in masks if isinstance(mask, BaseMask)), None)
    provenance: Mapping[str, Any] = {} if first is None else first.provenance
    picture = _picture(image, first)
    if picture is not None:
        return Result.of(picture, objects, provenance)
    if not objects:
        raise OutputError("masks: there are none, and no image says how large they would be: give image=")
    height, width = objects[0].mask.shape
    return Result(width, height, objects, provenance)


def _picture(image: object, first: BaseMask | None) -> Picture | None:
    if image is not None:
        return read_picture(image)
    return None if first is None else first.source.picture
