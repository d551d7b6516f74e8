"""Prompts as the network takes them, alone and many at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor

from .prompt_encoder import PADDING


@dataclass(frozen=True, eq=False)
class PromptTensors:
    """One object's prompt in the model frame.

    coords: (N, 2) float32 x y: points, then a box's two corners or, without a box, one padding point (0, 0).
    labels: (N,) int64: 1 foreground, 0 background, 2 and 3 a box's corners, -1 padding.
    low_res: (256, 256) float32 logits of an earlier mask, or None.
    """

    coords: Tensor
    labels: Tensor
    low_res: Tensor | None = None

    @staticmethod
    def pack(points: Tensor, labels: Tensor, box: Tensor | None, low_res: Tensor | None = None) -> PromptTensors:
        """SAM's rule: box corners are two more points; without a box exactly one padding point, if any point.

        Args:
            points: (N, 2) x y, model frame; labels: (N,); box: (4,) x0 y0 x1 y1, model frame, or None.
        """
        if box is not None:
            extra, kinds = box.reshape(2, 2), [2, 3]
        elif len(points):
            extra, kinds = points.new_zeros(1, 2), [PADDING]
        else:
            extra, kinds = points.new_zeros(0, 2), []
        coords = torch.cat([points, extra]).float()
        return PromptTensors(coords, torch.cat([labels, labels.new_tensor(kinds)]).long(), low_res)


def shared(tokens: Sequence[Tensor]) -> Tensor:
    """(1, 4096, 256) where all prompts ask one image, else (B, 4096, 256)."""
    first = tokens[0]
    return first[None] if all(one is first for one in tokens) else torch.stack(list(tokens))


def stacked(prompts: Sequence[PromptTensors]) -> list[Tensor]:
    """(B, N, 2) coords, (B, N) labels and, where there are earlier masks, (B, 256, 256) logits."""
    earlier = [prompt.low_res for prompt in prompts if prompt.low_res is not None]
    given = [torch.stack([prompt.coords for prompt in prompts]), torch.stack([prompt.labels for prompt in prompts])]
    return [*given, torch.stack(earlier)] if earlier else given


def same_shape(prompts: Sequence[PromptTensors]) -> list[list[int]]:
    """Numbers of prompts, grouped by token count and by having an earlier mask; original order inside."""

    def shape(number: int) -> tuple[int, bool]:
        return len(prompts[number].labels), prompts[number].low_res is not None

    return [list(group) for _, group in groupby(sorted(range(len(prompts)), key=shape), key=shape)]
