"""`SamAutomaticMaskGenerator` beside segment_anything's own, on the same weights and photos."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import segment_anything
import torch
from torch import Tensor

from clickmask import (
    ClickmaskError,
    PredictorArgumentError,
    SamAutomaticMaskGenerator,
    Segmenter,
    SettingsError,
    WeightsError,
)
from clickmask.models.recognise import recognise
from clickmask.service import rle
from clickmask.service.compat_models import module_of, sam_model_registry

Theirs = segment_anything.SamAutomaticMaskGenerator
SCORE, STABILITY, IOU = 1e-4, 1e-3, 0.99  # bounds against the original

OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {"points_per_side": 6},
    "everything passes": {"points_per_side": 2, "pred_iou_thresh": 0.0, "stability_score_thresh": 0.0},
    "crops": {"points_per_side": 4, "crop_n_layers": 1, "crop_n_points_downscale_factor": 3, "pred_iou_thresh": 0.8},
    "small regions": {"points_per_side": 3, "min_mask_region_area": 300, "stability_score_thresh": 0.85},
    "own grid": {"points_per_side": None, "point_grids": [np.array([[0.31, 0.4], [0.6, 0.62], [1.0, 0.0]])]},
    "other thresholds": {
        "points_per_side": 2, "pred_iou_thresh": 0.7, "stability_score_thresh": 0.8, "stability_score_offset": 2.0,
        "box_nms_thresh": 0.3,
    },
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """The original spreads every operator over torch's threads, which wait for each other on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def sam() -> Any:
    """MobileSAM with the embedded weights; prompt encoder and mask decoder are segment_anything's."""
    return sam_model_registry["vit_t"]()


@pytest.fixture(scope="module")
def dogs(photo_path: Path) -> np.ndarray:
    """(384, 256, 3) uint8 RGB."""
    pixels = cv2.imread(str(photo_path), cv2.IMREAD_COLOR_RGB)
    assert pixels is not None
    return cv2.resize(pixels, (256, 384), interpolation=cv2.INTER_AREA)


def _mask(record: dict[str, Any]) -> np.ndarray:
    mask = record["segmentation"]
    if isinstance(mask, np.ndarray):
        return mask
    return rle.decode(mask)


def _kind(value: Any) -> Any:
    """The type, of lists and dicts that of what is in them too."""
    if isinstance(value, dict):
        return [(name, _kind(inner)) for name, inner in value.items()]
    if isinstance(value, list):
        return list, {str(_kind(inner)) for inner in value}
    return (type(value), value.dtype, value.shape) if isinstance(value, np.ndarray) else type(value)


def _check_same(theirs: list[dict[str, Any]], ours: list[dict[str, Any]]) -> None:
    assert len(ours) == len(theirs) > 0
    for one, other in zip(theirs, ours, strict=True):
        assert list(other) == list(one)
        # Whole numbers of boxes are float there wherever some batch of points found nothing.
        assert all(_kind(other[name]) == _kind(one[name]) for name in one if name not in ("bbox", "crop_box"))
        assert type(other["bbox"]) is type(other["crop_box"]) is list
        for name in ("point_coords", "crop_box"):
            assert other[name] == one[name]
        assert other["predicted_iou"] == pytest.approx(one["predicted_iou"], abs=SCORE)
        assert other["stability_score"] == pytest.approx(one["stability_score"], abs=STABILITY, nan_ok=True)
        a, b = _mask(one), _mask(other)
        assert (a & b).sum() >= IOU * (a | b).sum()
        assert abs(other["area"] - one["area"]) <= 1 - IOU + (1 - IOU) * one["area"]
        if (a == b).all():  # else a pixel on the edge may have moved a side
            assert other["area"] == one["area"] and other["bbox"] == one["bbox"]
        assert np.abs(np.subtract(other["bbox"], one["bbox"])).max() <= 2


@pytest.mark.parametrize(
    "options",
    [pytest.param(OPTIONS[name], id=name, marks=[pytest.mark.soak] if name == "crops" else []) for name in OPTIONS],
)
def test_records_are_those_of_the_original_in_their_order(sam: Any, dogs: np.ndarray, options: dict[str, Any]) -> None:
    _check_same(Theirs(sam, **options).generate(dogs), SamAutomaticMaskGenerator(sam, **options).generate(dogs))


@pytest.mark.parametrize("mode", ["uncompressed_rle", "coco_rle"])
def test_masks_come_in_the_form_that_is_asked_for(sam: Any, dogs: np.ndarray, mode: str) -> None:
    options: dict[str, Any] = {"points_per_side": 1, "output_mode": mode, "stability_score_thresh": 0.0}
    theirs, ours = (kind(sam, **options).generate(dogs) for kind in (Theirs, SamAutomaticMaskGenerator))
    _check_same(theirs, ours)


def test_areas_and_boxes_are_those_of_the_masks(sam: Any, dogs: np.ndarray) -> None:
    for record in SamAutomaticMaskGenerator(sam, points_per_side=3).generate(dogs):
        rows, columns = np.nonzero(record["segmentation"])
        x, y, width, height = record["bbox"]
        assert record["area"] == len(rows)
        assert (x, y, x + width, y + height) == (columns.min(), rows.min(), columns.max(), rows.max())


@pytest.mark.soak
def test_records_are_those_of_the_original_on_every_photo(sam: Any, photos: list[Path]) -> None:
    for path in photos:
        pixels = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
        assert pixels is not None
        _check_same(*(kind(sam, points_per_side=12).generate(pixels) for kind in (Theirs, SamAutomaticMaskGenerator)))


def test_a_segmenter_serves_as_a_model(segmenter: Segmenter, sam: Any, dogs: np.ndarray) -> None:
    options: dict[str, Any] = {"points_per_side": 2}
    ours = SamAutomaticMaskGenerator(segmenter, **options).generate(dogs)
    _check_same(SamAutomaticMaskGenerator(sam, **options).generate(dogs), ours)


def test_a_plain_vit_answers_as_the_original(tiny_sam_state: dict[str, Tensor], photo: np.ndarray) -> None:
    """Random weights: no mask is stable, so all are asked for; with another threshold of the model's."""
    tiny = module_of(recognise(tiny_sam_state), tiny_sam_state)
    tiny.mask_threshold = 0.02
    options: dict[str, Any] = {
        "points_per_side": 2, "pred_iou_thresh": 0.0, "stability_score_thresh": 0.0, "stability_score_offset": 0.05,
    }  # fmt: skip
    _check_same(Theirs(tiny, **options).generate(photo), SamAutomaticMaskGenerator(tiny, **options).generate(photo))


def test_the_constructor_and_generate_take_what_the_originals_take() -> None:
    for one, other in ((Theirs, SamAutomaticMaskGenerator), (Theirs.generate, SamAutomaticMaskGenerator.generate)):
        theirs, ours = (inspect.signature(each).parameters.values() for each in (one, other))
        assert [(p.name, p.kind, p.default) for p in ours] == [(p.name, p.kind, p.default) for p in theirs]


def test_attributes_are_those_of_the_original(sam: Any) -> None:
    theirs, ours = (kind(sam, points_per_side=4, crop_n_layers=1) for kind in (Theirs, SamAutomaticMaskGenerator))
    for name, value in vars(theirs).items():
        if name == "predictor":
            assert ours.predictor.model is sam
        elif name == "point_grids":
            assert all(np.array_equal(a, b) for a, b in zip(ours.point_grids, value, strict=True))
        else:
            assert getattr(ours, name) == value


def test_after_generating_the_predictor_remembers_no_image(sam: Any, dogs: np.ndarray) -> None:
    generator = SamAutomaticMaskGenerator(sam, points_per_side=1)
    before = dogs.copy()
    generator.generate(dogs)
    assert not generator.predictor.is_image_set and np.array_equal(dogs, before)


@pytest.mark.parametrize(
    "options",
    [{"points_per_side": None}, {"point_grids": [np.zeros((1, 2))]}, {"output_mode": "png"}],
    ids=["neither", "both", "mode"],
)
def test_wrong_arguments_raise_as_the_original(sam: Any, options: dict[str, Any]) -> None:
    with pytest.raises(AssertionError) as theirs:
        Theirs(sam, **options)
    with pytest.raises(PredictorArgumentError) as ours:
        SamAutomaticMaskGenerator(sam, **options)
    assert str(ours.value) == str(theirs.value)
    assert isinstance(ours.value, AssertionError) and isinstance(ours.value, ClickmaskError)


@pytest.mark.parametrize(
    "options",
    [
        {"points_per_side": 0},
        {"points_per_side": -3},
        {"points_per_side": "32"},
        {"points_per_side": 10**6},
        {"crop_n_layers": -1},
        {"crop_n_layers": 99},
        {"crop_n_points_downscale_factor": 0},
        {"crop_overlap_ratio": float("nan")},
        {"pred_iou_thresh": float("nan")},
        {"pred_iou_thresh": "0.9"},
        {"stability_score_thresh": float("nan")},
        {"stability_score_offset": float("inf")},
        {"box_nms_thresh": -0.1},
        {"crop_nms_thresh": None},
        {"min_mask_region_area": -5},
    ],
    ids=str,
)
def test_numbers_that_make_no_sense_are_named(sam: Any, options: dict[str, Any]) -> None:
    (name,) = options
    with pytest.raises(SettingsError, match=name):
        SamAutomaticMaskGenerator(sam, **options)


@pytest.mark.soak
def test_thresholds_below_zero_ask_nothing_as_in_the_original(sam: Any, dogs: np.ndarray) -> None:
    below = SamAutomaticMaskGenerator(sam, 1, pred_iou_thresh=-1, stability_score_thresh=-0.5).generate(dogs)
    nothing = SamAutomaticMaskGenerator(sam, 1, pred_iou_thresh=0, stability_score_thresh=0).generate(dogs)
    assert [one["area"] for one in below] == [one["area"] for one in nothing] and below


def test_what_is_no_model_and_what_is_no_picture_is_refused_as_by_the_original(sam: Any) -> None:
    with pytest.raises(WeightsError):
        SamAutomaticMaskGenerator(torch.nn.Linear(1, 1))
    for picture in (np.zeros((8, 8), np.uint8), np.zeros((8, 8, 4), np.uint8)):
        with pytest.raises(Exception) as theirs:
            Theirs(sam, 1).generate(picture)
        with pytest.raises(type(theirs.value)):
            SamAutomaticMaskGenerator(sam, 1).generate(picture)


def test_a_picture_in_which_nothing_is_found_gives_an_empty_list(sam: Any, dogs: np.ndarray) -> None:
    assert SamAutomaticMaskGenerator(sam, 1, pred_iou_thresh=5.0).generate(dogs) == []
