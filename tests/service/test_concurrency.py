"""Threads that share a segmenter and its images get, to the bit, what one thread alone gets."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from clickmask import Mask, OpenImage, Prompt, Segmenter

THREADS, CALLS = 8, 50
WIDTH, HEIGHT = 1024, 64


@pytest.fixture(scope="module")
def images(strip_segmenter: Segmenter, strip: np.ndarray) -> list[OpenImage]:
    return [strip_segmenter.open(strip), strip_segmenter.open(np.ascontiguousarray(strip[::-1, ::-1]))]


def _bits(masks: list[Mask]) -> list[bytes]:
    """All that a mask says, as bytes."""
    numbers = [np.array([mask.score, mask.stability, mask.index, mask.area]) for mask in masks]
    return [m.logits.tobytes() + m.pixels.tobytes() + n.tobytes() for m, n in zip(masks, numbers, strict=True)]


def _click(image: OpenImage, x: float, y: float) -> list[bytes]:
    return _bits([image.click(x, y)])


def _candidates(image: OpenImage, x: float, y: float) -> list[bytes]:
    return _bits(image.candidates(points=[(x, y), (WIDTH - 1 - x, y)], labels=[1, 0]))


def _box(image: OpenImage, x: float, y: float) -> list[bytes]:
    return _bits([image.segment(box=(x / 2, 0, x / 2 + 400, y + 1))])


def _ragged(image: OpenImage, x: float, y: float) -> list[bytes]:
    prompts = [Prompt(points=[(x, y)]), Prompt(box=(0, 0, x + 1, y + 1)), Prompt(points=[(x, y), (y, y)])]
    return _bits(image.segment_many(prompts))


def _chain(image: OpenImage, x: float, y: float) -> list[bytes]:
    thing = image.start()
    return _bits([thing.add(x, y), thing.add(WIDTH - 1 - x, y, label=0)])


def _window(image: OpenImage, x: float, y: float) -> list[bytes]:
    top = min(int(y), HEIGHT - 16)  # long and low: encoded in a moment
    return _bits([image.window((0, top, WIDTH, top + 16)).click(x, top + 8)])


MIX: list[Callable[..., list[bytes]]] = [
    _click,
    _candidates,
    _box,
    _click,
    _chain,
    _ragged,
    _box,
    _click,
    _box,
    _window,
]


def _calls() -> list[tuple[Any, ...]]:
    """(which call, which image, x, y), the same at every run."""
    draw = np.random.default_rng(11)
    return [
        (MIX[number % len(MIX)], number % 2, float(draw.integers(WIDTH)), float(draw.integers(HEIGHT)))
        for number in range(CALLS)
    ]


def _answer(images: list[OpenImage], calls: list[tuple[Any, ...]]) -> list[list[bytes]]:
    return [call(images[which], x, y) for call, which, x, y in calls]


@pytest.mark.soak
def test_eight_threads_of_fifty_mixed_calls_get_the_bits_that_one_thread_gets(images: list[OpenImage]) -> None:
    calls = _calls()
    alone = _answer(images, calls)
    assert len({answer[0] for answer in alone}) > CALLS * 0.9
    turns = [calls[start:] + calls[:start] for start in range(0, CALLS, CALLS // THREADS)][:THREADS]
    with ThreadPoolExecutor(THREADS) as pool:
        for turned, answers in zip(turns, pool.map(lambda turn: _answer(images, turn), turns), strict=True):
            start = CALLS - len(calls[calls.index(turned[0]) :])
            assert answers == alone[start:] + alone[:start]


def test_images_opened_by_many_threads_at_once_are_those_opened_alone(strip_segmenter: Segmenter) -> None:
    draw = np.random.default_rng(2)
    pictures = [draw.integers(0, 256, (16 * (1 + number % 3), 256, 3), dtype=np.uint8) for number in range(8)]
    alone = [strip_segmenter.open(picture).embedding() for picture in pictures]
    with ThreadPoolExecutor(THREADS) as pool:
        together = list(pool.map(lambda picture: strip_segmenter.open(picture).embedding(), pictures))
    assert all(np.array_equal(one, other) for one, other in zip(alone, together, strict=True))


def test_plain_vit_shared_by_threads_gives_the_same_bits(tiny_segmenter: Segmenter, strip: np.ndarray) -> None:
    image = tiny_segmenter.open(strip)
    points = [(float(x), 30.0) for x in range(20, 1000, 60)]
    alone = [_bits([image.click(*point)]) for point in points]
    with ThreadPoolExecutor(THREADS) as pool:
        assert list(pool.map(lambda point: _bits([image.click(*point)]), points)) == alone
