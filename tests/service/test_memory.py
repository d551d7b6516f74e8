"""Opening image after image keeps memory flat, as Linux counts it."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from clickmask import OpenImage, Segmenter

MEGABYTE = 2**20
EMBEDDING = 4096 * 256 * 4  # bytes of one image's embedding in float32
PAGES = Path("/proc/self/statm")


def _resident() -> int:
    """Bytes of this process in memory now."""
    import resource

    gc.collect()
    return int(PAGES.read_text().split()[1]) * resource.getpagesize()


def _growth(step: Callable[[int], object], warm_up: int, count: int) -> int:
    """Bytes by which memory grows over `count` steps, after some that fill caches."""
    for number in range(warm_up):
        step(number)
    before = _resident()
    for number in range(warm_up, warm_up + count):
        step(number)
    return _resident() - before


def _picture(number: int) -> np.ndarray:
    """(H, 1024, 3) uint8, of four heights: 16 to 64."""
    return np.random.default_rng(number).integers(0, 256, (16 + 16 * (number % 4), 1024, 3), dtype=np.uint8)


def _use(image: OpenImage) -> OpenImage:
    image.segment(box=(100, 0, 900, 16)).pixels.any()
    return image


def test_forty_images_one_after_the_other_take_the_room_of_a_few(strip_segmenter: Segmenter) -> None:
    assert _growth(lambda number: _use(strip_segmenter.open(_picture(number))), 12, 40) < 10 * EMBEDDING


def test_forty_images_that_are_kept_are_noticed(strip_segmenter: Segmenter) -> None:
    """That the measure above would see a leak."""
    kept: list[OpenImage] = []
    growth = _growth(lambda number: kept.append(strip_segmenter.open(_picture(number))), 12, 40)
    assert growth > 30 * EMBEDDING


def test_forty_images_that_are_kept_but_closed_take_the_room_of_a_few(strip_segmenter: Segmenter) -> None:
    kept: list[OpenImage] = []

    def step(number: int) -> None:
        with strip_segmenter.open(_picture(number)) as image:
            kept.append(image)

    assert _growth(step, 12, 40) < 10 * EMBEDDING


def test_forty_images_of_open_many_take_the_room_of_a_few(strip_segmenter: Segmenter) -> None:
    images = strip_segmenter.open_many(_picture(number) for number in range(60))
    assert _growth(lambda _: next(images), 12, 40) < 10 * EMBEDDING
    images.close()


def test_plain_vit_keeps_memory_flat(tiny_segmenter: Segmenter) -> None:
    """A leak of embeddings, or of anything else the size of one, would show."""
    assert _growth(lambda number: _use(tiny_segmenter.open(_picture(number))), 4, 10) < 5 * EMBEDDING


@pytest.mark.soak
def test_five_hundred_images_of_all_sizes_take_the_room_of_a_few(cache_folder: Path) -> None:
    segmenter = Segmenter(device="cpu", cache_dir=cache_folder)
    draw = np.random.default_rng(0)

    def step(_: int) -> None:
        width, height = (int(side) for side in draw.integers(300, 2500, 2))
        image = segmenter.open(draw.integers(0, 256, (height, width, 3), dtype=np.uint8))
        image.segment(box=(0, 0, width / 2, height / 2)).pixels.any()
        image.start().add(width / 3, height / 3)

    assert _growth(step, 150, 500) < 100 * MEGABYTE
