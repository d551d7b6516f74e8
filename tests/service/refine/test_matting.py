"""Soft edges of cut-outs: shares that are known are found, and colours without what shines through."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from clickmask import OpenImage, PromptError
from clickmask.service.cutouts import cutout
from clickmask.service.formats import Options
from clickmask.service.refine.matting import matte

RED, GREEN = np.array([200.0, 40, 30]), np.array([30.0, 120, 60])


def _blurred_disc(size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A red disc out of focus before green: the photo, its share of each pixel, and a hard mask a little too large."""
    rows, columns = np.mgrid[:size, :size]
    distance = np.hypot(columns - size / 2, rows - size / 2)
    share = np.clip((size * 0.32 - distance) / (size * 0.03) + 0.5, 0, 1)
    texture = np.random.default_rng(4).normal(0, 3, (size, size, 3))
    photo = share[..., None] * RED + (1 - share[..., None]) * GREEN + texture
    return photo.clip(0, 255).astype(np.uint8), share, distance < size * 0.325


@pytest.mark.soak  # numba compiles for a minute when it is first used
@pytest.mark.parametrize("size", [300, 1400])
def test_the_shares_and_colours_of_a_blurred_disc_are_found(size: int) -> None:
    photo, share, mask = _blurred_disc(size)
    found, colours = matte(photo, mask)
    assert found.dtype == np.float32 and colours.dtype == np.uint8
    hard, soft = np.abs(mask - share).mean(), np.abs(found - share).mean()
    assert soft < 0.25 * hard and np.abs(found - share).max() < 0.35
    edge = (share > 0.3) & (share < 0.9)
    assert np.abs(colours[edge] - RED).mean() < 12 < np.abs(photo[edge] - RED).mean()


@pytest.mark.soak
def test_a_soft_cutout_has_the_objects_colours_and_the_same_bytes_every_time() -> None:
    photo, share, mask = _blurred_disc(300)
    first = cutout(photo, mask, pad=5, soft=True)
    assert np.array_equal(first, cutout(photo, mask, pad=5, soft=True))
    height, width, _ = first.shape
    assert 0.64 * 300 < width < 0.75 * 300 and abs(height - width) < 8
    assert first[height // 2, width // 2, 3] == 255 and first[0, 0, 3] == 0
    assert len(np.unique(first[..., 3])) > 20


@pytest.mark.soak
def test_a_soft_cutout_is_written_by_every_door(dogs: OpenImage, tmp_path: Path) -> None:
    mask = dogs.segment(box=(180, 120, 420, 610))
    own = mask.cutout(soft=True)
    from clickmask import save_masks

    save_masks(tmp_path / "a.png", [mask], format="cutout", soft=True)
    read = cv2.imread(str(tmp_path / "a.png"), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(cv2.cvtColor(read, cv2.COLOR_BGRA2RGBA)[..., 3], own[..., 3])


def test_objects_that_fill_the_picture_or_are_a_pixel_have_hard_edges() -> None:
    photo = np.random.default_rng(2).integers(0, 256, (40, 60, 3), np.uint8)
    whole, dot = np.ones((40, 60), bool), np.zeros((40, 60), bool)
    dot[20, 30] = True
    for mask in (whole, dot):
        found = cutout(photo, mask, soft=True)
        assert np.array_equal(found, cutout(photo, mask))


def test_soft_and_feather_are_refused_together_and_by_formats_that_are_no_cutouts(tmp_path: Path) -> None:
    photo, mask = np.zeros((9, 9, 3), np.uint8), np.eye(9, dtype=bool)
    with pytest.raises(PromptError, match="feather and soft"):
        cutout(photo, mask, feather=2, soft=True)
    assert Options(soft=True).of("cutout")["soft"] is True and "soft" not in Options(soft=True).of("png")


@pytest.mark.parametrize("size", [(2, 1000), (1000, 1), (3, 3000)])
def test_pictures_too_thin_for_it_have_hard_edges(size: tuple[int, int]) -> None:
    photo, mask = np.zeros((*size, 3), np.uint8), np.zeros(size, bool)
    mask[: (size[0] + 1) // 2, : (size[1] + 1) // 2] = True
    assert np.array_equal(cutout(photo, mask, soft=True), cutout(photo, mask))


@pytest.mark.soak
def test_nothing_is_printed_where_a_picture_may_go(capsys: pytest.CaptureFixture[str]) -> None:
    photo, mask = np.zeros((20, 60, 3), np.uint8), np.zeros((20, 60), bool)
    mask[5:15, 10:30] = True
    cutout(photo, mask, soft=True)
    assert capsys.readouterr().out == ""
