"""A click, and a photo's encoding, alone on the machine and beside a program that holds one core.

    python benchmarks/busy.py [--rounds 12]

Each way of waiting that OpenMP's threads have is a process of its own: they spin unless OMP_WAIT_POLICY says passive,
as the command line does.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from encode import PHOTOS
from timing import machine, side_by_side

PHOTO = PHOTOS / "dogs.jpg"
WAYS = {"spinning": {}, "passive": {"OMP_WAIT_POLICY": "passive"}}


@contextmanager
def busy_core() -> Iterator[None]:
    """A program that computes without end."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def measure(way: str, rounds: int) -> list[str]:
    """The rows of one way of waiting, in this process."""
    from clickmask import Segmenter

    segmenter = Segmenter(device="cpu")
    image = segmenter.open(PHOTO)
    actions = {"image.click": lambda: image.click(300, 400), "segmenter.open": lambda: segmenter.open(PHOTO)}
    alone = side_by_side(actions, rounds)
    with busy_core():
        beside = side_by_side(actions, rounds)
    return [f"| {name}, {way} | {1000 * alone[name]:.0f} | {1000 * beside[name]:.0f} |" for name in actions]


def main() -> None:
    """Print the table; with a way, its rows alone."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.way:
        sys.stdout.write("\n".join(measure(arguments.way, arguments.rounds)) + "\n")
        return
    sys.stdout.write(f"{machine()}\n\n| what, ms | alone | beside a busy program |\n|---|---|---|\n")
    sys.stdout.flush()
    for way, extra in WAYS.items():
        environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"} | extra
        command = [sys.executable, __file__, "--way", way, "--rounds", str(arguments.rounds)]
        subprocess.run(command, env=environment, check=True)


if __name__ == "__main__":
    main()
