"""From process start to a mask on disk, for a 12-megapixel JPEG: `clickmask segment` against the shortest script.

    python benchmarks/command_line.py [--photo FILE] [--rounds N]

The script is what a user of segment_anything writes, on MobileSAM's network and the same weights. Seconds are those of
whole processes, peak memory is the kernel's figure for each; the first run of each is not counted.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import cv2
from peers import WEIGHTS
from timing import machine

STOCK = """
import sys, warnings
warnings.simplefilter("ignore")
import cv2, numpy as np
from mobile_sam.build_sam import sam_model_registry
from safetensors.torch import load_file
from segment_anything import SamPredictor
sam = sam_model_registry["vit_t"]()
sam.load_state_dict(load_file(sys.argv[1]), strict=False)
sam.eval()
predictor = SamPredictor(sam)
predictor.set_image(cv2.cvtColor(cv2.imread(sys.argv[2]), cv2.COLOR_BGR2RGB))
masks, scores, _ = predictor.predict(np.array([[2000, 1500]]), np.array([1]))
cv2.imwrite(sys.argv[3], masks[scores.argmax()].astype(np.uint8) * 255)
"""


def twelve_megapixels(folder: Path) -> Path:
    """A shipped photo, enlarged to 4272 x 2848."""
    source = sorted((Path(__file__).parent.parent / "examples" / "photos").glob("*.jpg"))[0]
    path = folder / "photo_12mp.jpg"
    enlarged = cv2.resize(cv2.imread(str(source)), (4272, 2848), interpolation=cv2.INTER_CUBIC)
    cv2.imwrite(str(path), enlarged, [cv2.IMWRITE_JPEG_QUALITY, 92])
    return path


def run(command: list[str]) -> tuple[float, float]:
    """(seconds, peak megabytes) of one process; raises when it fails."""
    start = time.perf_counter()
    quiet = os.open(os.devnull, os.O_WRONLY)
    pid = os.posix_spawn(command[0], command, os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, quiet, 2)])
    os.close(quiet)
    _, status, usage = os.wait4(pid, 0)
    if status:
        raise RuntimeError(f"{command} ended with {os.waitstatus_to_exitcode(status)}")
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def commands(photo: Path, folder: Path) -> dict[str, list[str]]:
    """The contestants, as command lines."""
    script = folder / "stock.py"
    script.write_text(STOCK)
    ours = [sys.executable, "-m", "clickmask", "segment", str(photo), "--point", "2000,1500", "--force", "--quiet"]
    return {
        "the shortest script, float32": [sys.executable, str(script), str(WEIGHTS), str(photo), str(folder / "a.png")],
        "clickmask segment": [*ours, "-o", str(folder / "b.png")],
        "clickmask segment --precision float32": [*ours, "--precision", "float32", "-o", str(folder / "c.png")],
        "clickmask --help": [sys.executable, "-m", "clickmask", "--help"],
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photo", type=Path, help="a 12-megapixel JPEG; by default a shipped photo, enlarged")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        contestants = commands(options.photo or twelve_megapixels(folder), folder)
        measured: dict[str, list[tuple[float, float]]] = {what: [] for what in contestants}
        for turn in range(options.rounds + 1):
            for what, command in contestants.items():
                figures = run(command)
                if turn:
                    measured[what].append(figures)
    sys.stdout.write(f"{machine()}\n\n| what | s | peak MB |\n|---|---|---|\n")
    for what, rows in measured.items():
        seconds, megabytes = (statistics.median(column) for column in zip(*rows, strict=True))
        sys.stdout.write(f"| {what} | {seconds:.2f} | {megabytes:.0f} |\n")


if __name__ == "__main__":
    main()
