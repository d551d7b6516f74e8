"""Soft edges: how much of a pixel at an object's outline, of hair, fur or blur, is the object, and in which colour."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from typing import Any

import cv2
import numpy as np

from ...models.errors import MissingExtraError
from .edges import laid_on

SIDE = 512  # pixels of the longer side at which shares are found: a second on two cores; four times that takes a minute
BAND = 0.03  # of the object's longer side: how far from the outline hair may reach, and the inside be seen through
_LEAST_BAND = 2  # pixels at that size
_LEAST_SIDE = 8  # pixels: of thinner ones too few lie beside each other, and edges stay hard


def matte(photo: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The object's share of each pixel, and its own colours without what shines through.

    Closed-form matting (Levin, Lischinski and Weiss, PAMI 2008) around the outline, at most SIDE pixels large; laid on
    the photo's own edges as `edges` does; colours by multi-level estimation (Germer et al., ICPR 2020).

    Args:
        photo: (h, w, 3) uint8 RGB, the object and what is around it. mask: (h, w) bool.

    Returns:
        (h, w) float32, 0 to 1, and (h, w, 3) uint8 RGB.

    Raises:
        MissingExtraError: the extra "matting" is not installed.
    """
    library = need_pymatting()
    scale = max(1.0, max(mask.shape) / SIDE)
    size = max(1, round(mask.shape[1] / scale)), max(1, round(mask.shape[0] / scale))
    trimap = _trimap(cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.5)
    has_both = (trimap == 0).any() and (trimap == 1).any()
    if not has_both or min(size) < _LEAST_SIDE:  # nothing to learn the two from
        return mask.astype(np.float32), photo.copy()
    small = cv2.resize(photo, size, interpolation=cv2.INTER_AREA) / 255.0
    with np.errstate(all="ignore"), redirect_stdout(sys.stderr):  # it tells of slow pictures by `print`
        share = library.estimate_alpha_cf(small, trimap).astype(np.float32)
    if scale > 1:
        share = _enlarged(photo, share, trimap, scale)
    colours = library.estimate_foreground_ml(photo / np.float32(255), share)
    return share, np.rint(colours * 255).clip(0, 255).astype(np.uint8)


def _trimap(mask: np.ndarray) -> np.ndarray:
    """(h, w) float64: 1 surely object, 0 surely not, 0.5 to be found out."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return np.zeros(mask.shape)
    longer = max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1
    band = max(_LEAST_BAND, round(BAND * longer))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * band + 1, 2 * band + 1))
    pixels, found = mask.astype(np.uint8), np.full(mask.shape, 0.5)
    found[cv2.erode(pixels, kernel) > 0] = 1
    found[cv2.dilate(pixels, kernel) == 0] = 0
    return found


def _enlarged(photo: np.ndarray, share: np.ndarray, trimap: np.ndarray, scale: float) -> np.ndarray:
    """(H, W) float32 at the photo's own size; what was sure stays so."""
    size = photo.shape[1], photo.shape[0]
    known = cv2.resize(trimap, size, interpolation=cv2.INTER_NEAREST)
    found = laid_on(photo, share, scale).clip(0, 1)
    return np.where(known == 0.5, found, known).astype(np.float32)


def need_pymatting() -> Any:
    """The module `pymatting`. Raises MissingExtraError where it is not installed."""
    try:
        import pymatting
    except ImportError as error:
        raise MissingExtraError(f"matting needs pymatting ({error}): pip install 'clickmask[matting]'") from None
    return pymatting
