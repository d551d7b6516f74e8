"""Masks: pixels from logits, what follows from them, and the files they become."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco

from clickmask import ClosedError, Mask, OpenImage, OutputError, Prompt, PromptError
from clickmask.models.frame import Frame
from clickmask.service import polygons
from clickmask.service.images import Picture
from clickmask.service.masks import PhotoSource, preview

PNG, JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
WIDTH, HEIGHT = 512, 256  # scaled by two: four low-res cells are eight pixels
HandMade = Callable[..., Mask]


def _logits(*squares: tuple[int, int, int, int], inside: float = 6.0, outside: float = -6.0) -> np.ndarray:
    """(256, 256): low-res cells x0 to x1, y0 to y1 of each square are object."""
    logits = np.full((256, 256), outside, np.float32)
    for x0, y0, x1, y1 in squares:
        logits[y0:y1, x0:x1] = inside
    return logits


@pytest.fixture
def photo_source(photo: np.ndarray) -> PhotoSource:
    picture = Picture(cv2.resize(photo, (WIDTH, HEIGHT)), "dogs.jpg")
    return PhotoSource(WIDTH, HEIGHT, picture)


@pytest.fixture
def hand_made(photo_source: PhotoSource) -> HandMade:
    """A mask of given logits on a 512 x 256 photo, or of a window of it."""

    def make(logits: np.ndarray, window: tuple[int, int, int, int] = (0, 0, WIDTH, HEIGHT)) -> Mask:
        prompt = Prompt(points=[(150, 100)], labels=[1])
        provenance = {"model": "by hand", "fit": "square"}
        return Mask(logits, 0.75, 2, Frame(WIDTH, HEIGHT, window), prompt, provenance, photo_source)

    return make


@pytest.fixture
def square(hand_made: HandMade) -> Mask:
    """Low-res cells 50 to 99 by 30 to 79: pixels 100 to 199 by 60 to 159."""
    return hand_made(_logits((50, 30, 100, 80)))


def test_pixels_are_where_the_logits_are_above_zero(square: Mask) -> None:
    assert square.pixels.shape == (HEIGHT, WIDTH)
    assert square.pixels.dtype == np.bool_
    assert square.pixels[61:159, 101:199].all()
    assert not square.pixels[:60].any() and not square.pixels[160:].any()
    assert not square.pixels[:, :100].any() and not square.pixels[:, 200:].any()


def test_box_has_exclusive_ends(square: Mask) -> None:
    assert square.box == (100, 60, 200, 160)
    assert all(type(side) is int for side in square.box)


def test_area_counts_pixels(square: Mask) -> None:
    assert square.area == int(square.pixels.sum())
    assert type(square.area) is int
    assert 100 * 100 - 8 <= square.area <= 100 * 100  # a corner may round off


def test_pixels_cannot_be_written_to(square: Mask) -> None:
    with pytest.raises(ValueError, match="read-only"):
        square.pixels[0, 0] = True
    with pytest.raises(ValueError, match="read-only"):
        square.clean(holes=0.1).pixels[0, 0] = True


def test_window_puts_its_pixels_where_it_lies(hand_made: HandMade) -> None:
    """A window of 128 x 128 at (200, 100): one low-res cell is half a pixel."""
    mask = hand_made(_logits((50, 30, 100, 80)), (200, 100, 328, 228))
    assert mask.pixels.shape == (HEIGHT, WIDTH)
    assert mask.box == (225, 115, 250, 140)


def test_window_that_is_all_object_is_filled_to_its_edges(hand_made: HandMade) -> None:
    mask = hand_made(_logits((0, 0, 256, 256)), (200, 100, 328, 228))
    assert mask.box == (200, 100, 328, 228)
    assert mask.area == 128 * 128


def test_empty_mask_has_no_box_and_no_cutout(hand_made: HandMade) -> None:
    empty = hand_made(_logits())
    assert empty.box is None
    assert empty.area == 0
    assert empty.stability == 0.0
    assert empty.polygons() == []
    assert empty.rle()["size"] == [HEIGHT, WIDTH]
    with pytest.raises(OutputError, match="empty"):
        empty.cutout()


def test_stability_is_the_iou_of_the_masks_at_plus_and_minus_one(hand_made: HandMade) -> None:
    """40 columns are surely object, 60 more only just, and 50 only just not: all of these lie above -1."""
    logits = _logits((0, 0, 100, 256), inside=0.5)
    logits[:, :40], logits[:, 100:150] = 6, -0.5
    mask = hand_made(logits)
    # Linear between the middles of neighbouring cells, which are two pixels wide.
    between = np.interp(np.arange(WIDTH) + 0.5, np.arange(256) * 2 + 1, logits[0])
    expected = (between > 1).sum() / (between > -1).sum()
    assert 0.25 < expected < 0.28
    assert mask.stability == pytest.approx(expected, abs=0.01)
    assert hand_made(_logits((50, 30, 100, 80), inside=60, outside=-60)).stability > 0.97


def test_rle_is_that_of_pycocotools(square: Mask) -> None:
    theirs = coco.encode(np.asfortranarray(square.pixels.astype(np.uint8)))
    assert square.rle() == {"size": theirs["size"], "counts": theirs["counts"].decode()}


def test_polygons_give_the_pixels_back_with_holes(hand_made: HandMade) -> None:
    logits = _logits((50, 30, 100, 80), (120, 30, 140, 60))
    logits[40:60, 60:80] = -6
    mask = hand_made(logits)
    parts = mask.polygons()
    assert [len(part) for part in parts] in ([2, 1], [1, 2])
    assert np.array_equal(polygons.from_polygons(parts, (WIDTH, HEIGHT)), mask.pixels)


def test_polygons_of_a_real_mask_give_the_pixels_back(dogs: OpenImage) -> None:
    mask = dogs.segment(box=(205, 235, 355, 420))
    assert np.array_equal(polygons.from_polygons(mask.polygons(), dogs.size), mask.pixels)


def test_cutout_is_the_photo_within_the_box(square: Mask, photo_source: PhotoSource) -> None:
    cut = square.cutout()
    assert cut.shape == (100, 100, 4) and cut.dtype == np.uint8
    assert np.array_equal(cut[..., :3], photo_source.get().pixels[60:160, 100:200])
    assert np.array_equal(cut[..., 3] == 255, square.pixels[60:160, 100:200])
    assert square.cutout(pad=10).shape == (120, 120, 4)
    soft = np.unique(square.cutout(feather=4)[..., 3])
    assert len(soft) > 2


def test_clean_removes_specks_and_fills_holes_in_a_new_mask(hand_made: HandMade) -> None:
    logits = _logits((50, 30, 100, 80), (120, 30, 124, 36))
    logits[40:44, 60:64] = -6
    mask = hand_made(logits)
    before = mask.pixels.copy()
    clean = mask.clean(specks=0.05, holes=0.05)
    assert clean is not mask
    assert clean.box == (100, 60, 200, 160)
    assert clean.pixels[80:88, 120:128].all()
    assert np.array_equal(mask.pixels, before)
    assert mask.box == (100, 60, 248, 160)
    assert np.array_equal(clean.logits, mask.logits)
    assert (clean.score, clean.index, clean.stability) == (mask.score, mask.index, mask.stability)
    assert clean.area == int(clean.pixels.sum()) != mask.area
    assert clean.rle() != mask.rle()


def test_clean_without_shares_changes_nothing(square: Mask) -> None:
    assert np.array_equal(square.clean().pixels, square.pixels)


@pytest.mark.parametrize("field", ["specks", "holes"])
def test_clean_refuses_what_is_no_share(square: Mask, field: str) -> None:
    for share in (-0.1, 1.5, float("nan")):
        with pytest.raises(PromptError, match=field):
            square.clean(**{field: share})


def _read(path: Path) -> np.ndarray:
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert pixels is not None
    return pixels


def test_png_is_the_mask_in_black_and_white(square: Mask, tmp_path: Path) -> None:
    square.save(tmp_path / "mask.png")
    assert np.array_equal(_read(tmp_path / "mask.png"), square.pixels * np.uint8(255))


def test_jpg_is_the_photo_with_the_mask_on_it(square: Mask, tmp_path: Path, photo_source: PhotoSource) -> None:
    square.save(tmp_path / "mask.jpg")
    assert (tmp_path / "mask.jpg").read_bytes().startswith(JPEG)
    shown = cv2.cvtColor(_read(tmp_path / "mask.jpg"), cv2.COLOR_BGR2RGB).astype(int)
    changed = np.abs(shown - photo_source.get().pixels).sum(2)
    assert changed[square.pixels].mean() > 5 * changed[~square.pixels].mean()


def test_json_holds_the_mask_and_what_was_asked(square: Mask, tmp_path: Path) -> None:
    square.save(str(tmp_path / "mask.json"))
    text = json.dumps(json.loads((tmp_path / "mask.json").read_text()))
    assert json.dumps(square.rle()["counts"]) in text
    assert '"by hand"' in text and "150.0" in text


def test_format_by_name_beats_the_extension(square: Mask, tmp_path: Path) -> None:
    square.save(tmp_path / "cut.png", format="cutout")
    assert _read(tmp_path / "cut.png").shape[2] == 4
    square.save(tmp_path / "over.png", format="overlay")
    assert _read(tmp_path / "over.png").shape == (HEIGHT, WIDTH, 3)


@pytest.mark.parametrize(("name", "kind"), [("mask.xyz", None), ("mask", None), ("mask.png", "bitmap")])
def test_unknown_extension_or_format_is_refused(square: Mask, tmp_path: Path, name: str, kind: str | None) -> None:
    with pytest.raises(OutputError, match="expected one of"):
        square.save(tmp_path / name, kind)
    assert list(tmp_path.iterdir()) == []


def test_path_that_cannot_be_written_is_named(square: Mask, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(OutputError, match="file"):
        square.save(tmp_path / "file" / "mask.png")


def test_without_the_photo_pixels_go_on_and_cutouts_say_why(
    square: Mask, photo_source: PhotoSource, tmp_path: Path
) -> None:
    photo_source.close()
    assert square.box == (100, 60, 200, 160)
    square.save(tmp_path / "mask.png")
    square.save(tmp_path / "mask.json")
    with pytest.raises(ClosedError, match="the image was closed"):
        square.cutout()
    for name in ("mask.jpg", "cut.png"):
        with pytest.raises(ClosedError, match="the image was closed"):
            square.save(tmp_path / name, "cutout" if name == "cut.png" else None)


def _decode(data: Any) -> np.ndarray:
    assert data.startswith(PNG)
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)


def test_notebook_shows_a_png_of_the_photo_or_of_the_mask_alone(square: Mask, photo_source: PhotoSource) -> None:
    assert _decode(square._repr_png_()).shape == (HEIGHT, WIDTH, 3)
    photo_source.close()
    assert np.array_equal(_decode(square._repr_png_()), square.pixels * np.uint8(255))


@pytest.mark.parametrize(
    ("size", "expected"), [((3000, 2000), (750, 500)), ((768, 10), (768, 10)), ((769, 9), (385, 5))]
)
def test_preview_is_at_most_768_pixels_wide(size: tuple[int, int], expected: tuple[int, int]) -> None:
    thin = preview(np.zeros((size[1], size[0], 3), np.uint8))
    assert (thin.shape[1], thin.shape[0]) == expected
