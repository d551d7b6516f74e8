"""The choice among candidates beside segment_anything's own functions, and on masks drawn by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from segment_anything import SamAutomaticMaskGenerator
from segment_anything.utils import amg

from clickmask import Found
from clickmask.service.everything.choosing import choose
from clickmask.service.everything.grids import Crop
from clickmask.service.everything.options import Choice
from clickmask.service.everything.search import Candidate, _is_cut

Draw = Callable[..., np.ndarray]
Make = Callable[..., Candidate]
MakeFound = Callable[..., Found]
WHOLE = Crop((0, 0, 120, 90), np.zeros((0, 2)))
KEEP_ALL = {"pred_iou_thresh": 0.0, "stability_score_thresh": 0.0, "box_nms_thresh": 1.0, "crop_nms_thresh": 1.0}


def _crumbly(draw: np.random.Generator) -> np.ndarray:
    """(90, 120) bool: a blob or two with holes and crumbs of all sizes; sometimes nothing, or everything."""
    kind = draw.integers(12)
    if kind < 2:
        return np.full((90, 120), bool(kind))
    coarse = draw.normal(size=(int(draw.integers(2, 12)),) * 2)
    y, x = (np.linspace(0, len(coarse) - 1, side).round().astype(int) for side in (90, 120))
    mask = coarse[y][:, x] > draw.normal() * 0.6
    return mask ^ (draw.random((90, 120)) < draw.choice([0, 0.002, 0.05]))


def _stock_small_regions(masks: list[np.ndarray], least: int, iou: float) -> list[tuple[int, np.ndarray]]:
    """(number, mask) of those that stay, in order, as segment_anything has it."""
    tensors = torch.from_numpy(np.stack(masks))
    data = amg.MaskData(
        rles=amg.mask_to_rle_pytorch(tensors),
        boxes=amg.batched_mask_to_box(tensors),
        numbers=np.arange(len(masks)),
    )
    data = SamAutomaticMaskGenerator.postprocess_small_regions(data, least, iou)
    return [(int(n), amg.rle_to_mask(rle)) for n, rle in zip(data["numbers"], data["rles"], strict=True)]


@pytest.mark.parametrize("least", [1, 2, 15, 200, 5000, 20000])
def test_small_regions_go_as_segment_anything_has_it(candidate: Make, least: int) -> None:
    draw = np.random.default_rng(least)
    masks = [_crumbly(draw) for _ in range(40)]
    candidates = [candidate(mask, 1 - number / 100) for number, mask in enumerate(masks)]
    chosen = choose(candidates, [WHOLE], Choice(**{**KEEP_ALL, "min_mask_region_area": least, "crop_nms_thresh": 0.7}))
    survivors = choose(candidates, [WHOLE], Choice(**KEEP_ALL))
    theirs = _stock_small_regions([one.runs.pixels() for one in survivors], least, 1.0)
    assert [candidates.index(one.candidate) for one in chosen] == [
        candidates.index(survivors[number].candidate) for number, _ in theirs
    ]
    for one, (_, mask) in zip(chosen, theirs, strict=True):
        assert (one.runs.pixels() == mask).all()


def test_masks_that_become_alike_are_one(candidate: Make, square: Draw) -> None:
    plain = square(10, 10, 30)
    crumbs = plain.copy()
    crumbs[80, 110] = True
    chosen = choose([candidate(crumbs, 0.99), candidate(plain, 0.9)], [WHOLE], Choice(min_mask_region_area=5))
    assert len(chosen) == 1 and not chosen[0].is_changed and chosen[0].candidate.score == 0.9


def test_thresholds_are_those_of_segment_anything(candidate: Make, square: Draw) -> None:
    """More than the one, at least the other."""
    masks = [square(4 + 14 * n, 10, 10) for n in range(4)]
    numbers = [(0.88, 0.99), (0.89, 0.95), (0.89, 0.94), (0.89, 0.96)]
    candidates = [candidate(m, *n) for m, n in zip(masks, numbers, strict=True)]
    chosen = choose(candidates, [WHOLE], Choice(pred_iou_thresh=0.88, stability_score_thresh=0.95))
    assert [candidates.index(one.candidate) for one in chosen] == [1, 3]


def test_a_stability_that_is_no_number_passes_only_where_nothing_is_asked(candidate: Make, square: Draw) -> None:
    one = candidate(square(1, 1, 5), 0.9, float("nan"))
    assert choose([one], [WHOLE], Choice()) == []
    assert len(choose([one], [WHOLE], Choice(stability_score_thresh=0.0))) == 1


def test_within_a_crop_the_best_stays_and_between_crops_that_of_the_smaller_crop(candidate: Make, square: Draw) -> None:
    part = Crop((0, 0, 60, 45), np.zeros((0, 2)))
    mask, nearly, other = square(10, 10, 20), square(10, 10, 19), square(70, 50, 20)
    whole = [candidate(mask, 0.99), candidate(nearly, 0.9), candidate(other, 0.95)]
    closer = candidate(mask, 0.89, crop=1)
    chosen = choose([*whole, closer], [WHOLE, part], Choice())
    assert [one.candidate for one in chosen] == [closer, whole[2]]
    chosen = choose([*whole, closer], [WHOLE, part], Choice(crop_nms_thresh=1.0))
    assert [one.candidate for one in chosen] == [closer, whole[0], whole[2]]


def test_many_candidates_of_many_crops_stay_as_segment_anything_has_it(candidate: Make, square: Draw) -> None:
    draw = np.random.default_rng(3)
    windows = [(0, 0, 120, 90), (0, 0, 70, 50), (50, 0, 120, 50), (0, 40, 70, 90), (50, 40, 120, 90)]
    crops = [Crop(window, np.zeros((0, 2))) for window in windows]
    candidates = [
        candidate(square(int(x), int(y), int(side)), float(score), crop=int(crop))
        for x, y, side, score, crop in zip(
            draw.integers(0, 90, 400), draw.integers(0, 60, 400), draw.integers(1, 30, 400), draw.permutation(400) / 400
            + 0.5, np.sort(draw.integers(0, 5, 400)), strict=True,
        )
    ]  # fmt: skip
    choice = Choice(pred_iou_thresh=0.6, box_nms_thresh=0.6, crop_nms_thresh=0.4)
    chosen = choose(candidates, crops, choice)
    assert [candidates.index(one.candidate) for one in chosen] == _stock_choice(candidates, windows, choice)


def _stock_choice(candidates: list[Candidate], windows: list[Any], choice: Choice) -> list[int]:
    """Numbers in segment_anything's order, by its own functions."""
    from torchvision.ops.boxes import batched_nms, box_area

    kept: list[int] = []
    boxes = amg.batched_mask_to_box(torch.from_numpy(np.stack([c.runs.pixels() for c in candidates]))).float()
    scores = torch.tensor([c.score for c in candidates])
    for crop in range(len(windows)):
        own = torch.tensor([n for n, c in enumerate(candidates) if c.crop == crop and c.score > choice.pred_iou_thresh])
        stay = batched_nms(boxes[own], scores[own], torch.zeros(len(own)), choice.box_nms_thresh)
        kept += own[stay].tolist()
    sizes = box_area(torch.tensor([windows[candidates[n].crop] for n in kept]))
    stay = batched_nms(boxes[kept], 1 / sizes, torch.zeros(len(kept)), choice.crop_nms_thresh)
    return [kept[n] for n in stay.tolist()]


def test_masks_near_an_edge_of_their_crop_are_cut_as_segment_anything_has_it(candidate: Make, square: Draw) -> None:
    draw = np.random.default_rng(6)
    whole = (0, 0, 400, 300)
    for window in (whole, (0, 0, 200, 150), (150, 100, 400, 300), (18, 21, 200, 282), (100, 80, 300, 200)):
        x0, y0, x1, y1 = window
        for _ in range(150):
            mask = np.zeros((y1 - y0, x1 - x0), bool)
            (left, right), (top, bottom) = (np.sort(draw.integers(0, side, 2)) for side in mask.shape[::-1])
            mask[top : bottom + 1, left : right + 1] = True
            box = amg.batched_mask_to_box(torch.from_numpy(mask))[None]
            theirs = bool(amg.is_box_near_crop_edge(box, list(window), list(whole))[0])
            full = np.zeros((300, 400), bool)
            full[y0:y1, x0:x1] = mask
            assert _is_cut(candidate(full).runs, window, whole) == theirs


def test_suppression_by_mask_separates_what_boxes_confuse(found: MakeFound, square: Draw) -> None:
    """Two diagonal bands fill one box: by boxes they are one thing, by masks two."""
    rows, columns = np.mgrid[:90, :120]
    inside = square(10, 10, 60)
    above, below = inside & (columns > rows), inside & (columns <= rows)
    assert len(found([above, below], box_nms_thresh=0.7)) == 1
    assert len(found([above, below], box_nms_thresh=1.0, dedup="mask")) == 2


def test_by_mask_what_lies_in_a_better_one_goes(found: MakeFound, square: Draw) -> None:
    whole, most, part = square(10, 10, 40), square(10, 10, 33), square(12, 12, 8)
    scores = [0.95, 0.93, 0.91]
    areas = [mask.area for mask in found([whole, most, part], scores, dedup="mask", mask_nms_thresh=1.0)]
    assert areas == [1600, 64]  # the second is over half as large and lies within; the third is a part
    areas = [mask.area for mask in found([whole, most, part], scores, dedup="mask", mask_nms_thresh=0.6, contained=1.0)]
    assert areas == [1600, 64]  # IoU 0.68
    areas = [mask.area for mask in found([whole, most, part], scores, dedup="mask", mask_nms_thresh=0.7, contained=1.0)]
    assert areas == [1600, 1089, 64]


def test_small_masks_go_by_their_area(found: MakeFound, square: Draw) -> None:
    masks = [square(1, 1, 3), square(10, 1, 4), square(20, 1, 5)]
    assert [mask.area for mask in found(masks, min_area=16)] == [25, 16]
    assert [mask.area for mask in found(masks, min_area=17)] == [25]


def test_specks_and_holes_are_shares_of_each_mask(found: MakeFound, square: Draw) -> None:
    mask = square(10, 10, 40)
    mask[20:24, 20:24] = False  # a hole of 16
    mask[70:73, 100:103] = True  # a speck of 9; 1593 in all
    assert [m.area for m in found([mask], specks=0.01)] == [1584]
    assert [m.area for m in found([mask], holes=0.02)] == [1609]
    assert [m.area for m in found([mask], specks=0.01, holes=0.02)] == [1600]
    assert [m.area for m in found([mask], specks=0.001, holes=0.001)] == [1593]


def test_a_candidate_without_a_pixel_is_not_found(found: MakeFound, square: Draw) -> None:
    assert len(found([square(0, 0, 0), square(0, 0, 2)])) == 1


def test_parts_are_joined_without_what_was_not_kept(candidate: Make) -> None:
    """A doubtful double of a part, which the thresholds leave out, neither spoils what is joined nor enlarges it."""
    windows = [(0, 0, 70, 90), (50, 0, 120, 90)]
    crops = [Crop(window, np.zeros((0, 2))) for window in windows]
    bar, blurred = np.zeros((90, 120), bool), np.zeros((90, 120), bool)
    bar[40:50, 5:115] = True
    blurred[39:52, 5:70] = True
    parts = [bar.copy(), bar.copy()]
    parts[0][:, 70:], parts[1][:, :50] = False, False
    candidates = [candidate(part, crop=crop, is_cut=True) for crop, part in enumerate(parts)]
    doubtful = candidate(blurred, 0.9, 0.6, is_cut=True)
    worse_double = candidate(blurred, 0.89, 0.96, is_cut=True)
    (one,) = choose([*candidates, doubtful, worse_double], crops, Choice())
    assert (one.runs.pixels() == bar).all() and one.candidate.stability == 0.96
