"""What everything-mode gives: a list of masks, what lies in what, and one map of all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ...models.errors import SettingsError
from ...models.frame import Frame
from ..masks import BaseMask, PhotoSource
from ..prompts import Prompt
from ..rle import Rle
from .options import ORDERS
from .runs import Runs
from .suppression import boxes_meet

INSIDE = 0.9  # share of a mask that lies in another, from which on it is a part of that


@dataclass(frozen=True, eq=False)
class FoundMask(BaseMask):
    """A mask that was found without being asked for. It is kept as run lengths; pixels are made on demand.

    score, index, frame, prompt, provenance: as of `Mask`; prompt is the grid's point that found it.
    point: (x, y), image frame. crop: (x0, y0, x1, y1), the part of the image that was looked at.
    """

    runs: Runs = field(repr=False)
    score: float
    stability: float
    index: int
    frame: Frame
    prompt: Prompt
    provenance: Mapping[str, Any] = field(repr=False)
    source: PhotoSource = field(repr=False)
    ask_again: Callable[[Frame, Prompt, int], np.ndarray] = field(repr=False)
    cleaned: np.ndarray | None = field(default=None, repr=False)

    @property
    def point(self) -> tuple[float, float]:
        """(x, y) of the point that found it, image frame."""
        x, y = self.prompt.points[0]
        return float(x), float(y)

    @property
    def crop(self) -> tuple[int, int, int, int]:
        """(x0, y0, x1, y1): the part of the image in which it was found."""
        return self.frame.window

    @cached_property
    def logits(self) -> np.ndarray:  # pyright: ignore[reportIncompatibleVariableOverride]
        """(256, 256) float32 low-res logits: the point is decoded again, as they are not kept.

        Raises:
            ClosedError: the image was closed.
        """
        return self.ask_again(self.frame, self.prompt, self.index)

    def _decoded(self) -> np.ndarray:
        return self.runs.pixels()

    @cached_property
    def box(self) -> tuple[int, int, int, int] | None:  # pyright: ignore[reportIncompatibleVariableOverride]
        """(x0, y0, x1, y1) pixels, x1 and y1 exclusive; None when the mask is empty."""
        return self._runs.box

    @cached_property
    def area(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Pixels."""
        return self._runs.area

    def rle(self) -> Rle:
        """COCO's compressed run lengths: {"size": [H, W], "counts": str}."""
        return self._runs.rle()

    @cached_property
    def _runs(self) -> Runs:
        return self.runs if self.cleaned is None else Runs.of(self.cleaned)


class Found(list[FoundMask]):
    """Masks, the largest first.

    is_complete: whether everything was looked at, or the search was cancelled. points: how many points were asked.
    peak_memory: on a GPU the most bytes that torch held there during the search, else the most that this process ever
    had; None where the system does not say.
    """

    def __init__(
        self,
        masks: Iterable[FoundMask],
        size: tuple[int, int],
        *,
        is_complete: bool = True,
        points: int = 0,
        peak_memory: int | None = None,
    ) -> None:
        super().__init__(sorted(masks, key=lambda mask: -mask.area))
        self.size, self.is_complete, self.points, self.peak_memory = size, is_complete, points, peak_memory

    @cached_property
    def parents(self) -> list[int | None]:
        """For each mask the number of the smallest larger one that nine tenths of it lie in."""
        return [self._parent(number) for number in range(len(self))]

    def _parent(self, number: int) -> int | None:
        own = self[number].runs
        for other in range(number - 1, -1, -1):
            larger = self[other].runs
            if larger.area > own.area and boxes_meet(own, larger) and own.overlap(larger) >= INSIDE * own.area > 0:
                return other
        return None

    def label_map(self, order: str = "area") -> np.ndarray:
        """(H, W) int32: 0 where there is no mask, else the mask's number in this list plus 1.

        Args:
            order: of several masks a pixel belongs to the smallest ("area") or to that with the best score ("score").

        Raises:
            SettingsError: another order.
        """
        if order not in ORDERS:
            raise SettingsError(f'order={order!r} is unknown; use "area" or "score"')
        return label_map([mask.runs for mask in self], [mask.score for mask in self], self.size, order)


def label_map(runs: list[Runs], scores: list[float], size: tuple[int, int], order: str) -> np.ndarray:
    """(H, W) int32: for each pixel the number of the mask it belongs to plus 1, 0 for none; see `Found.label_map`."""
    width, height = size
    columns = np.zeros((width, height), np.int32)
    weakest_first = sorted(range(len(runs)), key=lambda n: (-runs[n].area if order == "area" else scores[n], -n))
    for number in weakest_first:
        box = runs[number].box
        if box is not None:
            part = columns[box[0] : box[2]]
            part[runs[number].columns(box[0], box[2])] = number + 1
    return np.ascontiguousarray(columns.T)
