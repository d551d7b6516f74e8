"""Edges at the photo's own resolution: where the decoder hesitates, the photo's colours decide.

The low-res logits know where an object is, and not quite where its edge runs: a cell of them is a 256th of the photo.
Where they are small, one round of GrabCut (Rother, Kolmogorov and Blake, SIGGRAPH 2004) decides by colour and contrast,
on the part of the photo around the object, made smaller; a guided filter (He, Sun and Tang, ECCV 2010) then lays the
outline on the photo's own edges, by lines found at the model's resolution (He and Sun, "Fast Guided Filter", 2015).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ...models.frame import MODEL_SIDE


@dataclass(frozen=True)
class Rules:
    """Found on the development sets, see benchmarks/quality.md.

    band: logits below which the colours decide. kept: the share of the decoder's logits there. side: pixels of the
    longer side that GrabCut sees. margin: around the object, share of its longer side. radius: of the guided filter,
    pixels of a photo of 1024; smoothness: its epsilon, for grey levels of 0 to 1. calm: pixels of such a photo around
    a click in which less and less is changed.
    """

    band: float = 1.5
    kept: float = 0.3
    side: int = 256
    margin: float = 0.15
    radius: int = 2
    smoothness: float = 1e-4
    calm: float = 8.0


RULES = Rules()
_LEAST_MARGIN = 8  # pixels


def sharpen(photo: np.ndarray, logits: np.ndarray, points: Sequence[tuple[float, float]] = ()) -> np.ndarray:
    """Logits whose edges are those of the photo.

    Args:
        photo: (h, w, 3) uint8 RGB.
        logits: (h, w) float32, > 0 is object.
        points: (x, y) of clicks, in pixels of the photo: there the logits stay as they are.

    Returns:
        (h, w) float32.
    """
    place = _surroundings(logits > 0)
    if place is None:
        return logits
    scale = max(1.0, max(logits.shape) / MODEL_SIDE)
    part, colours = logits[place], np.ascontiguousarray(photo[place])
    found = laid_on(colours, _decided(_shrunk(colours, scale), _shrunk(part, scale)), scale)
    if points:
        freedom = _freedom(part.shape, points, (place[1].start, place[0].start), RULES.calm * scale)
        found = part + freedom * (found - part)
    whole = logits.copy()
    whole[place] = found
    return whole


def _surroundings(mask: np.ndarray) -> tuple[slice, slice] | None:
    """The object's box and a margin, as (rows, columns); None of nothing."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return None
    longer = max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1
    margin = int(RULES.margin * longer) + _LEAST_MARGIN
    return (
        slice(max(0, int(rows[0]) - margin), int(rows[-1]) + 1 + margin),
        slice(max(0, int(columns[0]) - margin), int(columns[-1]) + 1 + margin),
    )


def _shrunk(image: np.ndarray, scale: float) -> np.ndarray:
    """So many times smaller, both ways."""
    height, width = image.shape[:2]
    size = max(1, round(width / scale)), max(1, round(height / scale))
    return image if scale == 1 else cv2.resize(np.ascontiguousarray(image), size, interpolation=cv2.INTER_AREA)


def _decided(colours: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """(h, w) float32: the logits, and the colours' say where they are small."""
    hesitates = np.abs(logits) < RULES.band
    return np.where(hesitates, RULES.kept * logits + _by_colour(colours, logits), logits).astype(np.float32)


def laid_on(photo: np.ndarray, values: np.ndarray, scale: float) -> np.ndarray:
    """(H, W) float32: values that were found on the photo `scale` times smaller, laid on the photo's own edges."""
    grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)
    slope, offset = _lines(_shrunk(grey, scale).astype(np.float32) / 255, values)
    if scale != 1:
        size = grey.shape[1], grey.shape[0]
        slope, offset = (cv2.resize(each, size, interpolation=cv2.INTER_LINEAR) for each in (slope, offset))
    return cv2.multiply(grey, slope, scale=1 / 255, dtype=cv2.CV_32F) + offset


def _by_colour(colours: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """(h, w) float32, -1 to 1: what GrabCut says; 0 where there is nothing to learn colours from."""
    height, width = logits.shape
    scale = min(1.0, RULES.side / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(logits, size, interpolation=cv2.INTER_AREA)
    kinds = np.where(small > 0, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    kinds[small > RULES.band], kinds[small < -RULES.band] = cv2.GC_FGD, cv2.GC_BGD
    is_object = (kinds == cv2.GC_FGD) | (kinds == cv2.GC_PR_FGD)
    if is_object.all() or not is_object.any():
        return np.zeros_like(logits)
    cv2.setRNGSeed(0)  # its first guess at the colours is random
    seen = cv2.resize(colours, size, interpolation=cv2.INTER_AREA)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(seen, kinds, None, *models, 1, cv2.GC_INIT_WITH_MASK)  # pyright: ignore[reportCallIssue, reportArgumentType]
    answer = np.where((kinds == cv2.GC_FGD) | (kinds == cv2.GC_PR_FGD), 1.0, -1.0).astype(np.float32)
    return cv2.resize(answer, (width, height), interpolation=cv2.INTER_LINEAR)


def _lines(guide: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Slope and offset for each pixel, by which the values are a linear function of the guide around it (equations 5,
    6 and 8 of the paper)."""

    def mean(image: np.ndarray) -> np.ndarray:
        return cv2.boxFilter(image, -1, (2 * RULES.radius + 1,) * 2, borderType=cv2.BORDER_REFLECT)

    guide_mean, value_mean = mean(guide), mean(values)
    variance = mean(guide * guide) - guide_mean * guide_mean
    slope = (mean(guide * values) - guide_mean * value_mean) / (variance + RULES.smoothness)
    return mean(slope), mean(value_mean - slope * guide_mean)


def _freedom(
    shape: tuple[int, ...], points: Sequence[tuple[float, float]], origin: tuple[int, int], calm: float
) -> np.ndarray:
    """(h, w) float32: 0 at clicks, rising to 1."""
    found, reach = np.ones((shape[0], shape[1]), np.float32), int(np.ceil(calm))
    for x, y in points:
        column, row = int(x) - origin[0], int(y) - origin[1]
        left, top = max(0, column - reach), max(0, row - reach)
        part = found[top : max(0, row + reach + 1), left : max(0, column + reach + 1)]
        rows, columns = np.ogrid[: part.shape[0], : part.shape[1]]
        near = np.hypot(columns + left - column, rows + top - row) / calm
        np.minimum(part, near, out=part, casting="same_kind")
    return found
