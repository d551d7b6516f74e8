"""Which of the masks is the subject: the one that holds most of what stands out, and little else."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .proposing import Seen
from .salience import border, cover

LEAST = 0.01  # of the picture: smaller masks are no subjects
EDGE = 2  # low-res places: what lies so near to the picture's edge touches it
APART = 0.2  # of the smaller of two masks: sharing less than this they are different things


@dataclass(frozen=True, eq=False)
class Chosen:
    """The best mask. value: what it holds of what stands out, 0 to 1. rival: the value of the best other thing, as a
    share of its own, 0 to 1.
    """

    mask: Tensor
    value: float
    rival: float


def choose(seen: Seen, surplus: Tensor) -> Chosen | None:
    """The mask of the highest value; None where none is worth anything.

    Args:
        surplus: (rows, columns), as `salience.excess` gives it.
    """
    if not len(seen.masks):
        return None
    worth = values(seen, surplus)
    best = int(worth.argmax())
    if not worth[best] > 0:
        return None
    others = worth[overlaps(seen.masks, best) < APART]
    rival = float(others.max() / worth[best]) if len(others) else 0.0
    return Chosen(seen.masks[best], float(worth[best]), rival)


def values(seen: Seen, surplus: Tensor) -> Tensor:
    """(K,) float32: the surplus within each mask, less for a mask along the border and for one of low quality."""
    held = (cover(seen.masks) * surplus).sum((1, 2)).clamp(min=0)
    large = seen.masks.flatten(1).float().mean(1) >= LEAST
    return held * (1 - border_share(seen.masks)) ** 2 * seen.quality**2 * large


def border_share(masks: Tensor) -> Tensor:
    """(K, height, width) bool -> (K,) float32: how much of the picture's border each mask covers."""
    height, width = masks.shape[1:]
    return masks[:, border(height, width, EDGE)].float().mean(1)


def overlaps(masks: Tensor, number: int) -> Tensor:
    """(K,) float32: what each mask shares with the one of this number, as a share of the smaller of the two."""
    flat = masks.flatten(1)
    shared = (flat & flat[number]).sum(1)
    areas = flat.sum(1)
    return shared / torch.minimum(areas, areas[number]).clamp(min=1)
