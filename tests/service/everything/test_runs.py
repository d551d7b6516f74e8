"""Runs beside pycocotools and numpy: what is reckoned on runs is what the pixels say."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from pycocotools import mask as coco

from clickmask.service import rle
from clickmask.service.everything.runs import Runs

DRAW = np.random.default_rng(17)


def _masks() -> list[np.ndarray]:
    """(H, W) bool each: noise, and what is easily got wrong at a column's end."""
    shapes = [(1, 1), (1, 9), (9, 1), (2, 2), (5, 7), (13, 8), (40, 60)]
    masks = [DRAW.random(shape) < share for shape in shapes for share in (0.0, 0.1, 0.5, 0.9, 1.0)]
    columns = np.zeros((6, 8), bool)
    columns[:, 2:5] = True  # whole columns, which touch
    bridged = np.zeros((6, 8), bool)
    bridged[4:, 2] = bridged[:2, 3] = True  # a run goes on over the end of a column
    corners = np.zeros((6, 8), bool)
    corners[0, 0] = corners[-1, -1] = True
    middle = np.zeros((6, 8), bool)
    middle[3, 4] = True
    last = np.zeros((6, 8), bool)
    last[2:, -1] = True
    return [*masks, columns, bridged, corners, middle, last]


MASKS = _masks()
PAIRS = [(one, other) for one, other in pairwise(MASKS) if one.shape == other.shape]


def _coco(mask: np.ndarray) -> coco._EncodedRLE:
    return coco.encode(np.asfortranarray(mask.view(np.uint8)))


@pytest.mark.parametrize("mask", MASKS)
def test_a_mask_is_what_pycocotools_says_it_is(mask: np.ndarray) -> None:
    runs, theirs = Runs.of(mask), _coco(mask)
    assert (runs.pixels() == mask).all() and runs.pixels().dtype == bool
    assert runs.rle()["counts"] == theirs["counts"].decode() and runs.rle()["size"] == theirs["size"]
    assert runs.area == coco.area(theirs) == mask.sum()
    x, y, width, height = (int(number) for number in coco.toBbox(theirs))
    assert runs.box == ((x, y, x + width, y + height) if mask.any() else None)


@pytest.mark.parametrize("mask", MASKS)
def test_runs_increase_and_none_touch(mask: np.ndarray) -> None:
    runs = Runs.of(mask)
    bounds = np.stack([runs.starts, runs.ends], 1).ravel()
    assert (np.diff(bounds) > 0).all()
    assert runs.nbytes == 16 * len(runs.starts)


@pytest.mark.parametrize("mask", MASKS)
def test_counts_are_read_back_by_our_and_by_their_reader(mask: np.ndarray) -> None:
    counts = Runs.of(mask).counts()
    assert counts.sum() == mask.size
    written = {"size": list(mask.shape), "counts": counts.tolist()}
    assert (rle.decode(written) == mask).all()
    assert coco.frPyObjects(written, *mask.shape)["counts"] == _coco(mask)["counts"]


@pytest.mark.parametrize("mask", MASKS)
def test_columns_and_what_lies_within_them(mask: np.ndarray) -> None:
    runs, width = Runs.of(mask), mask.shape[1]
    for x0 in range(0, width, 3):
        for x1 in range(x0 + 1, width + 1, 4):
            assert (runs.columns(x0, x1) == mask[:, x0:x1].T).all()
            kept = np.zeros_like(mask)
            kept[:, x0:x1] = mask[:, x0:x1]
            assert (runs.within(x0, x1).pixels() == kept).all()


@pytest.mark.parametrize("mask", MASKS)
def test_has_says_of_every_pixel_whether_it_is_covered(mask: np.ndarray) -> None:
    places = DRAW.permutation(mask.size)
    assert (Runs.of(mask).has(places) == mask.T.ravel()[places]).all()


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_two_masks_share_and_make_together_what_pycocotools_says(one: np.ndarray, other: np.ndarray) -> None:
    a, b = Runs.of(one), Runs.of(other)
    both = coco.merge([_coco(one), _coco(other)], intersect=True)
    assert a.overlap(b) == b.overlap(a) == coco.area(both)
    either = coco.merge([_coco(one), _coco(other)])
    assert Runs.union([a, b]).rle()["counts"] == either["counts"].decode()
    assert a.overlap(a) == a.area


def test_a_union_of_many_masks() -> None:
    masks = [DRAW.random((30, 20)) < 0.05 for _ in range(9)]
    assert (Runs.union(map(Runs.of, masks)).pixels() == np.any(masks, axis=0)).all()
    assert (Runs.union([Runs.of(masks[0])]).pixels() == masks[0]).all()
    assert Runs.union([Runs.of(np.zeros((3, 4), bool))] * 2).area == 0


@pytest.mark.parametrize("mask", MASKS)
def test_a_part_is_put_into_its_image(mask: np.ndarray) -> None:
    height, width = mask.shape
    for left, top, right, below in ((0, 0, 0, 0), (2, 3, 0, 0), (0, 0, 4, 1), (1, 0, 0, 0), (5, 2, 3, 4)):
        image = np.pad(mask, ((top, below), (left, right)))
        size = (left + width + right, top + height + below)
        for runs in (Runs.of(mask, (left, top), size), Runs.of_columns(mask.T.copy(), (left, top), size)):
            assert (runs.pixels() == image).all()
            assert runs.rle()["counts"] == _coco(image)["counts"].decode()


def test_views_and_other_layouts_are_read_as_they_look() -> None:
    mask = DRAW.random((12, 15)) < 0.5
    for view in (mask[::2, ::-1], np.asfortranarray(mask), mask.T):
        assert (Runs.of(view).pixels() == view).all()
