"""Opens image after image and prints by how many bytes this process grew: run in a process of its own.

python memory_probe.py KIND WARM_UP COUNT CACHE_FOLDER
"""

from __future__ import annotations

import gc
import resource
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from clickmask import OpenImage, Segmenter

Step = Callable[[int], object]


def resident() -> int:
    """Bytes of this process in memory now, as Linux counts them."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def strip(number: int) -> np.ndarray:
    """(H, 1024, 3) uint8, of four heights: 16 to 64."""
    return np.random.default_rng(number).integers(0, 256, (16 + 16 * (number % 4), 1024, 3), dtype=np.uint8)


def any_size(number: int) -> np.ndarray:
    """(H, W, 3) uint8, sides from 300 to 2500."""
    draw = np.random.default_rng(number)
    width, height = (int(side) for side in draw.integers(300, 2500, 2))
    return draw.integers(0, 256, (height, width, 3), dtype=np.uint8)


def use(image: OpenImage) -> OpenImage:
    """A box and two clicks."""
    width, height = image.size
    image.segment(box=(0, 0, width / 2, height)).pixels.any()
    thing = image.start()
    thing.add(width / 3, height / 3)
    thing.add(width / 2, height / 2, label=0)
    return image


def step_of(kind: str, cache_folder: str) -> Step:
    """What is repeated."""
    exact = kind != "any size"
    options = {"precision": "float32", "fit": "rectangle"} if exact else {"precision": "auto", "fit": "auto"}
    segmenter = Segmenter(device="cpu", cache_dir=cache_folder, **options)
    kept: list[OpenImage] = []
    stream: Iterator[OpenImage] = segmenter.open_many(strip(number) for number in range(1000))

    def kept_closed(number: int) -> None:
        with segmenter.open(strip(number)) as image:
            kept.append(image)

    steps: dict[str, Step] = {
        "one after the other": lambda number: use(segmenter.open(strip(number))),
        "kept": lambda number: kept.append(segmenter.open(strip(number))),
        "kept but closed": kept_closed,
        "open_many": lambda number: next(stream),
        "any size": lambda number: use(segmenter.open(any_size(number))),
    }
    return steps[kind]


def main() -> None:
    """Warm up, so that caches are full, then count."""
    kind, warm_up, count, cache_folder = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    step = step_of(kind, cache_folder)
    for number in range(warm_up):
        step(number)
    before = resident()
    for number in range(warm_up, warm_up + count):
        step(number)
    sys.stdout.write(str(resident() - before))


if __name__ == "__main__":
    main()
