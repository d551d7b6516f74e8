"""Coordinates there and back, sizes as segment_anything rounds them, low-res logits to pixels and other windows."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from segment_anything.modeling import Sam
from segment_anything.utils.transforms import ResizeLongestSide
from torch import Tensor

from clickmask.models.frame import LOW_RES, MODEL_SIDE, Frame, reproject, upsample

SIZES = [(1, 1), (1, 700), (1024, 683), (683, 1024), (4000, 3000), (333, 1777), (1025, 1023), (170, 256), (5, 3)]
WINDOWS = [
    Frame(4000, 3000, (900, 700, 1300, 1000)),
    Frame(4000, 3000, (3999, 0, 4000, 1)),
    Frame(333, 1777, (0, 1, 333, 1777)),
    Frame(1024, 683, (5, 6, 1023, 682)),
]
FRAMES = [Frame.whole(*size) for size in SIZES] + WINDOWS


def _noise(count: int = 1, seed: int = 0) -> Tensor:
    return 10 * torch.randn(count, LOW_RES, LOW_RES, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("frame", FRAMES, ids=str)
def test_image_to_model_to_image_gives_the_coordinates_back(frame: Frame) -> None:
    x0, y0, x1, y1 = frame.window
    share = torch.rand(500, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    coords = share * torch.tensor([x1 - x0, y1 - y0]) + torch.tensor([x0, y0])
    torch.testing.assert_close(frame.to_image(frame.to_model(coords)), coords, rtol=0, atol=1e-9)


@pytest.mark.parametrize("frame", FRAMES, ids=str)
def test_window_fills_its_scaled_size_from_the_top_left(frame: Frame) -> None:
    x0, y0, x1, y1 = frame.window
    corners = frame.to_model(torch.tensor([[x0, y0], [x1, y1]], dtype=torch.float64))
    expected = torch.tensor([[0, 0], frame.scaled_size], dtype=torch.float64)
    torch.testing.assert_close(corners, expected, rtol=0, atol=1e-9)
    assert max(frame.scaled_size) == MODEL_SIDE


def test_coordinates_of_a_window_worked_by_hand() -> None:
    """A window of 512 x 256 at (100, 50) is scaled by two."""
    frame = Frame(2000, 1000, (100, 50, 612, 306))
    assert frame.window_size == (512, 256)
    assert frame.scaled_size == (1024, 512)
    assert frame.to_model(torch.tensor([[110.0, 75.5]])).tolist() == [[20.0, 51.0]]
    assert frame.to_image(torch.tensor([[20.0, 51.0]])).tolist() == [[110.0, 75.5]]


def test_only_the_frame_of_all_pixels_is_whole() -> None:
    assert Frame.whole(30, 20).is_whole
    assert Frame(30, 20, (0, 0, 30, 20)).is_whole
    assert not Frame(30, 20, (0, 0, 30, 19)).is_whole
    assert not Frame(30, 20, (1, 0, 30, 20)).is_whole


def test_scaled_size_is_that_of_the_original() -> None:
    others = [1, 2, 3, 7, 50, 99, 255, 256, 300, 683, 1000, 1023, 1024, 1025, 2047, 3000]
    for width in range(1, 301):
        for height in others:
            theirs = ResizeLongestSide.get_preprocess_shape(height, width, MODEL_SIDE)
            assert Frame.whole(width, height).scaled_size == theirs[::-1]


def test_coordinates_equal_those_of_the_original() -> None:
    for width, height in SIZES:
        coords = torch.rand(20, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(width))
        coords *= torch.tensor([width, height])
        theirs = ResizeLongestSide(MODEL_SIDE).apply_coords(coords.numpy(), (height, width))
        ours = Frame.whole(width, height).to_model(coords)
        torch.testing.assert_close(ours, torch.from_numpy(theirs), rtol=1e-12, atol=1e-9)


@pytest.mark.parametrize("frame", FRAMES, ids=str)
def test_upsample_equals_the_original(frame: Frame) -> None:
    low_res = _noise(2)
    width, height = frame.scaled_size
    original = SimpleNamespace(image_encoder=SimpleNamespace(img_size=MODEL_SIDE))
    theirs = Sam.postprocess_masks(original, low_res[:, None], (height, width), frame.window_size[::-1])
    torch.testing.assert_close(upsample(low_res, frame), theirs[:, 0], rtol=0, atol=1e-5)


def test_low_res_square_lies_on_known_pixels() -> None:
    """Low-res cells 10 to 19 and 20 to 39 of a 1024 x 512 image are its pixels 40 to 79 and 80 to 159.

    Between two cells of opposite sign and equal size, bilinear logits change sign half way: on the cells' border.
    """
    low_res = torch.full((1, LOW_RES, LOW_RES), -5.0)
    low_res[0, 20:40, 10:20] = 5.0
    pixels = upsample(low_res, Frame.whole(1024, 512))[0] > 0
    assert pixels.shape == (512, 1024)
    rows, columns = pixels.nonzero().T
    assert (int(columns.min()), int(columns.max())) == (40, 79)
    assert (int(rows.min()), int(rows.max())) == (80, 159)
    # Each corner's own pixel and two beside it stay below zero, where both slopes pull down; all else is filled.
    assert int(pixels.sum()) == 40 * 80 - 4 * int((~pixels[80:84, 40:44]).sum())
    assert pixels[84:156, 44:76].all()


@pytest.mark.parametrize("frame", FRAMES, ids=str)
def test_reproject_onto_the_same_frame_changes_only_the_padding(frame: Frame) -> None:
    low_res = _noise()[0]
    width, height = (side / MODEL_SIDE * LOW_RES for side in frame.scaled_size)
    again = reproject(low_res, frame, frame)
    middles = torch.arange(LOW_RES) + 0.5
    inside = (middles < height)[:, None] & (middles < width)[None]
    torch.testing.assert_close(again[inside], low_res[inside], rtol=0, atol=2e-3)
    assert (again[~inside] == low_res.min()).all()


def test_reproject_magnifies_a_window_worked_by_hand() -> None:
    """The window is the right half of the upper half: its cell (r, c) covers half a cell of the whole image's."""
    whole, window = Frame.whole(1024, 1024), Frame(1024, 1024, (512, 0, 1024, 512))
    low_res = torch.full((LOW_RES, LOW_RES), -3.0)
    low_res[30:60, 150:200] = 3.0
    seen = reproject(low_res, whole, window) > 0
    rows, columns = seen.nonzero().T
    assert (int(columns.min()), int(columns.max())) == (2 * (150 - 128), 2 * (200 - 128) - 1)
    assert (int(rows.min()), int(rows.max())) == (60, 119)


def test_reproject_is_background_where_the_source_saw_nothing() -> None:
    low_res = _noise()[0]
    whole, window = Frame.whole(1024, 1024), Frame(1024, 1024, (512, 0, 1024, 512))
    back = reproject(low_res, window, whole)
    assert (back[:, :128] == low_res.min()).all()
    assert (back[128:] == low_res.min()).all()
    assert (back[:128, 128:] != low_res.min()).float().mean() > 0.99


@pytest.mark.parametrize(("width", "height"), [(1024, 683), (1024, 1), (1000, 1024), (30, 20)])
def test_valid_low_res_counts_the_cells_that_lie_on_the_picture(width: int, height: int) -> None:
    frame = Frame.whole(width, height)
    columns, rows = frame.valid_low_res()
    scaled_width, scaled_height = frame.scaled_size
    assert 4 * (columns - 1) < scaled_width <= 4 * columns
    assert 4 * (rows - 1) < scaled_height <= 4 * rows
