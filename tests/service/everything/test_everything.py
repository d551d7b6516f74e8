"""`everything` and `proposals` on real weights and low strips, encoded and decoded in a moment."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from clickmask import ClosedError, Found, OpenImage, Segmenter, SettingsError, WeightsError
from clickmask.service.everything.search import Candidate

LOW: dict[str, Any] = {"pred_iou_thresh": 0.7, "stability_score_thresh": 0.8}
GRID: dict[str, Any] = {"points_per_side": 4}


@pytest.fixture(scope="module")
def image(strip_segmenter: Segmenter, strip: np.ndarray) -> OpenImage:
    """1024 x 64, never to be closed."""
    return strip_segmenter.open(strip)


@pytest.fixture(scope="module")
def found(image: OpenImage) -> Found:
    return image.everything(**GRID, **LOW)


def _bits(found: Found) -> list[tuple[Any, ...]]:
    return [(m.score, m.stability, m.index, m.point, m.crop, m.rle()["counts"]) for m in found]


def _key(candidate: Candidate) -> tuple[Any, ...]:
    return candidate.point, candidate.number, candidate.score, candidate.runs.rle()["counts"]


def test_masks_are_found_the_largest_first(found: Found) -> None:
    assert len(found) >= 3 and found.is_complete and found.points == 16
    assert [m.area for m in found] == sorted((m.area for m in found), reverse=True)
    assert all(mask.score > 0.7 and mask.stability >= 0.8 for mask in found)
    assert found.peak_memory is None or found.peak_memory > 1 << 20


def test_each_point_is_among_the_candidates_of_a_click_there(image: OpenImage, found: Found) -> None:
    """Logits that are decoded again, and the mask, are those of `candidates`; so are score and stability."""
    for mask in found:
        other = next(one for one in image.candidates(points=[mask.point]) if one.index == mask.index)
        assert np.array_equal(mask.logits, other.logits)
        assert mask.score == pytest.approx(other.score, abs=1e-4)
        assert mask.stability == pytest.approx(other.stability, abs=1e-3)
        assert (mask.pixels & other.pixels).sum() > 0.999 * (mask.pixels | other.pixels).sum()


def test_what_any_mask_can_do_a_found_mask_can(found: Found, tmp_path: Path) -> None:
    mask = found[-1]
    x0, y0, x1, y1 = mask.box or (0, 0, 0, 0)
    assert mask.area == mask.pixels.sum() and mask.cutout().shape == (y1 - y0, x1 - x0, 4)
    assert mask.polygons() and mask.clean(specks=1.0).area <= mask.area
    for name in ("mask.png", "photo.jpg", "data.json"):
        mask.save(tmp_path / name)
    written = cv2.imread(str(tmp_path / "mask.png"), cv2.IMREAD_GRAYSCALE)
    assert written is not None and ((written > 0) == mask.pixels).all()
    assert json.loads((tmp_path / "data.json").read_text())
    assert mask._repr_png_()[:4] == b"\x89PNG"
    with pytest.raises(AttributeError):
        mask.score = 1.0  # pyright: ignore[reportAttributeAccessIssue]


def test_the_same_call_gives_the_same_bits_also_in_many_threads(image: OpenImage, found: Found) -> None:
    with ThreadPoolExecutor(4) as pool:
        for other in pool.map(lambda _: image.everything(**GRID, **LOW), range(4)):
            assert _bits(other) == _bits(found)


def test_the_number_of_threads_changes_no_bit(image: OpenImage, found: Found) -> None:
    before = torch.get_num_threads()
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            assert _bits(image.everything(**GRID, **LOW)) == _bits(found)
    finally:
        torch.set_num_threads(before)


def test_proposals_are_chosen_from_again_and_again_as_everything_would(image: OpenImage, found: Found) -> None:
    proposals = image.proposals(**GRID)
    assert _bits(proposals.filter(**LOW)) == _bits(found)
    strict = proposals.filter()
    assert _bits(strict) == _bits(image.everything(**GRID)) == _bits(proposals.filter())
    assert _bits(proposals.filter(**LOW)) == _bits(found) and len(proposals) >= len(found)


@pytest.mark.soak
def test_tiles_are_chosen_from_as_everything_would(image: OpenImage) -> None:
    """With parts to join: what the lower floors kept besides must not matter."""
    tiles: dict[str, Any] = {"points_per_side": 4, "tiles": 256, "whole": False}
    proposals = image.proposals(**tiles)
    assert sum(candidate.is_cut for candidate in proposals.finds.candidates) > 10
    assert _bits(proposals.filter()) == _bits(image.everything(**tiles))


def test_lower_thresholds_take_in_what_higher_ones_took(image: OpenImage) -> None:
    """Before suppression."""
    proposals = image.proposals(**GRID)
    everything: dict[str, Any] = {"box_nms_thresh": 1.0, "crop_nms_thresh": 1.0}
    high = set(_bits(proposals.filter(pred_iou_thresh=0.9, stability_score_thresh=0.95, **everything)))
    low = set(_bits(proposals.filter(**LOW, **everything)))
    assert high < low


@pytest.mark.parametrize(("threshold", "floor"), [("pred_iou_thresh", "floor_score"), ("stability_score_thresh", "floor_stability")])  # fmt: skip # noqa: E501
def test_a_threshold_below_what_was_kept_is_refused(image: OpenImage, threshold: str, floor: str) -> None:
    proposals = image.proposals(points_per_side=1)
    options: dict[str, Any] = {threshold: 0.5}
    with pytest.raises(SettingsError, match=f"{threshold}=0.5.*{floor}"):
        proposals.filter(**options)
    with pytest.raises(SettingsError, match="tiles: there is no such option here"):
        proposals.filter(tiles=64)  # pyright: ignore[reportCallIssue]


@pytest.mark.parametrize(
    "options", [{"points_per_side": 0}, {"dedup": "masks"}, {"pred_iou_tresh": 0.9}, {"adaptive": "yes"}], ids=str
)
def test_options_that_make_no_sense_are_named(image: OpenImage, options: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=next(iter(options))):
        image.everything(**options)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"crop_n_layers": 1, "crop_n_points_downscale_factor": 2},
        {"tiles": 512, "points_per_side": 2},
        {"adaptive": True, "points_per_side": 6},
    ],
    ids=str,
)
def test_progress_only_grows_and_never_beyond_the_total(image: OpenImage, options: dict[str, Any]) -> None:
    told: list[tuple[int, int]] = []
    found = image.everything(**{**GRID, **options}, progress=lambda done, total: told.append((done, total)))
    done = [one for one, _ in told]
    assert done[0] == 0 and done == sorted(done) and len({total for _, total in told}) == 1
    assert done[-1] == found.points <= told[-1][1]
    assert found.points == told[-1][1] or options.get("adaptive")


def test_a_search_that_is_cancelled_gives_what_was_found_so_far(image: OpenImage, found: Found) -> None:
    calls: list[int] = []

    def enough() -> bool:
        calls.append(1)
        return len(calls) > 4

    some = image.everything(**GRID, **LOW, is_cancelled=enough)
    assert not some.is_complete and 0 < some.points < 16
    everyone = image.proposals(**GRID).finds.candidates
    early = image.proposals(**GRID, is_cancelled=lambda: True)
    assert not early.is_complete and len(early) == 0 and early.filter() == []
    assert {(mask.point, mask.index) for mask in some} <= {(c.point, c.number) for c in everyone}


def test_an_error_in_a_callback_passes_through(image: OpenImage, found: Found) -> None:
    def fail(done: int, total: int) -> None:
        if done:
            raise ZeroDivisionError("mine")

    def refuse() -> bool:
        raise KeyError("mine too")

    with pytest.raises(ZeroDivisionError, match="mine"):
        image.everything(**GRID, progress=fail)
    with pytest.raises(KeyError, match="mine too"):
        image.everything(**GRID, is_cancelled=refuse)
    assert _bits(image.everything(**GRID, **LOW)) == _bits(found)


def test_a_closed_image_is_searched_no_more_but_masks_stay(strip_segmenter: Segmenter, strip: np.ndarray) -> None:
    image = strip_segmenter.open(strip)
    found, proposals = image.everything(points_per_side=2, **LOW), image.proposals(points_per_side=2)
    image.close()
    for call in (image.everything, image.proposals, lambda: found[0].logits, lambda: found[0].cutout()):
        with pytest.raises(ClosedError):
            call()
    assert found[0].pixels.any() and len(proposals.filter(**LOW)) == len(found)


def test_an_image_closed_in_the_middle_of_a_search_ends_it(strip_segmenter: Segmenter, strip: np.ndarray) -> None:
    image = strip_segmenter.open(strip)
    with pytest.raises(ClosedError):
        image.everything(points_per_side=1, crop_n_layers=1, progress=lambda done, _: done and image.close())


def test_too_little_memory_is_named_with_what_is_needed(image: OpenImage) -> None:
    with pytest.raises(SettingsError, match=r"max_memory=1000: at least (\d+) bytes") as caught:
        image.everything(max_memory=1000)
    least = int(str(caught.value).split("at least ")[1].split()[0])
    with pytest.raises(SettingsError, match="max_memory"):
        image.everything(**GRID, max_memory=least - 1)
    assert image.everything(**GRID, **LOW, max_memory=least).points == 16
    with pytest.raises(SettingsError, match="max_memory"):  # a tile's pixels are copied
        image.everything(**GRID, tiles=64, max_memory=least)


def test_a_blank_picture_has_no_parts(strip_segmenter: Segmenter) -> None:
    for grey in (0, 127, 255):
        found = strip_segmenter.open(np.full((40, 640, 3), grey, np.uint8)).everything(**GRID)
        assert found.is_complete and all(mask.area > 0.9 * 40 * 640 for mask in found)


@pytest.mark.parametrize(
    ("size", "options"),
    [
        ((1, 1), {}),
        ((3, 3), {"crop_n_layers": 1}),
        ((1, 300), {}),
        ((1000, 1), {"tiles": 512, "whole": False}),
        ((640, 7), {"crop_n_layers": 1}),
    ],
    ids=str,
)
def test_pictures_of_any_size_are_searched(
    strip_segmenter: Segmenter, size: tuple[int, int], options: dict[str, Any]
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    image = strip_segmenter.open(pixels)
    nothing_asked: dict[str, Any] = {"pred_iou_thresh": 0, "stability_score_thresh": 0}
    found = image.everything(points_per_side=1, **nothing_asked, **options)
    assert found.is_complete and found.size == size
    for mask in found:
        assert mask.pixels.shape == size[::-1] and mask.area == mask.pixels.sum() > 0
    assert found.label_map().shape == size[::-1] and len(found.parents) == len(found)


@pytest.mark.parametrize("options", [{}, {"crop_n_layers": 1}, {"tiles": 256}], ids=str)
def test_in_a_window_everything_stays_in_the_window_and_in_the_images_frame(
    image: OpenImage, options: dict[str, Any]
) -> None:
    x0, y0, x1, y1 = 400, 10, 720, 60
    window = image.window((x0, y0, x1, y1))
    found = window.everything(points_per_side=2, **LOW, **options)
    assert len(found) and found.size == (1024, 64)
    outside = np.ones((64, 1024), bool)
    outside[y0:y1, x0:x1] = False
    for mask in found:
        x, y = mask.point
        assert x0 < x < x1 and y0 < y < y1
        assert mask.pixels.shape == (64, 1024) and not mask.pixels[outside].any()
    assert not found.label_map()[outside].any()


def test_masks_of_crops_are_decoded_again_in_their_crop(image: OpenImage) -> None:
    found = image.everything(points_per_side=3, tiles=512, **LOW)
    mask = next(mask for mask in found if mask.crop != (0, 0, 1024, 64))
    part = image.window(mask.crop)
    expected = next(one for one in part.candidates(points=[mask.point]) if one.index == mask.index)
    np.testing.assert_allclose(mask.logits, expected.logits, atol=1e-3)


def test_points_on_the_very_edge_are_asked_and_decoded_again(image: OpenImage) -> None:
    corners = [np.array([[0.0, 0.0], [1.0, 1.0], [1.0, 0.0], [0.5, 1.0]])]
    nothing_asked: dict[str, Any] = {"pred_iou_thresh": 0, "stability_score_thresh": 0, "box_nms_thresh": 1.0}
    found = image.everything(points_per_side=None, point_grids=corners, **nothing_asked)
    places = {(round(x, 9), round(y, 9)) for x, y in (mask.point for mask in found)}
    assert places == {(0, 0), (1024, 64), (1024, 0), (512, 64)}
    for mask in found:
        assert mask.logits.shape == (256, 256)


def test_an_adaptive_search_finds_what_the_full_one_finds_with_fewer_points(
    strip_segmenter: Segmenter, photo: np.ndarray
) -> None:
    """Each of its candidates is one of the full grid's, to the bit."""
    image = strip_segmenter.open(photo)

    def candidates(**options: Any) -> tuple[set[tuple[Any, ...]], int]:
        finds = image.proposals(points_per_side=8, floor_score=0.8, floor_stability=0.9, **options).finds
        return {_key(candidate) for candidate in finds.candidates}, finds.points

    (adaptive, fewer), (full, points) = candidates(adaptive=True), candidates()
    assert adaptive < full and 16 < fewer < points == 64


def test_embeddings_without_pixels_are_searched_whole(image: OpenImage) -> None:
    bare = image.without_pixels()
    assert len(bare.everything(**GRID)) == len(image.everything(**GRID))
    with pytest.raises(ClosedError, match="pixels"):
        bare.everything(**GRID, tiles=64)


@pytest.mark.parametrize("thresholds", [{}, {"pred_iou_thresh": 0, "stability_score_thresh": 0}], ids=str)
def test_a_model_that_answers_with_no_numbers_is_named(
    tiny_sam_state: dict[str, torch.Tensor], cache_folder: Path, strip: np.ndarray, thresholds: dict[str, Any]
) -> None:
    """Rather than an empty list; as a click does it."""
    state = {name: tensor.clone() for name, tensor in tiny_sam_state.items()}
    for layer in ("0", "2"):  # finite, but not their products
        state[f"mask_decoder.iou_prediction_head.layers.{layer}.weight"].fill_(3e38)
    image = Segmenter(state, device="cpu", precision="float32", cache_dir=cache_folder).open(strip)
    with pytest.raises(WeightsError, match="no numbers"):
        image.click(500, 30)
    with pytest.raises(WeightsError, match="no numbers"):
        image.everything(points_per_side=2, **thresholds)


def test_a_floor_is_for_proposals(image: OpenImage) -> None:
    """In `everything` the thresholds are the floors: another would say nothing, so it is refused."""
    for name in ("floor_score", "floor_stability"):
        options: dict[str, Any] = {name: 0.5}
        with pytest.raises(SettingsError, match=name):
            image.everything(**GRID, **options)
