"""Things that the edge of a tile cut: their parts are joined again.

A part and its other half, found in the neighbouring tile, agree where both tiles look. The parts of one thing make one
mask: the union, with the mean of their scores by area and the least of their stabilities. What another tile shows whole
needs no parts; nor does what the whole image shows, unless its parts were found and make a finer mask.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations, product

import numpy as np

from .grids import Crop, Window
from .runs import Runs
from .search import Candidate
from .suppression import boxes_meet

AGREEMENT = 0.7  # IoU of two parts in what both tiles see


def join_cut(candidates: Sequence[Candidate], crops: Sequence[Crop]) -> list[Candidate]:
    """The candidates, with those that were cut replaced by what their parts make together.

    A part that nothing else shows stays as it is: the thing may end there.
    """
    windows = [crop.window for crop in crops]
    cut, uncut = [c for c in candidates if c.is_cut], [c for c in candidates if not c.is_cut]
    groups = [[cut[n] for n in group] for group in _groups(cut, windows)]
    return uncut + [_joined(parts) for parts in groups if not _is_shown(parts, uncut, windows)]


def _is_shown(parts: list[Candidate], uncut: list[Candidate], windows: list[Window]) -> bool:
    """Whether one of the uncut masks is the thing these are the parts of."""
    for part, other in product(parts, uncut):
        is_finer = len(parts) > 1 and _shared(windows[part.crop], windows[other.crop]) == windows[part.crop]
        if is_finer or not boxes_meet(part.runs, other.runs):
            continue
        if part.runs.overlap(other.runs) > AGREEMENT * part.runs.area and _agree(part, other, windows):
            return True
    return False


def _groups(cut: list[Candidate], windows: list[Window]) -> list[list[int]]:
    """Numbers of the parts, those of one thing together."""
    leader = list(range(len(cut)))

    def find(number: int) -> int:
        while leader[number] != number:
            leader[number] = leader[leader[number]]
            number = leader[number]
        return number

    by_crop: dict[int, list[int]] = {}
    for number, part in enumerate(cut):
        by_crop.setdefault(part.crop, []).append(number)
    for a, b in combinations(by_crop, 2):
        if not _shared(windows[a], windows[b]):
            continue
        for one, other in product(by_crop[a], by_crop[b]):
            if find(one) != find(other) and _agree(cut[one], cut[other], windows):
                leader[find(one)] = find(other)
    groups: dict[int, list[int]] = {}
    for number in range(len(cut)):
        groups.setdefault(find(number), []).append(number)
    return list(groups.values())


def _agree(one: Candidate, other: Candidate, windows: list[Window]) -> bool:
    shared = _shared(windows[one.crop], windows[other.crop])
    if shared is None or not boxes_meet(one.runs, other.runs):
        return False
    x0, y0, x1, y1 = shared
    parts = [np.ascontiguousarray(c.runs.columns(x0, x1)[:, y0:y1]) for c in (one, other)]
    union = np.count_nonzero(parts[0] | parts[1])
    return bool(union) and bool(np.count_nonzero(parts[0] & parts[1]) > AGREEMENT * union)


def _shared(a: Window, b: Window) -> Window | None:
    x0, y0, x1, y1 = max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def _joined(parts: list[Candidate]) -> Candidate:
    if len(parts) == 1:
        return parts[0]
    best = max(parts, key=lambda part: part.runs.area)
    areas = [part.runs.area for part in parts]
    score = float(np.average([part.score for part in parts], weights=areas))
    stability = min(part.stability for part in parts)
    return replace(best, runs=Runs.union(part.runs for part in parts), score=score, stability=stability, is_cut=False)
