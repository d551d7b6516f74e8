"""Masks without crumbs: small islands removed, small holes filled, by the rules of segment_anything."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np

from ..models.errors import PromptError


def clean(
    mask: np.ndarray, specks: float = 0.0, holes: float = 0.0, keep: Iterable[tuple[int, int]] = ()
) -> np.ndarray:
    """A tidier copy of a mask, (H, W) bool.

    `specks` and `holes` are shares of the object's area, 0..1. First every patch of background smaller than
    `holes` x area is filled, at the image's border too; then every patch of object smaller than `specks` x
    area is removed, the largest always staying. Patches hang together by sides or corners (8-connected), as
    in segment_anything's `remove_small_regions`. A patch that one of the pixels `keep`, (column, row), lies in stays.
    Raises PromptError for a share outside 0..1 or a mask that is not (H, W).
    """
    if mask.ndim != 2:
        raise PromptError(f"mask must have shape (H, W), got {mask.shape}")
    for name, share in (("specks", specks), ("holes", holes)):
        if not 0 <= share <= 1:
            raise PromptError(f"{name} must be a share of the object's area, 0..1, got {share}")
    mask, keep = mask != 0, list(keep)
    area = np.count_nonzero(mask)
    if holes > 0 and area:
        mask = mask | _small_patches(~mask, holes * area, keep)
    if specks > 0 and area:
        mask = mask & ~_small_patches(mask, specks * area, keep, keep_largest=True)
    return mask


def _small_patches(
    region: np.ndarray, below: float, keep: Iterable[tuple[int, int]], *, keep_largest: bool = False
) -> np.ndarray:
    """(H, W) bool: the 8-connected patches of `region` with fewer than `below` pixels, and none of those to keep."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(region.astype(np.uint8), connectivity=8)
    sizes = stats[:, cv2.CC_STAT_AREA]
    small = sizes < below
    small[0] = False  # label 0 is what is not in the region
    for column, row in keep:
        small[labels[row, column]] = False
    if keep_largest and len(sizes) > 1:
        small[1 + int(sizes[1:].argmax())] = False
    return small[np.asarray(labels, np.intp)]
