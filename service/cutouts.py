"""Pictures made with masks: an object cut out, and objects marked on their photo."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from ..models.errors import OutputError, PromptError
from .palette import colour
from .refine.matting import matte

_AROUND, _LEAST_AROUND = 0.1, 8  # of the longer side, and pixels, that are looked at around an object for a soft edge
_LONG_SIDE_PER_LINE = 700  # outlines are one pixel wide for each so many pixels of the picture's longer side


def cutout(
    pixels: np.ndarray, mask: np.ndarray, pad: int = 0, feather: float = 0.0, *, soft: bool = False
) -> np.ndarray:
    """The object alone: (h, w, 4) uint8 RGBA, cropped to the mask's box.

    `pixels`: (H, W, 3) uint8 RGB. `mask`: (H, W) bool. `pad` grows the box by pixels, within the image.
    Alpha is 255 on the object and 0 elsewhere; colours are the photo's own everywhere. With `feather` > 0
    alpha rises from 0 at the outline to 255 that many pixels inside it, so no background shows through; where
    the object leaves the image its edge stays hard. `soft` finds out what share of each pixel near the outline is the
    object, for hair and fur, and its own colours there, see `refine.matting`; the box is that of all with a share.
    What is thinner than hair reaches keeps hard edges, and a click near the outline may get any share.
    Raises OutputError for an empty mask; PromptError for a mask of another size, a negative pad or feather, or both
    feather and soft; MissingExtraError for soft without the extra "matting".
    """
    _check_mask(mask, pixels)
    if not (0 <= pad < np.inf and 0 <= feather < np.inf):
        raise PromptError(f"pad and feather must be 0 or more pixels, got {pad} and {feather}")
    left, top, width, height = cv2.boundingRect(mask.astype(np.uint8))
    if width == 0:
        raise OutputError("the mask is empty: there is no object to cut out")
    if soft:
        return _soft_cutout(pixels, mask, int(pad), feather, (left, top, width, height))
    pad = int(pad)
    rows = slice(max(top - pad, 0), min(top + height + pad, mask.shape[0]))
    columns = slice(max(left - pad, 0), min(left + width + pad, mask.shape[1]))
    alpha = _alpha(mask, feather, (left, top, width, height))[rows, columns]
    return np.dstack((pixels[rows, columns], alpha))


def _soft_cutout(
    pixels: np.ndarray, mask: np.ndarray, pad: int, feather: float, box: tuple[int, int, int, int]
) -> np.ndarray:
    if feather:
        raise PromptError("feather and soft are two ways to make an edge: give one of them")
    left, top, width, height = box
    around = round(_AROUND * max(width, height)) + _LEAST_AROUND
    y0, x0 = max(top - around, 0), max(left - around, 0)
    near = np.s_[y0 : top + height + around, x0 : left + width + around]
    share, colours = matte(np.ascontiguousarray(pixels[near]), mask[near])
    alpha = np.rint(share * 255).astype(np.uint8)
    left, top, width, height = cv2.boundingRect(np.maximum(alpha, mask[near].astype(np.uint8)))
    whole = np.dstack((pixels, np.zeros(mask.shape, np.uint8)))
    whole[near] = np.dstack((colours, alpha))
    rows = slice(max(y0 + top - pad, 0), y0 + top + height + pad)
    return whole[rows, max(x0 + left - pad, 0) : x0 + left + width + pad].copy()


def _alpha(mask: np.ndarray, feather: float, box: tuple[int, int, int, int]) -> np.ndarray:
    """(H, W) uint8 alpha of the whole image; distances are taken in the box and one pixel around it."""
    alpha = mask * np.uint8(255)
    left, top, width, height = box
    near = np.s_[max(top - 1, 0) : top + height + 1, max(left - 1, 0) : left + width + 1]
    if feather > 0 and not mask[near].all():  # an object that fills the image has no outline
        distance = cv2.distanceTransform(alpha[near], cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        alpha[near] = np.rint(np.clip((distance - 0.5) / feather, 0, 1) * 255).astype(np.uint8)
    return alpha


def overlay(
    pixels: np.ndarray,
    masks: Sequence[np.ndarray],
    colours: Sequence[tuple[int, int, int]] | None = None,
    alpha: float = 0.4,
) -> np.ndarray:
    """The photo with its objects marked: (H, W, 3) uint8 RGB, each filled with its colour and outlined.

    `pixels`: (H, W, 3) uint8 RGB. `masks`: (H, W) bool each, later ones on top. `colours`: (r, g, b), 0..255,
    one a mask; without it the palette's, by position. `alpha`: the fill's share, 0..1; outlines are opaque.
    Raises PromptError for a mask of another size, too few colours, or an `alpha` outside 0..1.
    """
    if not 0 <= alpha <= 1:
        raise PromptError(f"alpha must be within 0..1, got {alpha}")
    chosen = [colour(index) for index in range(len(masks))] if colours is None else colours
    if len(chosen) < len(masks):
        raise PromptError(f"colours: expected one for each of {len(masks)} masks, got {len(chosen)}")
    marked = pixels.copy()
    line = max(1, round(max(pixels.shape[:2]) / _LONG_SIDE_PER_LINE))
    for mask, tint in zip(masks, chosen, strict=False):
        _check_mask(mask, pixels)
        _mark(marked, mask.astype(np.uint8), np.array(tint, np.uint8), alpha, line)
    return marked


def _mark(marked: np.ndarray, mask: np.ndarray, tint: np.ndarray, alpha: float, line: int) -> None:
    left, top, width, height = cv2.boundingRect(mask)
    if width == 0:
        return
    # One line's width more than the box: erosion must see the outside, but the image's border is no outline.
    near = np.s_[max(top - line, 0) : top + height + line, max(left - line, 0) : left + width + line]
    inside, there = mask[near], marked[near]
    core = cv2.erode(inside, np.ones((2 * line + 1, 2 * line + 1), np.uint8))
    shades = np.arange(256)[:, None] * (1 - alpha) + tint.astype(float) * alpha
    filled = cv2.LUT(there, np.rint(shades).astype(np.uint8)[None])
    np.copyto(there, filled, where=core.view(bool)[..., None])
    there[inside != core] = tint


def _check_mask(mask: np.ndarray, pixels: np.ndarray) -> None:
    if mask.shape != pixels.shape[:2]:
        raise PromptError(f"mask has shape {mask.shape}, expected the image's {pixels.shape[:2]} (height, width)")
