"""All objects of a photo: clickmask against segment_anything's generator, default settings, same weights.

    python benchmarks/everything.py [--sizes 0.4 3 12] [--photo FILE] [--points 32] [--rounds 3]
    python benchmarks/everything.py --device cuda --model vit_h        # random weights, which do for speed
    python benchmarks/everything.py --fidelity FOLDER [--count 20] [--points 32] [--ways exact default]

Speed: every contestant runs in a process of its own (its peak memory is its own, too), the stock one once, ours
`--rounds` times, of which the median counts. The stock one is segment_anything's SamAutomaticMaskGenerator on
MobileSAM's own network. Fidelity: of the stock masks the share that ours match at an IoU above 0.9, and the
other way round; the peer is the stock generator in float32.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from encode import PHOTOS
from timing import machine

STOCK = "segment_anything, float32"
WAYS: dict[str, Any] = {  # name -> settings of the segmenter
    "exact": {"precision": "float32", "fit": "square"},
    "square": {"fit": "square"},
    "default": {},
    "graphs": {"fit": "square", "graphs": True},  # CUDA GPUs
}
MATCH = 0.9  # IoU
Masks = list[np.ndarray]


def picture(path: Path, megapixels: float | None = None) -> np.ndarray:
    """(H, W, 3) uint8 RGB, scaled to so many megapixels."""
    pixels = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
    if megapixels is None:
        return pixels
    scale = (megapixels * 1e6 / (pixels.shape[0] * pixels.shape[1])) ** 0.5
    return cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)


def network(model: str, device: str) -> Any:
    """segment_anything's `Sam` of a variant: MobileSAM's weights, or random ones that are the same each time."""
    from peers import mobile_sam

    if model == "vit_t":
        return mobile_sam().to(device)
    from segment_anything import sam_model_registry

    torch.manual_seed(0)
    return sam_model_registry[model]().eval().to(device)


def stock(model: str, device: str, points: int) -> Callable[[np.ndarray], tuple[dict[str, float], Masks]]:
    """segment_anything's generator: seconds by phase, and the masks."""
    from segment_anything import SamAutomaticMaskGenerator

    generator = SamAutomaticMaskGenerator(network(model, device), points_per_side=points)

    def run(pixels: np.ndarray) -> tuple[dict[str, float], Masks]:
        start = time.perf_counter()
        records = generator.generate(pixels)
        return {"all": time.perf_counter() - start}, [record["segmentation"] for record in records]

    return run


def ours(model: str, device: str, points: int, way: str) -> Callable[[np.ndarray], tuple[dict[str, float], Masks]]:
    """clickmask's `open` and `everything`, taken apart."""
    from clickmask import Segmenter
    from clickmask.service.everything.options import Choice, Search

    source = "vit_t" if model == "vit_t" else network(model, "cpu")
    segmenter = Segmenter(source, device=device, **WAYS[way])
    choice = Choice()
    search = Search(
        points_per_side=points, floor_score=choice.pred_iou_thresh, floor_stability=choice.stability_score_thresh
    )

    def run(pixels: np.ndarray) -> tuple[dict[str, float], Masks]:
        marks = [time.perf_counter()]
        with segmenter.open(pixels) as image:
            _wait(device)
            marks.append(time.perf_counter())
            looking = image.looking(search)
            for _ in looking.steps():
                pass
            marks.append(time.perf_counter())
            found = image.proposed(search, looking.finds).choose(choice)
            marks.append(time.perf_counter())
            phases = dict(zip(("encode", "decode and measure", "choose"), np.diff(marks).tolist(), strict=True))
            return {"all": marks[-1] - marks[0], **phases}, [mask.pixels for mask in found]

    return run


def contestant(name: str, options: argparse.Namespace) -> Callable[[np.ndarray], tuple[dict[str, float], Masks]]:
    """The stock one, or one of `WAYS`."""
    if name == STOCK:
        return stock(options.model, options.device, options.points)
    return ours(options.model, options.device, options.points, name)


def alone(options: argparse.Namespace) -> None:
    """One contestant on one picture: its figures as JSON."""
    run, pixels = contestant(options.alone, options), picture(options.photo, options.sizes[0])
    rounds = 1 if options.alone == STOCK and options.device == "cpu" else options.rounds
    if options.device != "cpu":
        run(pixels)  # the first run on a GPU loads kernels
    runs = [run(pixels) for _ in range(rounds)]
    phases = {name: statistics.median(run[0][name] for run in runs) for name in runs[0][0]}
    gpu = torch.cuda.max_memory_allocated() if options.device != "cpu" else 0
    peak = gpu or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    sys.stdout.write(json.dumps({"phases": phases, "masks": len(runs[0][1]), "peak": peak}))


def speed(options: argparse.Namespace) -> None:
    """A table for each size."""
    for size in options.sizes:
        rows: dict[str, Any] = {}
        for name in (STOCK, *(options.ways or ("exact", "default"))):
            words = ["--alone", name, "--sizes", str(size), "--photo", str(options.photo), "--points"]
            words += [str(options.points), "--rounds", str(options.rounds), "--model", options.model]
            command = [sys.executable, __file__, *words, "--device", options.device]
            done = subprocess.run(command, capture_output=True, text=True)
            rows[name] = json.loads(done.stdout) if done.returncode == 0 else None
            if done.returncode:
                sys.stdout.write(f"{name} ended with {done.returncode}: {done.stderr.strip().splitlines()[-1:]}\n")
        sys.stdout.write(f"\n{size} megapixels, {options.points} x {options.points} points, {options.model}\n\n")
        sys.stdout.write(
            "| what | s | times the stock speed | peak MB | masks | by phase |\n|---|---|---|---|---|---|\n"
        )
        for name, row in rows.items():
            sys.stdout.write(_row(name, row, rows[STOCK]))
        sys.stdout.flush()


def _row(name: str, row: Any, peer: Any) -> str:
    if row is None:
        return f"| {name} | did not end | | | | |\n"
    seconds, phases = row["phases"]["all"], {k: round(v, 3) for k, v in row["phases"].items() if k != "all"}
    ratio = f"{peer['phases']['all'] / seconds:.1f}" if peer else "-"
    words = ", ".join(f"{phase} {value}" for phase, value in phases.items())
    return f"| {name} | {seconds:.3g} | {ratio} | {row['peak'] / 1e6:.0f} | {row['masks']} | {words} |\n"


def fidelity(options: argparse.Namespace) -> None:
    """Shares matched both ways, and the mean IoU of the matches, over photos of a folder."""
    ways = options.ways or list(WAYS)
    runs = {name: contestant(name, options) for name in (STOCK, *ways)}
    figures: dict[str, list[tuple[int, int, int, int, float]]] = {name: [] for name in ways}
    photos = sorted(p for p in options.fidelity.rglob("*") if p.suffix in (".jpg", ".png"))[: options.count]
    for path in photos:
        pixels = picture(path)
        expected = runs[STOCK](pixels)[1]
        for name in ways:
            figures[name].append(_compare(expected, runs[name](pixels)[1]))
    sys.stdout.write(f"\n{len(photos)} photos, {options.points} x {options.points} points\n\n")
    sys.stdout.write(
        "| way | stock masks | matched | ours | matched | mean IoU of matches |\n|---|---|---|---|---|---|\n"
    )
    for name, rows in figures.items():
        stock_count, stock_hit, own_count, own_hit, total = np.sum(rows, axis=0).tolist()
        hits = f"{stock_count:.0f} | {stock_hit / stock_count:.3f} | {own_count:.0f} | {own_hit / own_count:.3f}"
        sys.stdout.write(f"| {name} | {hits} | {total / max(1, stock_hit):.4f} |\n")


def _compare(expected: Masks, given: Masks) -> tuple[int, int, int, int, float]:
    """(stock masks, of them matched, ours, of them matched, sum of the matched stock masks' best IoU)."""
    small = [
        np.stack(masks).reshape(len(masks), -1) if masks else np.zeros((0, 1), bool) for masks in (expected, given)
    ]
    if not expected or not given:
        return len(expected), 0, len(given), 0, 0.0
    a, b = (masks.astype(np.float32) for masks in small)
    shared = a @ b.T
    iou = shared / (a.sum(1)[:, None] + b.sum(1) - shared)
    best, back = iou.max(1), iou.max(0)
    return len(a), int((best > MATCH).sum()), len(b), int((back > MATCH).sum()), float(best[best > MATCH].sum())


def _wait(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize()


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=float, nargs="+", default=[0.4, 3.0, 12.0], help="megapixels")
    parser.add_argument("--photo", type=Path, default=PHOTOS / "stream.jpg")
    parser.add_argument("--points", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--model", default="vit_t", choices=("vit_t", "vit_b", "vit_l", "vit_h"))
    parser.add_argument("--ways", nargs="+", choices=tuple(WAYS))
    parser.add_argument("--fidelity", type=Path, help="a folder of photos")
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--alone", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.alone:
        alone(options)
        return
    sys.stdout.write(f"{machine()}\n")
    (fidelity if options.fidelity else speed)(options)


if __name__ == "__main__":
    main()
