"""What can be asked for, and what is refused: by name, and with a word on what was expected."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import Any, get_type_hints

import numpy as np
import pytest

from clickmask import SettingsError
from clickmask.service.everything.options import Choice, ChoiceOptions, Options, Search, SearchOptions, build, split

NO_NUMBERS: list[Any] = [float("nan"), float("inf"), -float("inf"), -1, -0.001, True, "1", b"1", [1], None, 1j, 10**400]
NO_WHOLE_NUMBERS: list[Any] = [*NO_NUMBERS, 2.5, 1.0, 1 << 60, np.float32(2)]
NO_FLAGS: list[Any] = [None, 0, 1, "yes", "", [], np.array([True, False]), float("nan")]
NO_NAMES: list[Any] = [None, 1, "", "Box", "boxes", ["box"], np.array(["box", "mask"]), float("nan")]
NO_GRIDS: list[Any] = [
    np.zeros((4, 2)), "ab", 3, [], [np.zeros(2)], [np.zeros((3, 3))], [[0.5, 0.5]], [[[0.5, 0.5], [0.5]]],
    [np.array([[0.5, np.nan]])], [np.array([[0.5, 1.1]])], [np.array([[-0.1, 0.5]])], [np.array([["a", "b"]])],
    [np.array([[0.5j, 0.5]])], [np.array([[None, 0.5]])], [None], {0: np.zeros((1, 2))},
]  # fmt: skip
SHARES = ("tile_halo", "crop_overlap_ratio")

BAD_SEARCHES = [
    *[("points_per_side", value) for value in (*NO_WHOLE_NUMBERS, 0, 1025) if value is not None],
    *[("crop_n_layers", value) for value in (*NO_WHOLE_NUMBERS, 7)],
    *[("crop_n_points_downscale_factor", value) for value in (*NO_WHOLE_NUMBERS, 0)],
    *[(name, value) for name in (*SHARES, "stability_score_offset") for value in NO_NUMBERS],
    *[(name, value) for name in SHARES for value in (1.01, 2)],
    *[(name, value) for name in ("floor_score", "floor_stability") for value in (*NO_NUMBERS, 1e300)],
    *[(name, value) for name in ("adaptive", "whole") for value in NO_FLAGS],
    *[("tiles", value) for value in (*NO_WHOLE_NUMBERS, 63, "Auto", np.array([64, 128])) if value is not None],
    *[("max_memory", value) for value in (*NO_WHOLE_NUMBERS, 0) if value is not None],
]
BAD_CHOICES = [
    *[(name, value) for name in ("pred_iou_thresh", "stability_score_thresh") for value in (*NO_NUMBERS, 1e300)],
    *[
        (name, value)
        for name in ("box_nms_thresh", "crop_nms_thresh", "mask_nms_thresh", "contained", "specks", "holes")
        for value in (*NO_NUMBERS, 1.01)
    ],
    *[(name, value) for name in ("min_mask_region_area", "min_area") for value in NO_WHOLE_NUMBERS],
    *[("dedup", value) for value in NO_NAMES],
    *[("non_overlapping", value) for value in (0, 1, 1.0, None, "", "Area", ["area"], np.array([True, True]))],
]


@pytest.mark.parametrize(("name", "value"), BAD_SEARCHES, ids=str)
def test_a_search_refuses_what_makes_no_sense_by_name(name: str, value: Any) -> None:
    with pytest.raises(SettingsError, match=name):
        Search(**{name: value})


@pytest.mark.parametrize(("name", "value"), BAD_CHOICES, ids=str)
def test_a_choice_refuses_what_makes_no_sense_by_name(name: str, value: Any) -> None:
    with pytest.raises(SettingsError, match=name):
        Choice(**{name: value})


@pytest.mark.parametrize("grids", NO_GRIDS, ids=str)
def test_grids_that_are_none_are_refused(grids: Any) -> None:
    with pytest.raises(SettingsError, match="point_grids"):
        Search(points_per_side=None, point_grids=grids)


def test_grids_are_one_for_each_layer() -> None:
    grid = np.array([[0.0, 1.0]])
    Search(points_per_side=None, point_grids=[grid, grid], crop_n_layers=1)
    Search(points_per_side=None, point_grids=([[0, 1]],))  # pyright: ignore[reportArgumentType]
    Search(points_per_side=None, point_grids=[np.zeros((0, 2))])
    with pytest.raises(SettingsError, match="point_grids: expected a list of 3"):
        Search(points_per_side=None, point_grids=[grid, grid], crop_n_layers=2)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"points_per_side": None}, "points_per_side, point_grids"),
        ({"point_grids": [np.zeros((1, 2))]}, "points_per_side, point_grids"),
        ({"tiles": 512, "crop_n_layers": 1}, "tiles, crop_n_layers"),
        ({"whole": False}, "whole=False"),
        ({"adaptive": True, "points_per_side": None, "point_grids": [np.zeros((1, 2))]}, "adaptive"),
    ],
)
def test_what_does_not_go_together_is_refused(options: dict[str, Any], named: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(named)):
        Search(**options)


def test_numbers_of_numpy_are_numbers() -> None:
    search = Search(points_per_side=np.int64(4), floor_score=np.float32(0.5), adaptive=np.True_)  # pyright: ignore
    assert len(search.plan((100, 80))[0].points) == 16 and search.coarse_side(search.plan((100, 80))[0]) == 2
    assert Choice(non_overlapping=np.True_, min_area=np.int32(3)).order == "area"  # pyright: ignore


def test_who_gets_a_pixel() -> None:
    assert [Choice(non_overlapping=wish).order for wish in (False, True, "area", "score")] == [
        None, "area", "area", "score",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("typed", "kind"), [(SearchOptions, Search), (ChoiceOptions, Choice)], ids=["search", "choice"]
)
def test_options_by_name_are_the_fields(typed: Any, kind: Any) -> None:
    """Names, order and types."""
    assert list(typed.__annotations__) == [field.name for field in fields(kind)]
    assert get_type_hints(typed) == {field.name: get_type_hints(kind)[field.name] for field in fields(kind)}


def test_all_options_are_those_of_both() -> None:
    assert set(get_type_hints(Options)) == {field.name for kind in (Search, Choice) for field in fields(kind)}
    search, choice = split({"tiles": 64, "min_area": 5})
    assert (search, choice) == ({"tiles": 64}, {"min_area": 5})


def test_an_option_that_does_not_exist_is_refused_and_the_others_named() -> None:
    with pytest.raises(SettingsError, match="pred_iou_tresh: there is no such option.*pred_iou_thresh"):
        split({"pred_iou_tresh": 0.5})
    with pytest.raises(SettingsError, match="tiles: there is no such option here; there are pred_iou_thresh"):
        build(Choice, {"tiles": 64})


def test_auto_means_tiles_for_large_images_and_wherever_there_is_nothing_else() -> None:
    sizes = [(1536, 10), (1537, 10), (10, 4000)]
    assert [Search(tiles="auto").tile_for(size) for size in sizes] == [None, 1024, 1024]
    assert [Search(tiles="auto", whole=False).tile_for(size) for size in sizes] == [1024] * 3
    assert Search(tiles=100).tile_for((10, 10)) == 100 and Search().tile_for((9000, 9000)) is None


def test_a_plan_is_the_whole_first_and_then_its_tiles() -> None:
    windows = [crop.window for crop in Search(tiles=64, tile_halo=0.25, points_per_side=2).plan((112, 64))]
    assert windows == [(0, 0, 112, 64), (0, 0, 64, 64), (48, 0, 112, 64)]
    assert [crop.window for crop in Search(tiles=64, whole=False).plan((64, 64))] == [(0, 0, 64, 64)]


def test_every_second_point_a_side_is_asked_first_in_each_crop() -> None:
    search = Search(points_per_side=16, adaptive=True, crop_n_layers=1, crop_n_points_downscale_factor=4)
    assert [search.coarse_side(crop) for crop in search.plan((200, 100))] == [8, 2, 2, 2, 2]
    assert Search(points_per_side=7, adaptive=True).coarse_side(Search(points_per_side=7).plan((9, 9))[0]) == 4
    assert search.coarse_side(search.plan((9, 9))[0]) == 8 and Search().coarse_side(search.plan((9, 9))[0]) == 0


def test_the_plan_of_a_hundred_thousand_tiles_takes_little_room() -> None:
    crops = Search(tiles=64, tile_halo=0.5, points_per_side=1024).plan((10_000, 10_000))
    assert len(crops) > 90_000 and len({id(crop.grid) for crop in crops}) <= 2


@pytest.mark.parametrize("options", [{}, {"crop_n_layers": 2}, {"tiles": 64}, {"tiles": 64, "whole": False}])
def test_points_are_counted_without_making_them(options: dict[str, Any]) -> None:
    search = Search(points_per_side=6, **options)
    assert search.most_points((300, 200)) == sum(len(crop.points) for crop in search.plan((300, 200)))
