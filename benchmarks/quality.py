"""Quality against ground truth: 1-click and box mean IoU, boundary IoU, the number of clicks needed, those respected.

    python benchmarks/quality.py clickmask|reference SET [SET ...] [--limit N] [--noc] [--objects FILE]

A set is a folder with `images/NAME.(jpg|png)` and `masks/NAME__K.png` (8-bit: 255 object, 128 void, 0 background).
The first click is at the middle of the object (peak of its distance transform); each next one at the middle of the
larger error: positive on missing, negative on surplus pixels. NoC@85 is the mean number of clicks to reach IoU 0.85, 20
at most. A click is respected by an answer whose mask says of its pixel what the click says; counted after each click
from the second on, for all clicks so far. Report each set by itself; sets of very different sizes are never pooled.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

MOST_CLICKS = 20


def peak(mask: np.ndarray) -> tuple[tuple[int, int], float]:
    """((x, y), distance) of the pixel farthest inside a mask."""
    distance = cv2.distanceTransform(np.pad(mask.astype(np.uint8), 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
    y, x = np.unravel_index(distance.argmax(), distance.shape)
    return (int(x), int(y)), float(distance.max())


def iou(one: np.ndarray, other: np.ndarray, void: np.ndarray) -> float:
    """IoU of two masks outside the void."""
    one, other = one & ~void, other & ~void
    union = int((one | other).sum())
    return int((one & other).sum()) / union if union else 1.0


def boundary_iou(one: np.ndarray, other: np.ndarray, void: np.ndarray) -> float:
    """IoU of the bands of 2 % of the diagonal inside each outline (Cheng et al., CVPR 2021)."""
    width = max(1, round(0.02 * float(np.hypot(*one.shape))))
    return iou(_band(one & ~void, width), _band(other & ~void, width), void)


def _band(mask: np.ndarray, width: int) -> np.ndarray:
    padded = np.pad(mask.astype(np.uint8), 1)
    return mask & ~cv2.erode(padded, np.ones((3, 3), np.uint8), iterations=width)[1:-1, 1:-1].astype(bool)


def next_click(predicted: np.ndarray, truth: np.ndarray, void: np.ndarray) -> tuple[tuple[int, int], int]:
    """Where a person would click next, and with which label."""
    (missing, deep), (surplus, wide) = peak(truth & ~predicted & ~void), peak(predicted & ~truth & ~void)
    return (missing, 1) if deep >= wide else (surplus, 0)


def respected(mask: np.ndarray, points: list[tuple[int, int]], labels: list[int]) -> int:
    """How many points a mask respects."""
    return sum(bool(mask[y, x]) == bool(label) for (x, y), label in zip(points, labels, strict=True))


def clicks_needed(image: Any, truth: np.ndarray, void: np.ndarray, first: tuple[int, int]) -> dict[str, int]:
    """Clicks until IoU 0.85 and 0.90, each with the low-res logits of the one before; and how many are respected."""
    points, labels = [first], [1]
    masks, scores, logits = image.predict(points, labels, None, None, True)
    needed = {0.85: MOST_CLICKS, 0.90: MOST_CLICKS}
    kept = told = 0
    for count in range(1, MOST_CLICKS + 1):
        best = int(np.argmax(scores))
        reached = iou(masks[best], truth, void)
        needed = {bar: min(clicks, count) if reached >= bar else clicks for bar, clicks in needed.items()}
        if reached >= 0.90 or count == MOST_CLICKS:
            break
        point, label = next_click(masks[best], truth, void)
        points, labels = [*points, point], [*labels, label]
        masks, scores, logits = image.predict(points, labels, None, logits[best], False)
        kept, told = kept + respected(masks[0], points, labels), told + len(points)
    return {"noc85": needed[0.85], "noc90": needed[0.90], "kept": kept, "told": told}


def measure(image: Any, truth: np.ndarray, void: np.ndarray, noc: bool) -> dict[str, float]:
    """All figures of one object."""
    first, _ = peak(truth)
    start = time.perf_counter()
    masks, scores, _ = image.predict([first], [1], None, None, True)
    seconds = time.perf_counter() - start
    ys, xs = np.nonzero(truth)
    box = (int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1)
    boxed = image.predict([], [], box, None, False)[0][0]
    figures = {
        "click_iou": iou(masks[int(np.argmax(scores))], truth, void),
        "best_of_3_iou": max(iou(mask, truth, void) for mask in masks),
        "box_iou": iou(boxed, truth, void),
        "box_boundary_iou": boundary_iou(boxed, truth, void),
        "decode_s": seconds,
    }
    if noc:
        figures |= clicks_needed(image, truth, void, first)
    return figures


def evaluate(model: Any, folder: Path, limit: int, noc: bool) -> tuple[dict[str, Any], dict[str, dict[str, float]]]:
    """Mean figures over a set, and those of each object by its mask's name."""
    found: dict[str, dict[str, float]] = {}
    encode: list[float] = []
    files = sorted((folder / "images").iterdir())
    for file in files[:: max(1, len(files) // limit)][:limit] if limit else files:
        pixels = cv2.cvtColor(cv2.imread(str(file)), cv2.COLOR_BGR2RGB)
        start = time.perf_counter()
        image = model.open(pixels)
        encode.append(time.perf_counter() - start)
        for path in sorted((folder / "masks").glob(f"{file.stem}__*.png")):
            drawn = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
            truth, void = drawn > 200, (drawn > 60) & (drawn <= 200)
            if truth.sum() >= 16:
                found[path.stem] = measure(image, truth, void, noc)
    rows = list(found.values())
    figures = {name: round(float(np.mean([row[name] for row in rows])), 4) for name in rows[0] if name[-2:] != "_s"}
    if noc:
        kept, told = (sum(row[name] for row in rows) for name in ("kept", "told"))
        del figures["kept"], figures["told"]
        figures["clicks_respected"] = round(kept / told, 5) if told else 1.0
    return {"set": folder.name, "images": len(encode), "objects": len(rows), **figures}, found


def main() -> None:
    """Measure one model on the given sets; one JSON line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=("clickmask", "reference"))
    parser.add_argument("sets", nargs="+", type=Path)
    parser.add_argument("--limit", type=int, default=0, help="images of each set, evenly spread")
    parser.add_argument("--noc", action="store_true", help="count clicks too (slow)")
    parser.add_argument("--objects", type=Path, help="add each object's figures to this file, for quality_pairs.py")
    options = parser.parse_args()
    model = importlib.import_module(f"quality_{options.model}").Model()
    for folder in options.sets:
        row, objects = evaluate(model, folder, options.limit, options.noc)
        sys.stdout.write(json.dumps({"model": model.describe(), **row}) + "\n")
        sys.stdout.flush()
        if options.objects:
            with options.objects.open("a") as file:
                file.writelines(
                    json.dumps({"set": folder.name, "name": name, **objects[name]}) + "\n" for name in objects
                )


if __name__ == "__main__":
    main()
