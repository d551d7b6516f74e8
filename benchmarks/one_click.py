"""One click on an encoded photo of 1024 x 683, prompt to (H, W) mask: clickmask against `SamPredictor.predict`.

    python benchmarks/one_click.py [--rounds N]

The peer is segment_anything's own predictor on MobileSAM's own network, same weights, float32.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

import numpy as np
from encode import photo
from peers import mobile_sam
from segment_anything import SamPredictor
from timing import machine, side_by_side, table

import clickmask

PEER = "segment_anything.SamPredictor.predict, float32"


def contestants() -> dict[str, Callable[[], object]]:
    """The same click, asked in each way."""
    pixels = photo(1024, 683)
    point, label = np.array([[512, 300]]), np.array([1])
    peer = SamPredictor(mobile_sam())
    peer.set_image(pixels)
    quick, exact = (clickmask.Segmenter(device="cpu", precision=p) for p in ("auto", "float32"))
    quick_image, exact_image = quick.open(pixels), exact.open(pixels)
    drop_in = clickmask.SamPredictor(exact)
    drop_in.set_image(pixels)
    return {
        PEER: lambda: peer.predict(point, label),
        f"image.click, {quick.provenance['precision']}": lambda: quick_image.click(512, 300).pixels,
        "image.click, float32": lambda: exact_image.click(512, 300).pixels,
        "clickmask.SamPredictor.predict, float32": lambda: drop_in.predict(point, label),
        f"image.segment(box), {quick.provenance['precision']}": lambda: (
            quick_image.segment(box=(300, 100, 700, 500)).pixels
        ),
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=41)
    figures = side_by_side(contestants(), parser.parse_args().rounds)
    sys.stdout.write(f"{machine()}\n\n{table(figures, PEER, 1000, 'ms')}\n")


if __name__ == "__main__":
    main()
