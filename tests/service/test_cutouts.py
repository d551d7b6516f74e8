"""Cut-outs and overlays, worked by hand on a square."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from clickmask.models.errors import OutputError, PromptError
from clickmask.service.cutouts import cutout, overlay
from clickmask.service.palette import PALETTE, colour


@pytest.fixture
def square(photo: np.ndarray) -> np.ndarray:
    """20 x 30 pixels of the photo, from (50, 60) to (70, 90)."""
    mask = np.zeros(photo.shape[:2], bool)
    mask[60:90, 50:70] = True
    return mask


def test_cutout_is_the_mask_s_box(photo: np.ndarray, square: np.ndarray) -> None:
    cut = cutout(photo, square)
    assert cut.shape == (30, 20, 4) and cut.dtype == np.uint8
    assert np.array_equal(cut[..., :3], photo[60:90, 50:70])
    assert (cut[..., 3] == 255).all()


def test_padding_keeps_the_photo_under_clear_pixels(photo: np.ndarray, square: np.ndarray) -> None:
    cut = cutout(photo, square, pad=5)
    assert cut.shape == (40, 30, 4)
    assert np.array_equal(cut[..., :3], photo[55:95, 45:75])
    assert np.array_equal(cut[..., 3] == 255, square[55:95, 45:75])
    assert set(np.unique(cut[..., 3])) == {0, 255}


def test_padding_ends_at_the_image(photo: np.ndarray, square: np.ndarray) -> None:
    assert cutout(photo, square, pad=1000).shape == (*photo.shape[:2], 4)


def test_feather_rises_inside_the_outline(photo: np.ndarray, square: np.ndarray) -> None:
    for pad in (0, 3):
        alpha = cutout(photo, square, pad=pad, feather=4)[..., 3]
        alpha = alpha[pad : 30 + pad, pad : 20 + pad]
        assert alpha[15, :5].tolist() == [32, 96, 159, 223, 255]
        assert alpha[15, ::-1].tolist() == alpha[15].tolist()
        assert alpha[:, 10].tolist() == alpha[::-1, 10].tolist()


def test_feather_adds_no_background(photo: np.ndarray, square: np.ndarray) -> None:
    alpha = cutout(photo, square, pad=8, feather=6)[..., 3]
    assert not alpha[~square[52:98, 42:78]].any()


def test_edge_is_hard_where_the_object_leaves_the_image(photo: np.ndarray) -> None:
    mask = np.zeros(photo.shape[:2], bool)
    mask[:, :30] = True
    alpha = cutout(photo, mask, feather=4)[..., 3]
    assert (alpha[:, 0] == 255).all() and (alpha[0, :20] == 255).all()
    assert (alpha[:, -1] == 32).all()


def test_object_that_fills_the_image_is_all_opaque(photo: np.ndarray) -> None:
    cut = cutout(photo, np.ones(photo.shape[:2], bool), pad=3, feather=5)
    assert np.array_equal(cut[..., :3], photo) and (cut[..., 3] == 255).all()


def test_empty_mask_cannot_be_cut_out(photo: np.ndarray) -> None:
    with pytest.raises(OutputError, match="empty"):
        cutout(photo, np.zeros(photo.shape[:2], bool))


@pytest.mark.parametrize(("pad", "feather"), [(-1, 0), (0, -1), (0, float("nan")), (0, float("inf"))])
def test_impossible_margins_are_refused(photo: np.ndarray, square: np.ndarray, pad: int, feather: float) -> None:
    with pytest.raises(PromptError, match="pad and feather"):
        cutout(photo, square, pad, feather)


def test_mask_of_another_size_is_refused(photo: np.ndarray) -> None:
    for make in (lambda mask: cutout(photo, mask), lambda mask: overlay(photo, [mask])):
        with pytest.raises(PromptError, match="mask has shape"):
            make(np.ones((3, 3), bool))


def test_overlay_fills_and_outlines(photo: np.ndarray, square: np.ndarray) -> None:
    marked = overlay(photo, [square])
    tint = np.array(colour(0))
    assert np.array_equal(marked[~square], photo[~square])
    assert (marked[60, 50:70] == tint).all() and (marked[60:90, 69] == tint).all()
    expected = np.rint(photo[61:89, 51:69] * 0.6 + tint * 0.4)
    assert np.abs(marked[61:89, 51:69] - expected).max() <= 1


def test_overlay_leaves_the_photo_alone(photo: np.ndarray, square: np.ndarray) -> None:
    before = photo.copy()
    overlay(photo, [square])
    assert np.array_equal(photo, before)


def test_outline_does_not_follow_the_image_s_border(photo: np.ndarray) -> None:
    marked = overlay(photo, [np.ones(photo.shape[:2], bool)])
    assert not (marked[0] == colour(0)).all()


def test_later_masks_lie_on_top(photo: np.ndarray, square: np.ndarray) -> None:
    marked = overlay(photo, [square, square], [(255, 0, 0), (0, 0, 255)], alpha=1.0)
    assert (marked[square] == (0, 0, 255)).all()


def test_empty_mask_marks_nothing(photo: np.ndarray) -> None:
    assert np.array_equal(overlay(photo, [np.zeros(photo.shape[:2], bool)]), photo)


def test_overlay_refuses_what_makes_no_sense(photo: np.ndarray, square: np.ndarray) -> None:
    with pytest.raises(PromptError, match="alpha"):
        overlay(photo, [square], alpha=1.5)
    with pytest.raises(PromptError, match="colours"):
        overlay(photo, [square, square], [(1, 2, 3)])


def test_palette_colours_are_twenty_and_far_apart() -> None:
    lab = cv2.cvtColor(np.array([PALETTE], np.float32) / 255, cv2.COLOR_RGB2LAB)[0]
    distances = np.linalg.norm(lab[:, None] - lab, axis=2)
    np.fill_diagonal(distances, np.inf)
    assert len(PALETTE) == 20
    assert distances.min() > 40


def test_palette_comes_again_after_twenty() -> None:
    assert [colour(index) for index in (0, 19, 20)] == [PALETTE[0], PALETTE[19], PALETTE[0]]
