"""Searches in a process of its own and prints how many bytes it took: see test_search_memory.py.

python search_probe.py peak SIDE TILE MAX_MEMORY CACHE_FOLDER: the most beyond model and photo, in one search of
a picture of SIDE x SIDE pixels. python search_probe.py growth COUNT CACHE_FOLDER: what is left after so many searches.
"""

from __future__ import annotations

import gc
import resource
import sys
import threading
from pathlib import Path

import cv2
import numpy as np

from clickmask import Segmenter


def resident() -> int:
    """Bytes of this process in memory now, as Linux counts them."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


class Watch(threading.Thread):
    """Looks a hundred times a second at how much memory there is."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.most, self._is_over = 0, threading.Event()

    def run(self) -> None:
        while not self._is_over.wait(0.01):
            self.most = max(self.most, resident())

    def stop(self) -> int:
        self._is_over.set()
        self.join()
        return self.most


def peak(side: int, tile: int, max_memory: int, cache_folder: str) -> int:
    """Cells of 500 pixels in random colours, each a thing."""
    segmenter = Segmenter(device="cpu", precision="float32", fit="square", cache_dir=cache_folder)
    segmenter.open(np.zeros((64, 64, 3), np.uint8)).everything(points_per_side=2)
    cells = np.random.default_rng(0).integers(0, 256, (side // 500, side // 500, 3), dtype=np.uint8)
    image = segmenter.open(cv2.resize(cells, (side, side), interpolation=cv2.INTER_NEAREST))
    before, watch = resident(), Watch()
    watch.start()
    found = image.everything(points_per_side=2, tiles=tile, max_memory=max_memory)
    most = watch.stop()
    assert found.is_complete and len(found), "nothing was measured"
    return most - before


def growth(count: int, cache_folder: str) -> int:
    """A third of the searches is cancelled, a third ends in an error."""
    segmenter = Segmenter(device="cpu", precision="float32", fit="rectangle", cache_dir=cache_folder)

    def search(number: int) -> None:
        pixels = np.random.default_rng(number).integers(0, 256, (48, 768, 3), dtype=np.uint8)
        image = segmenter.open(pixels)
        if number % 3 == 0:
            image.everything(points_per_side=2, is_cancelled=lambda: True)
        elif number % 3 == 1:
            try:
                image.everything(points_per_side=2, progress=lambda done, total: 1 // (done == 0))
            except ZeroDivisionError:
                return
        else:
            image.everything(points_per_side=2, pred_iou_thresh=0, stability_score_thresh=0).label_map()

    for number in range(9):
        search(number)
    gc.collect()
    before = resident()
    for number in range(count):
        search(number)
    gc.collect()
    return resident() - before


def main() -> None:
    kind, *rest = sys.argv[1:]
    if kind == "peak":
        side, tile, max_memory, cache_folder = rest
        sys.stdout.write(str(peak(int(side), int(tile), int(max_memory), cache_folder)))
    else:
        sys.stdout.write(str(growth(int(rest[0]), rest[1])))


if __name__ == "__main__":
    main()
