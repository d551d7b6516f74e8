"""Grids and crops beside segment_anything's; tiles by what they have to do."""

from __future__ import annotations

import numpy as np
import pytest
from segment_anything.utils import amg

from clickmask.service.everything.grids import crop_windows, crops_of, layer_grids, tile_windows, tiles_of

SIZES = [(1, 1), (3, 3), (1, 40), (41, 1), (100, 80), (682, 1024), (1024, 682), (1500, 1001), (999, 333), (6000, 4000)]


@pytest.mark.parametrize("per_side", [1, 2, 3, 5, 16, 32, 33])
@pytest.mark.parametrize(("layers", "downscale"), [(0, 1), (1, 1), (2, 2), (3, 1)])
def test_grids_are_those_of_segment_anything_number_for_number(per_side: int, layers: int, downscale: int) -> None:
    if per_side // downscale**layers < 1:
        return  # segment_anything divides by zero there
    theirs = amg.build_all_layer_point_grids(per_side, layers, downscale)
    ours = layer_grids(per_side, layers, downscale)
    assert len(ours) == layers + 1
    assert all(np.array_equal(one, other) for one, other in zip(ours, theirs, strict=True))


def test_a_layer_that_is_to_have_no_points_has_none() -> None:
    assert [grid.shape for grid in layer_grids(2, 2, 2)] == [(4, 2), (1, 2), (0, 2)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("ratio", [0.0, 0.1, 512 / 1500, 0.5])
@pytest.mark.parametrize("layers", [0, 1, 2, 3])
def test_crops_are_those_of_segment_anything(size: tuple[int, int], ratio: float, layers: int) -> None:
    boxes, numbers = amg.generate_crop_boxes(size[::-1], layers, ratio)
    theirs = [(tuple(box), layer) for box, layer in zip(boxes, numbers, strict=True) if box[0] < box[2]]
    assert crop_windows(size, layers, ratio) == [(box, n) for box, n in theirs if box[1] < box[3]]


def test_points_of_crops_are_those_of_segment_anything() -> None:
    size, grids = (1500, 1001), layer_grids(8, 2, 2)
    for crop, (window, layer) in zip(crops_of(size, grids, 2, 0.3), crop_windows(size, 2, 0.3), strict=True):
        x0, y0, x1, y1 = window
        theirs = grids[layer] * np.array([[x1 - x0, y1 - y0]]) + np.array([[x0, y0]])
        assert crop.window == window and np.array_equal(crop.points, theirs)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("tile", "halo"), [(64, 0), (64, 16), (100, 50), (1024, 256), (7, 3)])
def test_tiles_cover_the_image_and_overlap_by_the_halo(size: tuple[int, int], tile: int, halo: int) -> None:
    windows = tile_windows(size, tile, halo)
    for axis, side in enumerate(size):
        spans = sorted({(window[axis], window[axis + 2]) for window in windows})
        assert spans[0][0] == 0 and spans[-1][1] == side
        assert all(stop - start == min(tile, side) for start, stop in spans)
        for (_, stop), (start, _) in zip(spans, spans[1:], strict=False):
            assert stop - start >= halo
        assert len(spans) == 1 or (len(spans) - 1) * (tile - halo) + halo < side  # not one more than needed
    assert len(windows) == len(set(windows))


def test_tiles_have_their_points_within_them() -> None:
    for crop in tiles_of((300, 200), layer_grids(4, 0, 1)[0], 128, 32):
        x0, y0, x1, y1 = crop.window
        assert len(crop.points) == 16
        assert ((crop.points > [x0, y0]) & (crop.points < [x1, y1])).all()
        assert np.allclose(crop.points[0], [x0 + 16, y0 + 16])


def test_a_crop_is_moved_with_its_points() -> None:
    (crop,) = crops_of((40, 20), layer_grids(2, 0, 1), 0, 0)
    moved = crop.shifted(7, 9)
    assert moved.window == (7, 9, 47, 29)
    assert np.array_equal(moved.points, crop.points + [7, 9])


def test_a_crop_too_thin_to_be_looked_at_is_left_out() -> None:
    """Without overlap a layer's last crop of 2500 x 3 pixels is one row high: nothing of it is left in the model's."""
    windows = [crop.window for crop in crops_of((5000, 3), layer_grids(2, 1, 1), 1, 0.0)]
    assert windows == [(0, 0, 5000, 3), (0, 0, 2500, 2), (2500, 0, 5000, 2)]
