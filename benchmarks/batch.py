"""A folder of photos: `clickmask batch` beside a plain loop of clickmask's own API, and loops of segment_anything's.

    python benchmarks/batch.py [--photos 100] [--megapixels 3] [--rounds 3] [--stock 30]
    python benchmarks/batch.py --everything [--photos 4] [--stock 1]
    python benchmarks/batch.py --ray [--photos 300]              # two workers of local Ray beside a run without

Photos are those of examples/photos, scaled; embedded weights; masks are written as PNG. Every contestant runs in a
process of its own, in turn, round after round; rates count from when the model is loaded. "--stock": on how many photos
the stock loops are timed; they are slow, and each photo costs them the same.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from encode import PHOTOS
from timing import machine

BATCH, LOOP, STOCK = "clickmask batch", "loop of Segmenter.open, click, save", "loop of SamPredictor, float32"
ONE = "clickmask batch --workers 1, two threads"
RAY = "clickmask batch --ray local --workers 2"


def make_photos(folder: Path, count: int, megapixels: float) -> None:
    """So many different JPEGs of that size, 3:2."""
    sources = [cv2.imread(str(path)) for path in sorted(PHOTOS.glob("*.jpg"))]
    height = round((megapixels * 1e6 / 1.5) ** 0.5)
    folder.mkdir()
    for number in range(count):
        pixels = sources[number % len(sources)]
        scaled = cv2.resize(pixels, (round(height * 1.5), height), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / f"{number:04}.jpg"), np.roll(scaled, 37 * (number // len(sources)), axis=1))


def batch(photos: Path, out: Path, *words: str) -> float:
    """Photos a second of a run by the command line, since its work began."""
    command = [sys.executable, "-m", "clickmask", "batch", str(photos), str(out), *words, "--quiet"]
    started = time.monotonic()
    subprocess.run(command, check=True)
    summary = json.loads((out / ".clickmask-batch" / "summary.json").read_bytes())
    sys.stderr.write(f"{' '.join(words)}: {time.monotonic() - started:.1f} s from start to end\n")
    return summary["images_per_second"]


def loop(photos: Path, out: Path, *, everything: bool) -> float:
    """clickmask's own API, one photo after the other."""
    from clickmask import Segmenter, save_masks

    segmenter = Segmenter()
    out.mkdir()
    paths, started = sorted(photos.iterdir()), time.perf_counter()
    for path in paths:
        image = segmenter.open(path)
        if everything:
            save_masks(out, image.everything(), image=path, format="amg")
        else:
            width, height = image.size
            image.click(width / 2, height / 2).save(out / f"{path.stem}_mask.png")
    return len(paths) / (time.perf_counter() - started)


def stock(photos: Path, out: Path, *, everything: bool) -> float:
    """segment_anything's own code, as its notebook and scripts/amg.py use it."""
    from peers import mobile_sam
    from segment_anything import SamAutomaticMaskGenerator, SamPredictor

    sam = mobile_sam()
    predictor, generator = SamPredictor(sam), SamAutomaticMaskGenerator(sam)
    out.mkdir()
    paths, started = sorted(photos.iterdir()), time.perf_counter()
    for path in paths:
        pixels = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
        if everything:
            folder = out / path.stem
            folder.mkdir()
            for number, record in enumerate(generator.generate(pixels)):
                cv2.imwrite(str(folder / f"{number}.png"), record["segmentation"] * 255)
            continue
        predictor.set_image(pixels)
        height, width = pixels.shape[:2]
        masks, scores, _ = predictor.predict(np.array([[width / 2, height / 2]]), np.array([1]))
        cv2.imwrite(str(out / f"{path.stem}_mask.png"), masks[scores.argmax()].astype(np.uint8) * 255)
    return len(paths) / (time.perf_counter() - started)


def alone(name: str, photos: Path, out: Path, *, everything: bool) -> float:
    """One contestant's photos a second."""
    words = ("--everything", "--format", "amg") if everything else ("--point", "center")
    ways: dict[str, Callable[[], float]] = {
        BATCH: lambda: batch(photos, out, *words),
        ONE: lambda: batch(photos, out, *words, "--workers", "1"),
        RAY: lambda: batch(photos, out, *words, "--ray", "local", "--workers", "2"),
        LOOP: lambda: loop(photos, out, everything=everything),
        STOCK: lambda: stock(photos, out, everything=everything),
    }
    return ways[name]()


def in_turn(names: list[str], options: argparse.Namespace, folder: Path) -> dict[str, float]:
    """The median rate of each, every one in a process of its own."""
    few = folder / "few"
    shutil.copytree(folder / "photos", few, ignore=lambda _, names: sorted(names)[options.stock :])
    rates: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(options.rounds):
        for name in names:
            out = folder / "out"
            photos = few if name == STOCK else folder / "photos"
            words = ["--everything"] if options.everything else []
            command = [sys.executable, __file__, *words, "--alone", name, str(photos), str(out)]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            rates[name].append(float(done.stdout))
            sys.stderr.write(f"{name}: {rates[name][-1]:.3f} a second\n")
            shutil.rmtree(out)
    return {name: statistics.median(values) for name, values in rates.items()}


def main() -> None:
    """Print a table, or with --alone one figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=None)
    parser.add_argument("--megapixels", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--stock", type=int, default=None)
    parser.add_argument("--everything", action="store_true")
    parser.add_argument("--ray", action="store_true")
    parser.add_argument("--alone", nargs=3, metavar=("NAME", "PHOTOS", "OUT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.alone:
        name, photos, out = options.alone
        sys.stdout.write(str(alone(name, Path(photos), Path(out), everything=options.everything)))
        return
    count = options.photos or (300 if options.ray else 4 if options.everything else 100)
    options.stock = options.stock or (1 if options.everything else 30)
    names = [BATCH, RAY] if options.ray else [BATCH, LOOP, STOCK] if options.everything else [BATCH, ONE, LOOP, STOCK]
    with tempfile.TemporaryDirectory() as folder:
        make_photos(Path(folder) / "photos", count, options.megapixels)
        rates = in_turn(names, options, Path(folder))
    asked = "everything, 32 x 32 points" if options.everything else "one click each"
    sys.stdout.write(f"{count} photos of {options.megapixels:g} megapixels, {asked}, vit_t; {machine()}\n\n")
    sys.stdout.write("| what | photos a second | times |\n|---|---|---|\n")
    for name, rate in rates.items():
        sys.stdout.write(f"| {name} | {rate:.3f} | {rates[names[0]] / rate:.2f} |\n")


if __name__ == "__main__":
    main()
