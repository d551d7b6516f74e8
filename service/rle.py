"""COCO run lengths: the small text that stands for a mask on the wire and in files.

A mask is read column by column; the runs of background and object alternate, background first. "Compressed"
counts are the differences to the run two before, in groups of five bits, six-bit characters from "0" on:
byte for byte what pycocotools writes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict

import cv2
import numpy as np

from ..models.errors import PromptError

_MOST_PIXELS = 2**32 - 1  # COCO counts are 32 bits wide
_LONGEST_GROUP = 7  # characters of one 32-bit count
_BLOCK = 1 << 16  # runs written at a time: noise has millions, at hundreds of bytes each while they are worked on


class Rle(TypedDict):
    """`size`: [height, width]; `counts`: compressed run lengths."""

    size: list[int]
    counts: str


def encode(mask: np.ndarray) -> Rle:
    """The compressed RLE of a mask, (H, W) bool (of other types non-zero is object).

    Raises PromptError when it is not (H, W) or has no pixels.
    """
    if mask.ndim != 2 or mask.size == 0:
        raise PromptError(f"rle: expected a mask of shape (H, W), got {mask.shape}")
    height, width = mask.shape
    return {"size": [height, width], "counts": compress(_run_lengths(mask))}


def decode(rle: Mapping[str, object], *, size: tuple[int, int] | None = None) -> np.ndarray:
    """The mask, (H, W) bool, of an RLE whose counts are compressed (str or bytes) or a list of run lengths.

    `size`: (width, height) it must have; give it for RLEs of unknown origin, which may claim any size.
    Raises PromptError (field rle) for anything malformed.
    """
    counts, height, width = _parse(rle, size)
    columns = np.repeat(np.arange(len(counts), dtype=np.uint8) & 1, counts).reshape(width, height)
    return cv2.transpose(columns).view(bool)


def compressed(rle: Mapping[str, object], *, size: tuple[int, int] | None = None) -> Rle:
    """The same run lengths, compressed, without a mask made of them; `size` and errors as for `decode`."""
    counts, height, width = _parse(rle, size)
    return {"size": [height, width], "counts": compress(counts)}


def area(rle: Mapping[str, object]) -> int:
    """The object's pixels. Raises PromptError as `decode` does."""
    counts, _, _ = _parse(rle)
    return int(counts[1::2].sum())


def box(rle: Mapping[str, object]) -> tuple[int, int, int, int] | None:
    """(x0, y0, x1, y1) around the object, x1 and y1 exclusive, image frame; None for an empty mask.

    Raises PromptError as `decode` does.
    """
    counts, height, _ = _parse(rle)
    ends = np.cumsum(counts)[1::2]
    lengths = counts[1::2]
    starts, last = (ends - lengths)[lengths > 0], (ends - 1)[lengths > 0]
    if not len(starts):
        return None
    left, right = starts // height, last // height
    x0, x1 = int(left[0]), int(right[-1]) + 1
    if (left != right).any():  # a run that goes on in the next column touches bottom and top
        return x0, 0, x1, height
    return x0, int((starts % height).min()), x1, int((last % height).max()) + 1


def decode_box(rle: Mapping[str, object]) -> tuple[np.ndarray, tuple[int, int]]:
    """The mask within its box alone, (h, w) bool, and the box's corner (x0, y0), image frame; (0, 0) bool of none.

    No mask as large as the image is made. Raises PromptError as `decode` does.
    """
    around = box(rle)
    if around is None:
        return np.zeros((0, 0), bool), (0, 0)
    x0, y0, x1, y1 = around
    counts, height, _ = _parse(rle)
    ends = np.clip(np.cumsum(counts), x0 * height, x1 * height)
    inside = np.diff(ends, prepend=x0 * height)
    columns = np.repeat(np.arange(len(counts), dtype=np.uint8) & 1, inside).reshape(x1 - x0, height)
    return cv2.transpose(np.ascontiguousarray(columns[:, y0:y1])).view(bool), (x0, y0)


def spans(rle: Mapping[str, object]) -> tuple[np.ndarray, np.ndarray]:
    """Where the object's runs start in the mask read column by column, and how long they are; of none, both are empty.

    Raises PromptError as `decode` does.
    """
    counts, _, _ = _parse(rle)
    lengths = counts[1::2]
    return np.cumsum(counts)[1::2] - lengths, lengths


def _run_lengths(mask: np.ndarray) -> np.ndarray:
    pixels = np.ascontiguousarray(mask != 0 if mask.dtype != bool else mask).view(np.uint8)
    flat = cv2.transpose(pixels).ravel()
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    first = [0, 0] if flat[0] else [0]  # background comes first, if only as a run of none
    return np.diff(np.concatenate((first, changes, [flat.size])))


def compress(counts: np.ndarray) -> str:
    """Run lengths, background first, as COCO's compressed text."""
    values = counts.astype(np.int64)
    values[3:] -= counts[1:-2]
    blocks = (values[first : first + _BLOCK] for first in range(0, len(values), _BLOCK))
    return "".join(_characters(block) for block in blocks)


def _characters(values: np.ndarray) -> str:
    shifts = 5 * np.arange(_LONGEST_GROUP)
    rest = values[:, None] >> shifts  # (runs, characters): what is left to write at each character
    groups = rest & 0x1F
    # A character is the last one when all above it merely repeats its sign bit.
    more = (rest >> 5) != -(groups >> 4)
    used = np.ones_like(more)
    used[:, 1:] = more[:, :-1]
    return ((groups | more << 5) + 48)[used].astype(np.uint8).tobytes().decode("ascii")


def _decompress(text: bytes) -> np.ndarray:
    characters = np.frombuffer(text, np.uint8).astype(np.int64) - 48
    if len(characters) == 0 or characters.min() < 0 or characters.max() > 63 or characters[-1] & 0x20:
        raise PromptError('rle: counts is not a compressed COCO string (characters "0" to "o", complete)')
    ends = np.flatnonzero(characters & 0x20 == 0)
    starts = np.concatenate(([0], ends[:-1] + 1))
    lengths = ends - starts + 1
    if lengths.max() > _LONGEST_GROUP:
        raise PromptError("rle: counts holds a number of more than 32 bits")
    place = np.arange(len(characters)) - np.repeat(starts, lengths)
    values = np.add.reduceat((characters & 0x1F) << 5 * place, starts)
    values -= (characters[ends] >> 4 & 1) << 5 * lengths  # the highest bit of the last character is the sign
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    return values


def _parse(rle: Mapping[str, object], size: tuple[int, int] | None = None) -> tuple[np.ndarray, int, int]:
    if not isinstance(rle, Mapping) or "size" not in rle or "counts" not in rle:
        raise PromptError('rle: expected {"size": [height, width], "counts": ...}')
    height, width = _parse_size(rle["size"])
    counts = _parse_counts(rle["counts"])
    if counts.min() < 0 or counts.sum() != height * width:
        raise PromptError(f"rle: the run lengths do not fill {height} x {width} (height x width) pixels")
    if size is not None and size != (width, height):
        raise PromptError(f"rle: its size is {width} x {height}, expected {size[0]} x {size[1]} (width x height)")
    return counts, height, width


def _parse_size(size: object) -> tuple[int, int]:
    if isinstance(size, list | tuple) and len(size) == 2 and all(type(side) is int and side > 0 for side in size):
        height, width = size
        if height * width <= _MOST_PIXELS:
            return height, width
    raise PromptError(f"rle: size must be [height, width], two positive whole numbers, got {size!r}")


def _parse_counts(counts: object) -> np.ndarray:
    if isinstance(counts, str) and counts.isascii():
        return _decompress(counts.encode("ascii"))
    if isinstance(counts, bytes):
        return _decompress(counts)
    if isinstance(counts, list | tuple) and counts and all(type(n) is int and 0 <= n <= _MOST_PIXELS for n in counts):
        return np.array(counts, np.int64)
    raise PromptError("rle: counts must be a compressed COCO string or a list of whole run lengths")
