"""What stands out: how unlike the image's border each place of the embedding is.

The border as background is the idea of "Saliency Optimization from Robust Background Detection" (Zhu et al., CVPR
2014); here the likeness is that of SAM's own image tokens, so nothing is trained and no other network is asked.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ...models.frame import GRID, LOW_RES, Frame

RIM = 2  # tokens: the border is so wide, which is more than a line that frames a photo
SHARE = 8  # a place is like the border when it is like an eighth of it: a photo's background has several parts
CENTRED = 0.5  # of the image's sides: how slowly things count for less away from the middle
LEVEL = 0.5  # of the most that anything stands out: from there on it does
CELL = LOW_RES // GRID  # low-res places a token, along each side


def excess(tokens: Tensor, frame: Frame) -> Tensor:
    """How much more, or less, than `LEVEL` each place of an image stands out, as a share of all there is.

    Args:
        tokens: (4096, 256), the image as `Sam.encode` gives it. frame: of what was encoded.

    Returns:
        (rows, columns) float32 on the CPU, one number for each token on the picture. Absolute values add up to 1 (to 0
        where no place differs from another), so that the sum over a mask is between -1 and 1.
    """
    covered = cover(torch.ones(1, *frame.valid_low_res()[::-1]))[0]
    rows, columns = covered.shape
    seen = tokens.float().cpu().reshape(GRID, GRID, -1)[:rows, :columns]
    unlike = _unlike_the_border(seen) * _middle(rows, columns)
    if not unlike.max() > 0:
        return torch.zeros(rows, columns)
    surplus = (unlike / unlike.max() - LEVEL) * covered
    return surplus / surplus.abs().sum()


def cover(masks: Tensor) -> Tensor:
    """(K, height, width) of low-res places -> (K, rows, columns) float32: the share of each token's cell in a mask."""
    height, width = masks.shape[1:]
    padded = torch.nn.functional.pad(masks.float(), (0, -width % CELL, 0, -height % CELL))
    return torch.nn.functional.avg_pool2d(padded[:, None], CELL)[:, 0]


def _unlike_the_border(seen: Tensor) -> Tensor:
    """(rows, columns, 256) -> (rows, columns), 0 for what is most like the border, 1 for what is least."""
    rows, columns = seen.shape[:2]
    directions = torch.nn.functional.normalize(seen - seen.mean((0, 1)), dim=2).flatten(0, 1)
    places = border(rows, columns, RIM).flatten().nonzero()[:, 0]
    alike = directions @ directions[places].T
    alike[places, torch.arange(len(places))] = -1.0  # a place does not vouch for itself
    nearest = alike.topk(max(1, len(places) // SHARE), dim=1).values.mean(1)
    unlike = (1 - nearest).reshape(rows, columns)
    spread = unlike.max() - unlike.min()
    return (unlike - unlike.min()) / spread if spread > 0 else torch.zeros_like(unlike)


def border(rows: int, columns: int, width: int) -> Tensor:
    """(rows, columns) bool: true within `width` of an edge."""
    ring = torch.ones(rows, columns, dtype=torch.bool)
    ring[width : max(width, rows - width), width : max(width, columns - width)] = False
    return ring


def _middle(rows: int, columns: int) -> Tensor:
    """(rows, columns): 1 in the middle, falling to a third in the corners."""
    y, x = ((torch.arange(side) + 0.5) / side - 0.5 for side in (rows, columns))
    return torch.exp(-(y[:, None] ** 2 + x**2) / (2 * CENTRED**2))
