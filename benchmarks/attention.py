"""What it takes to see attention: of the decoder beside a click, of the encoder beside an encoding.

python benchmarks/attention.py [--rounds 11]
"""

from __future__ import annotations

import argparse
import sys

from encode import PHOTOS
from timing import machine, side_by_side

from clickmask import Segmenter

POINT = (300, 400)
_BESIDE = (
    ("click", "click"),
    ("attention", "click"),
    ("open", "open"),
    ("encoder_attention", "open"),
    ("one patch of it", "open"),
)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=11)
    options = parser.parse_args()
    segmenter = Segmenter()
    image = segmenter.open(PHOTOS / "dogs.jpg")
    plain, watched = image.refined("off"), image.encoder_attention()
    seconds = side_by_side(
        {
            "click": lambda: plain.segment([POINT]),
            "attention": lambda: image.attention([POINT]),
            "open": lambda: segmenter.open(PHOTOS / "dogs.jpg"),
            "encoder_attention": lambda: image.encoder_attention(),
            "one patch of it": lambda: watched.at(*POINT),
        },
        options.rounds,
    )
    sys.stdout.write(f"dogs.jpg, vit_t; {machine()}\n\n| what | ms | times |\n|---|---|---|\n")
    for what, beside in _BESIDE:
        times = seconds[what] / seconds[beside]
        sys.stdout.write(f"| {what} | {1000 * seconds[what]:.1f} | {times:.2f} of {beside} |\n")


if __name__ == "__main__":
    main()
