"""Of all candidates those that are things, by the rules of segment_anything and, where asked, by more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from .. import cleaning
from .grids import Crop
from .joining import join_cut
from .options import Choice
from .runs import Runs
from .search import Candidate, inclusive_box
from .suppression import suppress_boxes, suppress_masks


@dataclass(frozen=True, eq=False)
class Chosen:
    """A candidate that stays. runs: its mask, as found or cleaned.

    is_changed: whether it was cleaned, or would have been, but for the rule that the largest patch stays.
    """

    candidate: Candidate
    runs: Runs
    is_changed: bool = False


def choose(candidates: Sequence[Candidate], crops: Sequence[Crop], choice: Choice) -> list[Chosen]:
    """What stays, in segment_anything's order: by crop the best first, then as suppression between crops has it."""
    kept = [c for c in candidates if _is_good(c, choice)]
    by_crop = [[c for c in kept if c.crop == number] for number in range(len(crops))]
    kept = [c for some in by_crop for c in _suppressed(some, [c.score for c in some], choice.box_nms_thresh)]
    if any(c.is_cut for c in kept):  # by now one of each: neither what is unsure nor doubles take part
        kept = join_cut(kept, crops)
    if len(crops) > 1:
        kept = _suppressed(kept, [1 / _area(crops[c.crop]) for c in kept], choice.crop_nms_thresh)
    chosen = [Chosen(c, c.runs) for c in kept]
    if choice.min_mask_region_area:
        chosen = _without_small_regions(chosen, choice)
    if choice.specks or choice.holes:
        chosen = [_cleaned(one, choice) for one in chosen]
    if choice.dedup == "mask":
        scores = np.array([one.candidate.score for one in chosen])
        numbers = suppress_masks([one.runs for one in chosen], scores, choice.mask_nms_thresh, choice.contained)
        chosen = [chosen[number] for number in numbers]
    return [one for one in chosen if one.runs.area >= choice.min_area]


def _is_good(candidate: Candidate, choice: Choice) -> bool:
    """segment_anything's: more than the one, at least the other, and neither is asked where it is 0."""
    if choice.pred_iou_thresh > 0 and not candidate.score > choice.pred_iou_thresh:
        return False
    return choice.stability_score_thresh <= 0 or candidate.stability >= choice.stability_score_thresh


def _suppressed(candidates: list[Candidate], scores: Sequence[float], iou: float) -> list[Candidate]:
    numbers = suppress_boxes(_boxes([c.runs for c in candidates]), np.array(scores, np.float32), iou)
    return [candidates[number] for number in numbers]


def _boxes(runs: Sequence[Runs]) -> np.ndarray:
    return np.array([inclusive_box(one) for one in runs], np.float32).reshape(-1, 4)


def _area(crop: Crop) -> int:
    x0, y0, x1, y1 = crop.window
    return (x1 - x0) * (y1 - y0)


def _without_small_regions(chosen: list[Chosen], choice: Choice) -> list[Chosen]:
    """Small holes filled, then small islands removed; of masks that have become alike the unchanged ones stay first."""
    done = [_tidied(one, choice.min_mask_region_area) for one in chosen]
    scores = np.array([0.0 if one.is_changed else 1.0 for one in done], np.float32)
    iou = max(choice.box_nms_thresh, choice.crop_nms_thresh)
    return [done[number] for number in suppress_boxes(_boxes([one.runs for one in done]), scores, iou)]


def _tidied(one: Chosen, least: int) -> Chosen:
    filled, had_holes = _without_holes(one.runs.pixels(), least)
    tidy, had_islands = _without_islands(filled, least)
    return Chosen(one.candidate, Runs.of(tidy), True) if had_holes or had_islands else one


def _without_holes(mask: np.ndarray, least: int) -> tuple[np.ndarray, bool]:
    """The mask, and whether it had any."""
    labels, sizes = _patches(~mask)
    small = sizes < least
    small[0] = False  # what is not in the region
    return (mask | small[labels] if small.any() else mask), bool(small.any())


def _without_islands(mask: np.ndarray, least: int) -> tuple[np.ndarray, bool]:
    """The same for islands. The largest stays in any case, though it counts as one where all are small."""
    labels, sizes = _patches(mask)
    small = sizes < least
    small[0] = False
    had_any = bool(small.any())
    if small[1:].all() and had_any:
        small[1 + int(sizes[1:].argmax())] = False
    return (mask & ~small[labels] if had_any else mask), had_any


def _patches(region: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(H, W) numbers of 8-connected patches, 0 for what is not in the region, and their sizes in pixels."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(region.astype(np.uint8), connectivity=8)
    return np.asarray(labels, np.intp), stats[:, cv2.CC_STAT_AREA]


def _cleaned(one: Chosen, choice: Choice) -> Chosen:
    mask = one.runs.pixels()
    tidy = cleaning.clean(mask, choice.specks, choice.holes)
    return one if (tidy == mask).all() else Chosen(one.candidate, Runs.of(tidy), True)
