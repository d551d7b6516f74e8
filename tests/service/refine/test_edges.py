"""Edges: those of the photo, where the decoder hesitates; elsewhere, and at clicks, its own."""

from __future__ import annotations

import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import cv2
import numpy as np
import pytest

from clickmask import ClosedError, OpenImage, Prompt
from clickmask.service.images import Picture
from clickmask.service.refine.edges import RULES, _freedom, sharpen

BOX = (180, 120, 420, 610)


def _iou(one: np.ndarray, other: np.ndarray) -> float:
    return np.count_nonzero(one & other) / np.count_nonzero(one | other)


def _disc(size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A bright disc on dark grey with some noise, and logits that are a coarse, displaced guess at it."""
    rows, columns = np.mgrid[:size, :size]
    distance = np.hypot(columns - size / 2, rows - size / 2)
    truth = distance < size * 0.3
    noise = np.random.default_rng(1).normal(0, 6, (size, size, 3))
    photo = (np.where(truth, 200, 60)[..., None] + noise).clip(0, 255).astype(np.uint8)
    moved = np.hypot(columns - size * 0.51, rows - size / 2)
    guess = (size * 0.3 - moved) / size * 60
    coarse = cv2.resize(cv2.resize(guess, (40, 40), interpolation=cv2.INTER_AREA), (size, size))
    return photo, truth, coarse.astype(np.float32)


@pytest.mark.parametrize("size", [200, 900, 2400])
def test_the_outline_of_a_disc_is_found(size: int) -> None:
    photo, truth, logits = _disc(size)
    before, after = _iou(logits > 0, truth), _iou(sharpen(photo, logits) > 0, truth)
    assert before < 0.97 and after > 0.99


def test_where_the_decoder_is_sure_nothing_changes() -> None:
    photo, _, logits = _disc(300)
    sure = np.abs(logits) > RULES.band + 2  # a little more: the guided filter looks at a place's surroundings
    assert np.array_equal(sharpen(photo, logits)[sure] > 0, logits[sure] > 0)


def test_at_clicks_the_logits_stay() -> None:
    photo, _, logits = _disc(300)
    rows, columns = np.nonzero(np.abs(logits) < 0.5)
    points = [(float(columns[at]) + 0.5, float(rows[at]) + 0.5) for at in range(0, len(rows), 200)]
    found = sharpen(photo, logits, points)
    assert all(found[int(y), int(x)] == logits[int(y), int(x)] for x, y in points)


@pytest.mark.parametrize("value", [-3.0, -0.5, 0.5, 3.0])
def test_nothing_and_everything_stay(value: float) -> None:
    photo = np.random.default_rng(2).integers(0, 256, (30, 50, 3), np.uint8)
    logits = np.full((30, 50), value, np.float32)
    assert np.array_equal(sharpen(photo, logits) > 0, logits > 0)


def test_objects_of_a_pixel_and_pictures_of_one_are_no_trouble() -> None:
    for size in ((1, 1), (1, 40), (3, 2), (60, 60)):
        photo = np.random.default_rng(3).integers(0, 256, (*size, 3), np.uint8)
        logits = np.full(size, -1.0, np.float32)
        logits[size[0] // 2, size[1] // 2] = 1.0
        assert np.isfinite(sharpen(photo, logits)).all()


def test_it_is_the_same_every_time_and_in_every_thread() -> None:
    photo, _, logits = _disc(400)
    first = sharpen(photo, logits)
    cv2.setRNGSeed(99)
    with ThreadPoolExecutor(4) as pool:
        assert all(np.array_equal(first, other) for other in pool.map(lambda _: sharpen(photo, logits), range(8)))


def test_a_segmenters_masks_have_them_where_they_are_asked_for(dogs: OpenImage) -> None:
    plain, own = (image.segment(box=BOX) for image in (dogs, dogs.refined("edges")))
    assert own.logits.tobytes() == plain.logits.tobytes() and own.stability == plain.stability
    assert 0.9 < _iou(plain.pixels, own.pixels) < 1 and own.provenance["refine"] == "edges"


def test_clicks_are_law_with_sharp_edges_too(dogs: OpenImage) -> None:
    draw, obeying = np.random.default_rng(5), dogs.refined("edges")
    for _ in range(8):
        count = int(draw.integers(1, 6))
        prompt = Prompt(points=draw.uniform((0, 0), dogs.size, (count, 2)), labels=draw.integers(0, 2, count))
        pixels = obeying.segment_many([prompt])[0].pixels
        for (x, y), label in zip(prompt.points, prompt.labels or (), strict=True):
            assert bool(pixels[int(y), int(x)]) == bool(label)


def test_a_window_is_sharpened_by_its_own_pixels(dogs: OpenImage) -> None:
    window = dogs.window((100, 50, 500, 700))
    plain, own = (image.segment(box=BOX).pixels for image in (window, window.refined("edges")))
    assert own.shape == plain.shape and 0.9 < _iou(plain, own) < 1
    assert not own[:, :100].any() and not own[:50].any()


def test_it_is_the_default_where_the_photo_is_at_hand(dogs: OpenImage) -> None:
    assert dogs.refined("auto").segment(box=BOX).provenance["refine"] == "edges"
    kept = dogs.refined("auto").without_pixels()
    for without in (kept, kept.refined("auto")):
        mask = without.segment(box=BOX)
        assert mask.provenance["refine"] == "clicks"
        assert np.array_equal(mask.pixels, dogs.refined("clicks").segment(box=BOX).pixels)
    with pytest.raises(ClosedError, match="this needs the photo's pixels"):
        kept.refined("edges").segment(box=BOX)


def test_a_mask_has_its_edges_when_the_image_is_closed_and_keeps_no_photo(dogs: OpenImage) -> None:
    photo = Picture(dogs.pixels.copy())
    picture, image = weakref.ref(photo), dogs.with_picture(photo).refined("edges")
    seen, unseen = image.segment(box=BOX), image.segment(box=BOX)
    del photo
    assert seen.area
    image.close()
    assert np.array_equal(seen.pixels, unseen.pixels)
    assert seen.photo is None and unseen.photo is None and picture() is None
    assert np.array_equal(seen.clean().pixels, seen.pixels)
    with pytest.raises(ClosedError, match="the image was closed"):
        _ = replace(seen).pixels


def test_around_each_of_many_clicks_the_freedom_rises_with_the_distance() -> None:
    draw = np.random.default_rng(6)
    points = draw.uniform((20, 30), (180, 150), (30, 2)).tolist() + [[20.0, 30.0], [219.5, 179.5]]
    found = _freedom((150, 200), points, (20, 30), 9.5)
    rows, columns = np.mgrid[30:180, 20:220]
    distances = [np.hypot(columns - int(x), rows - int(y)) for x, y in points]
    assert np.allclose(found, np.minimum(1, np.min(distances, 0) / 9.5), atol=1e-6)


def test_threads_that_look_at_a_mask_at_once_all_see_it(dogs: OpenImage) -> None:
    image = dogs.with_picture(Picture(dogs.pixels.copy())).refined("edges")
    expected = dogs.refined("edges").segment(box=BOX).pixels
    for _ in range(5):
        mask = image.segment(box=BOX)
        mask.source.close()  # what it needs it holds itself
        with ThreadPoolExecutor(4) as pool:
            assert all(np.array_equal(found, expected) for found in pool.map(lambda _, m=mask: m.pixels, range(8)))
        image = dogs.with_picture(Picture(dogs.pixels.copy())).refined("edges")
