"""Thumbnails: of few photos, of the right ones, and true to masks and photo."""

from __future__ import annotations

import math
import pickle
from pathlib import Path

import cv2
import numpy as np

from clickmask.service import rle
from clickmask.service.batch.journal import DONE, Record
from clickmask.service.batch.lots import KEPT, drawn, lot
from clickmask.service.batch.statistics import Statistics
from clickmask.service.batch.thumbnails import MOST_BYTES, SIDE, Gallery, draw, encode, file_name, find, prune, sampled
from clickmask.service.batch.totals import Totals
from clickmask.service.formats.result import ObjectResult, Result
from clickmask.service.images import Picture


def _grey(width: int, height: int, objects: list[ObjectResult]) -> Result:
    return Result.of(Picture(np.full((height, width, 3), 128, np.uint8)), objects, {})


def test_masks_are_sampled_from_run_lengths_as_from_pixels(random_masks: list[np.ndarray]) -> None:
    for mask in random_masks:
        ys, xs = np.arange(0, mask.shape[0], 2), np.arange(0, mask.shape[1], 3)
        expected = mask[np.ix_(ys, xs)]
        assert np.array_equal(sampled(ObjectResult(rle.encode(mask)), xs, ys), expected)
        assert np.array_equal(sampled(ObjectResult(mask), xs, ys), expected)


def test_a_thumbnail_is_small_and_shows_the_object_where_it_is() -> None:
    """The left quarter of 1600 x 800 is the left 80 of 320 columns; outside the photo is grey as it was."""
    mask = np.zeros((800, 1600), bool)
    mask[:, :400] = True
    result = _grey(1600, 800, [ObjectResult(rle.encode(mask))])
    small = draw(result, result.photo()).astype(int)
    assert small.shape == (160, SIDE, 3)
    assert (abs(small[:, 84:] - 128) <= 1).all() and (small[:, :76, 2] > 150).all()
    result = _grey(5, 3, [ObjectResult(np.ones((3, 5), bool))])
    tiny = draw(result, result.photo())
    assert tiny.shape == (3, 5, 3)


def test_noise_is_written_with_less_quality() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    data = encode(noise)
    assert len(data) <= MOST_BYTES and cv2.imdecode(np.frombuffer(data, np.uint8), 1).shape == noise.shape


def test_few_are_made_and_all_that_are_shown_are_among_them(tmp_path: Path) -> None:
    """Of n in random order about k (1 + ln(n / k)) are, when their turn comes, among the k lowest so far."""
    names = [f"{n}.jpg" for n in range(1500)]
    scores = np.random.default_rng(1).random(len(names)).round(4).tolist()
    gallery, totals, photo = Gallery(tmp_path, names, Totals()), Totals(), _grey(8, 8, [])
    for name, score in zip(names, scores, strict=True):
        gallery.offer(name, photo, photo.photo(), score)
        totals.add(Record(name, DONE, statistics=Statistics(lowest=score)))
    made = len(list(tmp_path.iterdir()))
    assert 2 * KEPT < made < KEPT + 1.5 * KEPT * (1 + math.log(len(names) / KEPT))
    shown = [key[1] for few in (totals.worst, totals.by_lot) for key, _ in few]
    assert set(shown) >= drawn(names, KEPT) and all(find([tmp_path], name) for name in shown)
    prune(tmp_path, shown, age=3600)
    assert len(list(tmp_path.iterdir())) == made
    prune(tmp_path, shown)
    assert {path.name for path in tmp_path.iterdir()} == {file_name(name) for name in shown}


def test_a_gallery_goes_on_where_earlier_runs_stopped(tmp_path: Path) -> None:
    before = Totals()
    by_lot = sorted((f"{n}.jpg" for n in range(KEPT + 4)), key=lot)
    for name in by_lot[1:-3]:
        before.add(Record(name, DONE, statistics=Statistics(lowest=0.5)))
    drawn_now, (good, none, bad) = by_lot[0], by_lot[-3:]
    names = [drawn_now, good, none, bad]
    gallery, photo = pickle.loads(pickle.dumps(Gallery(tmp_path, names, before))), _grey(8, 8, [])
    for name, score in ((drawn_now, None), (good, 0.9), (none, None), (bad, 0.4)):
        gallery.offer(name, photo, photo.photo(), score)
    assert {path.name for path in tmp_path.iterdir()} == {file_name(drawn_now), file_name(bad)}


def test_half_a_thumbnail_is_none(tmp_path: Path) -> None:
    path = tmp_path / file_name("a.jpg")
    assert find([tmp_path], "a.jpg") is None
    data = encode(np.zeros((8, 8, 3), np.uint8))
    path.write_bytes(data[:-5])
    assert find([tmp_path], "a.jpg") is None
    path.write_bytes(b"\xff\xd8\xff no picture \xff\xd9")
    assert find([tmp_path], "a.jpg") is None
    path.write_bytes(data)
    assert find([tmp_path / "none", tmp_path], "a.jpg") == data
