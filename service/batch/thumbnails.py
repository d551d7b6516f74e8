"""Small pictures of the few photos that the report may show, made while the photo is at hand; never of all.

They lie in the state folder and are for looking at only: one that is lost, or could not be written, is told as missing.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import time
from collections.abc import Iterable
from contextlib import suppress
from itertools import chain
from pathlib import Path

import cv2
import numpy as np

from ...models.errors import ImageError
from .. import rle
from ..cutouts import overlay
from ..formats.result import ObjectResult, Result
from ..image_headers import read_header
from ..palette import colour
from .lots import KEPT, Lowest, drawn, lot
from .totals import Totals

SIDE = 320  # pixels of the longer side
FOLDER = "thumbnails"
MOST_BYTES = 28_000  # of one: noise is written with less quality
_QUALITIES = (82, 60, 40, 20, 5)
_FINER = 2  # drawn so much larger, and then made smaller, which smooths outlines


class Gallery:
    """A folder of thumbnails, for one thread. A copy of it may go to another process: each makes those it needs.

    names: of the photos to be done. before: what earlier runs did; with its lots and lowest scores this gallery goes
    on by itself.
    """

    def __init__(self, folder: Path, names: Iterable[str], before: Totals) -> None:
        self._folder = folder
        shown = drawn(chain(names, (key[1] for key, _ in before.by_lot)), KEPT)
        self._last_lot = max(map(lot, shown), default=-1)
        self._worst: Lowest[None] = Lowest(KEPT)
        for key, _ in before.worst:
            self._worst.add(key, None)

    def offer(self, name: str, result: Result, photo: np.ndarray, lowest: float | None) -> None:
        """Make a thumbnail of a photo if it is among those to be shown.

        photo: (h, w, 3) uint8 RGB, all of it in any size. lowest: its lowest predicted IoU.
        """
        is_wanted = lot(name) <= self._last_lot
        if lowest is not None and self._worst.admits((lowest, name)):
            self._worst.add((lowest, name), None)
            is_wanted = True
        if is_wanted:
            with suppress(OSError, MemoryError, cv2.error):  # a full disk will say so at the next file that matters
                _write(self._folder / file_name(name), encode(draw(result, photo)))


def file_name(name: str) -> str:
    """What a photo's thumbnail is called."""
    return f"{hashlib.sha256(os.fsencode(name)).hexdigest()[:24]}.jpg"


def find(folders: Iterable[Path], name: str) -> bytes | None:
    """A photo's thumbnail, a whole JPEG, from the first folder that has it; None where it is lost."""
    for folder in folders:
        with suppress(OSError, ImageError):
            data = (folder / file_name(name)).read_bytes()
            if read_header(data, "it").kind == "JPEG" and data.endswith(b"\xff\xd9") and len(data) <= MOST_BYTES:
                return data
    return None


def prune(folder: Path, names: Iterable[str], *, age: float = 0.0) -> None:
    """Delete all thumbnails but those of these photos; none younger than `age` seconds, whose record may yet come."""
    wanted = {file_name(name) for name in names}
    with suppress(OSError):  # it is not there, or not ours to tidy
        for path in list(folder.iterdir()):
            is_old = not age or path.stat().st_mtime < time.time() - age
            if path.name not in wanted and path.suffix == ".jpg" and is_old:
                path.unlink()


def draw(result: Result, pixels: np.ndarray) -> np.ndarray:
    """(h, w, 3) uint8 RGB, at most SIDE pixels a side: the photo, small, with its objects marked.

    pixels: (H, W, 3) uint8 RGB, all of the photo in any size.
    """
    scale = min(1.0, SIDE / max(result.width, result.height))
    width, height = max(1, round(result.width * scale)), max(1, round(result.height * scale))
    finer = _FINER if scale * _FINER <= 1 else 1
    xs, ys = _middles(width * finer, result.width), _middles(height * finer, result.height)
    photo = cv2.resize(pixels, (len(xs), len(ys)), interpolation=cv2.INTER_AREA)
    for item in result.objects:
        photo = overlay(photo, [sampled(item, xs, ys)], [colour(item.index)])
    return photo if finer == 1 else cv2.resize(photo, (width, height), interpolation=cv2.INTER_AREA)


def sampled(item: ObjectResult, xs: np.ndarray, ys: np.ndarray) -> np.ndarray:
    """(len(ys), len(xs)) bool: whether the object has the pixels in columns `xs` and rows `ys`, both rising.

    Of run lengths no mask as large as the image is made.
    """
    if isinstance(item.pixels, np.ndarray):
        return item.pixels[np.ix_(ys, xs)]
    mask = np.zeros((len(ys), len(xs)), bool)
    box = rle.box(item.pixels)
    if box is None:
        return mask
    columns = slice(*np.searchsorted(xs, (box[0], box[2])))
    rows = slice(*np.searchsorted(ys, (box[1], box[3])))
    starts, lengths = rle.spans(item.pixels)
    places = xs[columns, None] * item.pixels["size"][0] + ys[rows]
    before = np.searchsorted(starts, places, side="right") - 1
    mask[rows, columns] = ((before >= 0) & (places < (starts + lengths)[before])).T
    return mask


def encode(pixels: np.ndarray) -> bytes:
    """A JPEG of at most MOST_BYTES of (h, w, 3) uint8 RGB pixels, h and w at most SIDE."""
    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    data = b""
    for quality in _QUALITIES:
        data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
        if len(data) <= MOST_BYTES:
            break
    return data


def _middles(count: int, size: int) -> np.ndarray:
    """(count,) int64: the pixels of `size` in whose places `count` ones lie."""
    return (np.arange(count) * 2 + 1) * size // (2 * count)


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all; not forced onto the disk, which would take longer than it is worth."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".clickmask-{secrets.token_hex(8)}.part")
    try:
        part.write_bytes(data)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
