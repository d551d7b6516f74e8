"""What laying a mask's edges on those of the photo takes, by the photo's size.

    python benchmarks/edges.py SET [--megapixels 3 12] [--every 8] [--rounds 3]

A set is a folder as quality.py takes it. Of every so manieth object: its photo is scaled to the size, its box asked for
(which is not timed), and its edges laid on the photo, again and again; the median counts.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

import cv2
import numpy as np
from timing import machine

from clickmask import Segmenter
from clickmask.models.frame import upsample_to
from clickmask.service.refine.edges import sharpen


def objects(folder: Path, every: int) -> list[tuple[Path, tuple[int, int, int, int]]]:
    """Photos and boxes."""
    found = []
    for path in sorted((folder / "masks").glob("*.png"))[::every]:
        ys, xs = np.nonzero(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) > 200)
        photo = next((folder / "images").glob(f"{path.stem.rpartition('__')[0]}.*"))
        found.append((photo, (int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1)))
    return found


def milliseconds(segmenter: Segmenter, path: Path, box: tuple[int, ...], megapixels: float, rounds: int) -> float:
    """The median of one object."""
    import torch

    small = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
    scale = (megapixels * 1e6 / (small.shape[0] * small.shape[1])) ** 0.5
    photo = cv2.resize(small, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    mask = segmenter.open(small).segment(box=box)
    size = photo.shape[1], photo.shape[0]
    logits = upsample_to(torch.from_numpy(mask.logits)[None], mask.frame.scaled_size, size)[0].numpy()
    seconds = []
    for _ in range(rounds):
        started = time.perf_counter()
        sharpen(photo, logits)
        seconds.append(time.perf_counter() - started)
    return 1000 * statistics.median(seconds)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", type=Path)
    parser.add_argument("--megapixels", type=float, nargs="+", default=[3.0, 12.0])
    parser.add_argument("--every", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    segmenter, chosen = Segmenter(refine="off"), objects(options.set, options.every)
    sys.stdout.write(f"{len(chosen)} objects; {machine()}\n\n| megapixels | median, ms | most, ms |\n|---|---|---|\n")
    for size in options.megapixels:
        taken = [milliseconds(segmenter, path, box, size, options.rounds) for path, box in chosen]
        sys.stdout.write(f"| {size:g} | {statistics.median(taken):.0f} | {max(taken):.0f} |\n")


if __name__ == "__main__":
    main()
