"""Two runs of quality.py over the same objects, one against the other: mean differences, and how sure they are.

    python benchmarks/quality.py reference SET [SET ...] --noc --objects before.jsonl
    python benchmarks/quality.py clickmask SET [SET ...] --noc --objects after.jsonl
    python benchmarks/quality_pairs.py before.jsonl after.jsonl [--plot FILE.svg]

The intervals hold the mean difference 19 times of 20: percentiles of 10,000 draws of the objects with replacement
(Efron's bootstrap), each object's two figures staying together.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

FIGURES = {  # name in the rows: title
    "click_iou": "IoU, one click",
    "box_iou": "IoU, box",
    "box_boundary_iou": "boundary IoU, box",
    "noc85": "clicks to IoU 0.85",
    "noc90": "clicks to IoU 0.90",
}
DRAWS = 10_000
Rows = dict[tuple[str, str], dict[str, float]]
Interval = tuple[float, float, float]


def read(path: Path) -> Rows:
    """Figures by (set, object)."""
    rows = map(json.loads, path.read_text().splitlines())
    return {(row["set"], row["name"]): row for row in rows}


def interval(differences: np.ndarray) -> Interval:
    """The mean, and the ends of its 95 % interval."""
    draws = np.random.default_rng(0).integers(0, len(differences), (DRAWS, len(differences)))
    low, high = np.percentile(differences[draws].mean(1), (2.5, 97.5))
    return float(differences.mean()), float(low), float(high)


def compare(before: Rows, after: Rows) -> dict[str, dict[str, Interval]]:
    """For each figure that both have, by set, the difference; "mean of the sets" without an interval."""
    if before.keys() != after.keys():
        sys.exit("the two runs are not over the same objects")
    sets = sorted({name for name, _ in before})
    found: dict[str, dict[str, Interval]] = {}
    for figure in FIGURES:
        if figure in next(iter(before.values())) and figure in next(iter(after.values())):
            pairs = {name: [key for key in before if key[0] == name] for name in sets}
            found[figure] = {
                name: interval(np.array([after[key][figure] - before[key][figure] for key in keys]))
                for name, keys in pairs.items()
            }
    return found


def plot(found: dict[str, dict[str, Interval]], path: Path) -> None:
    """A panel a figure, a line with its interval a set."""
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, len(found), figsize=(2.6 * len(found), 2.2), sharey=True, layout="constrained")
    for panel, (name, by_set) in zip(np.atleast_1d(panels), found.items(), strict=True):
        for row, (mean, low, high) in enumerate(by_set.values()):
            panel.plot([low, high], [row, row], color="#7a8a99", linewidth=2, solid_capstyle="round")
            panel.plot([mean], [row], "o", color="#0b5cad")
        panel.axvline(0, color="#b0b8c0", linewidth=1, zorder=0)
        panel.set(
            title=FIGURES[name], yticks=range(len(by_set)), yticklabels=list(by_set), ylim=(-0.5, len(by_set) - 0.5)
        )
        panel.title.set_fontsize(9)
        panel.tick_params(labelsize=8)
        panel.invert_yaxis()
        panel.spines[["top", "right", "left"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Print a table, and draw it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    found = compare(read(options.before), read(options.after))
    sys.stdout.write("| figure | set | difference | 95 % |\n|---|---|---|---|\n")
    for figure, by_set in found.items():
        for name, (mean, low, high) in by_set.items():
            sys.stdout.write(f"| {FIGURES[figure]} | {name} | {mean:+.4f} | {low:+.4f} to {high:+.4f} |\n")
        mean = np.mean([row[0] for row in by_set.values()])
        sys.stdout.write(f"| {FIGURES[figure]} | mean of the sets | {mean:+.4f} | |\n")
    if options.plot:
        plot(found, options.plot)


if __name__ == "__main__":
    main()
