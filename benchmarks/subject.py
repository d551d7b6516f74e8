"""The subject of a photo, found without a click, against labelled photos; beside boxes and clicks.

    python benchmarks/subject.py SET [SET ...] [--half tuning|held-out] [--rows FILE] [--embeddings DIR]

A set is a folder as of quality.py: `images/NAME.(jpg|png)`, `masks/NAME__K.png` (255 object, 128 void, 0 background).

photo: one labelled object dominates. It is the largest, at least a tenth of the photo; the others together are at most
       a quarter of it; it lies on at most 35 % of the photo's rim (1 % of the longer side wide).
crop:  around a labelled object that touches no edge and is at least 80 pixels long, its box grown by 35 % of its longer
       side, where it dominates in the same sense; at most three of a photo, none of what dominates the photo itself.
other: all other photos, where several things would do, or none.

A photo and its crops are in one half, by its name's SHA-256 (first byte even: tuning). With --embeddings, these are
kept in DIR and not made again; with --rows, each picture's figures as a line of JSON.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from quality import iou

from clickmask import NoSubject, OpenImage, Segmenter
from clickmask.service.subject.proposing import PER_SIDE, chessboard

LEAST, RIM, LONG, GROWN, CROPS = 0.10, 0.35, 80, 0.35, 3
THRESHOLDS = (0.0, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
ROUTES = ("subject", "box", "jittered", "centre", "full", "largest")
Labels = list[tuple[np.ndarray, np.ndarray]]  # (H, W) bool each: object, void


@dataclass(frozen=True, eq=False)
class Case:
    """A picture, (H, W, 3) uint8 RGB, and its subject: (H, W) bool, empty for "other"."""

    kind: str
    name: str
    half: str
    pixels: np.ndarray
    truth: np.ndarray
    void: np.ndarray


def dominant(labels: Labels) -> int | None:
    """The number of the object that dominates, if one does."""
    shares = [float(truth.mean()) for truth, _ in labels]
    best = int(np.argmax(shares))
    truth = labels[best][0]
    rim, width = np.ones_like(truth), max(1, round(0.01 * max(truth.shape)))
    rim[width:-width, width:-width] = False
    dominates = shares[best] >= LEAST and sum(shares) - shares[best] <= shares[best] / 4 and truth[rim].mean() <= RIM
    return best if dominates else None


def cases(folder: Path) -> Iterator[Case]:
    """All of a set."""
    for file in sorted((folder / "images").iterdir()):
        pixels = cv2.cvtColor(cv2.imread(str(file)), cv2.COLOR_BGR2RGB)
        drawn = [cv2.imread(str(path), 0) for path in sorted((folder / "masks").glob(f"{file.stem}__*.png"))]
        labels = [(mask > 200, (mask > 60) & (mask <= 200)) for mask in drawn]
        half = ("tuning", "held-out")[hashlib.sha256(file.stem.encode()).digest()[0] % 2]
        best = dominant(labels)
        if best is None:
            yield Case("other", file.stem, half, pixels, np.zeros_like(labels[0][0]), labels[0][1])
        else:
            yield Case("photo", file.stem, half, pixels, *labels[best])
        crops = [number for number in range(len(labels)) if number != best and _cut(labels, number) is not None]
        for number in crops[:CROPS]:
            part = _cut(labels, number)
            truth, void = (one[part] for one in labels[number])
            yield Case("crop", f"{file.stem}__{number}", half, np.ascontiguousarray(pixels[part]), truth, void)


def _cut(labels: Labels, number: int) -> tuple[slice, slice] | None:
    truth = labels[number][0]
    x0, y0, x1, y1 = box_of(truth)
    height, width = truth.shape
    long = max(x1 - x0, y1 - y0)
    if long < LONG or min(x0, y0) <= 2 or x1 >= width - 2 or y1 >= height - 2:
        return None
    by = round(GROWN * long)
    part = slice(max(0, y0 - by), y1 + by), slice(max(0, x0 - by), x1 + by)
    return part if dominant([(one[part], void[part]) for one, void in labels]) == number else None


def box_of(mask: np.ndarray) -> tuple[int, int, int, int]:
    """(x0, y0, x1, y1), x1 and y1 exclusive."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def jittered(box: tuple[int, int, int, int], size: tuple[int, int], name: str) -> tuple[float, float, float, float]:
    """A box as a detector might give it: each edge off by up to 10 % of the side, by the name's seed."""
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4])
    x0, y0, x1, y1 = box
    sides = np.array([x1 - x0, y1 - y0] * 2)
    moved = np.clip(np.array(box) + np.random.default_rng(seed).uniform(-0.1, 0.1, 4) * sides, 0, [*size, *size])
    return float(moved[0]), float(moved[1]), float(moved[2]), float(moved[3])


def measure(image: OpenImage, case: Case) -> dict[str, Any]:
    """The confidence, and for each route the IoU with the truth (0 for no mask)."""
    found = image.subject(min_confidence=0)
    row = {"kind": case.kind, "name": case.name, "half": case.half, "confidence": found.confidence}
    if case.kind == "other":
        return row
    width, height = image.size
    box = box_of(case.truth)
    everything = image.everything(points_per_side=None, point_grids=[chessboard(PER_SIDE)])
    inner = [mask for mask in everything if mask.box and _is_within(mask.box, width, height)]
    masks = {
        "subject": found.guess if isinstance(found, NoSubject) else found,
        "box": image.segment(box=box),
        "jittered": image.segment(box=jittered(box, image.size, case.name)),
        "centre": image.click(width / 2, height / 2),
        "full": image.segment(box=(0, 0, width, height)),
        "largest": next(iter(inner), None),
    }
    return row | {name: 0.0 if m is None else iou(m.pixels, case.truth, case.void) for name, m in masks.items()}


def _is_within(box: tuple[int, int, int, int], width: int, height: int) -> bool:
    return min(box[:2]) > 0 and box[2] < width and box[3] < height


def tables(rows: list[dict[str, Any]]) -> str:
    """What is printed: all routes, and what each threshold of confidence leaves, half by half."""
    lines = ["| half | what | pictures | " + " | ".join(ROUTES) + " |", "|---" * (3 + len(ROUTES)) + "|"]
    halves = [(half, [row for row in rows if row["half"] == half]) for half in ("tuning", "held-out")]
    for half, mine in halves:
        for kind in ("photo", "crop"):
            some = [row for row in mine if row["kind"] == kind]
            if some:
                figures = [[row[route] for row in some] for route in ROUTES]
                cells = [f"{np.mean(values):.3f} / {np.median(values):.3f}" for values in figures]
                lines.append(f"| {half} | {kind} | {len(some)} | " + " | ".join(cells) + " |")
    lines += [
        "",
        "| half | min_confidence | answered | mean IoU | median IoU | IoU < 0.5 | answered, other |",
        "|---" * 7 + "|",
    ]
    for half, mine in halves:
        for least in THRESHOLDS:
            lines.append(f"| {half} | {least} | " + " | ".join(_calibrated(mine, least)) + " |")
    return "\n".join(lines)


def _calibrated(rows: list[dict[str, Any]], least: float) -> list[str]:
    single = [row for row in rows if row["kind"] != "other"]
    others = [row for row in rows if row["kind"] == "other"]
    told = [row["subject"] for row in single if row["confidence"] >= least]
    strange = sum(row["confidence"] >= least for row in others)
    quality = [f"{np.mean(told):.3f}", f"{np.median(told):.3f}"] if told else ["", ""]
    bad = sum(value < 0.5 for value in told)
    return [f"{len(told)} of {len(single)}", *quality, str(bad), f"{strange} of {len(others)}"]


def opened(segmenter: Segmenter, case: Case, folder: Path | None) -> OpenImage:
    """The picture, encoded now or earlier."""
    path = folder / f"{case.kind}_{case.name}.safetensors" if folder else None
    if path and path.exists():
        return segmenter.load_embedding(path, image=case.pixels)
    image = segmenter.open(case.pixels)
    if path:
        image.save_embedding(path)
    return image


def main() -> None:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="+", type=Path)
    parser.add_argument("--half", choices=("tuning", "held-out"))
    parser.add_argument("--rows", type=Path)
    parser.add_argument("--embeddings", type=Path)
    options = parser.parse_args()
    lines = options.rows.read_text().splitlines() if options.rows and options.rows.exists() else []
    rows = [json.loads(line) for line in lines]
    known, segmenter = {(row["kind"], row["name"]) for row in rows}, Segmenter()
    for case in (case for folder in options.sets for case in cases(folder)):
        if (case.kind, case.name) in known or options.half not in (None, case.half):
            continue
        with opened(segmenter, case, options.embeddings) as image:
            rows.append(measure(image, case))
        if options.rows:
            with options.rows.open("a") as file:
                file.write(json.dumps(rows[-1]) + "\n")
    sys.stdout.write(f"{segmenter!r}\n\n{tables(rows)}\n")


if __name__ == "__main__":
    main()
