"""Clicks are law: every foreground point lies inside the mask, every background point outside.

Where the decoder ignores a click the logits are bent around it: most at the click itself, less with the distance from
it, for which edges of the picture and clicks of the other kind are far away. So what changes is what the click stands
in, its outline follows the picture, and where the decoder was sure nothing happens. (To ask the decoder again, without
the earlier mask or for three candidates, and to take an answer that obeys, is no better and takes three times as long.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ...models.errors import PromptError
from ...models.frame import LOW_RES, Frame
from ..prompts import Prompt
from .geodesic import geodesic
from .sampling import Sampler
from .spots import Spot

if TYPE_CHECKING:
    from ..masks import Mask


@dataclass(frozen=True)
class Rules:
    """Found on the development sets, see benchmarks/quality.md.

    edge: how much longer a way is across a change of colour (of 1 in L*a*b*, L* from 0 to 1). reach: cells of the
    low-res logits over which a bend fades. margin: logits at a click that was ignored, afterwards.
    """

    edge: float = 20.0
    reach: float = 12.0
    margin: float = 0.5


RULES = Rules()
_ROUNDS = 4  # bends of one click may undo another's by a little
_SEEN = 4.0  # reaches; what is farther away is bent by less than a millionth
_LEAST = 1e-3  # logits by which a click is respected: more than arithmetic is out by


def obey(mask: Mask, colours: Callable[[], np.ndarray | None]) -> Mask:
    """The mask, or one like it that respects all points of its prompt.

    Args:
        mask: as it was decoded; of a prompt that `check_pixels` lets pass.
        colours: gives the encoded part of the picture at the size of the low-res logits, see `sketch`; None where it
            is not at hand.
    """
    if not mask.prompt.points:
        return mask
    sampler = Sampler(mask.frame, mask.prompt.points)
    signs = np.array([1.0 if label else -1.0 for label in mask.prompt.labels or ()])
    if (signs * sampler.values(mask.shown_logits) > _LEAST).all():
        return mask
    return _bent(mask, sampler, signs, colours())


def check_pixels(prompt: Prompt) -> None:
    """Raises PromptError where a pixel has a foreground and a background point."""
    seen: dict[tuple[int, int], tuple[int, int]] = {}
    for number, ((x, y), label) in enumerate(zip(prompt.points, prompt.labels or (), strict=True)):
        before, kind = seen.setdefault((int(x), int(y)), (number, label))
        if kind != label:
            raise PromptError(
                f"points[{number}]: ({x:g}, {y:g}) lies in the pixel of points[{before}], which has the other label: "
                "a pixel is either in the object or not"
            )


def _bent(mask: Mask, sampler: Sampler, signs: np.ndarray, colours: np.ndarray | None) -> Mask:
    bends = _Bends(mask.frame, sampler.cells, signs, colours)
    logits = mask.shown_logits.copy()
    for _ in range(_ROUNDS):
        missing = RULES.margin - signs * sampler.values(logits)
        ignored = np.flatnonzero(missing > RULES.margin - _LEAST)
        if not len(ignored):
            return replace(mask, shown=logits)
        for number in ignored.tolist():
            logits += signs[number] * missing[number] * bends.around(number)
    values = signs * sampler.values(logits)
    return replace(mask, shown=logits, spots=_spots(mask.prompt, mask.frame, values <= _LEAST))


def _spots(prompt: Prompt, frame: Frame, ignored: np.ndarray) -> tuple[Spot, ...]:
    """Clicks of both kinds in nearly one cell: each has its own pixels, half the way to the next of the other kind."""
    points, labels = np.array(prompt.points), np.array(prompt.labels)
    cell = max(frame.window_size) / LOW_RES
    spots = []
    for number in np.flatnonzero(ignored):
        others = np.floor(points[labels != labels[number]]) - np.floor(points[number])
        nearest = np.hypot(*others.T).min(initial=2 * cell) / 2
        x, y = points[number]
        spots.append(Spot(float(x), float(y), int(labels[number]), float(nearest) - 1e-6))
    return tuple(spots)


class _Bends:
    """Where each click may bend the logits: (256, 256) float32, 1 at the click, 0 at clicks of the other kind."""

    def __init__(
        self, frame: Frame, cells: Sequence[tuple[int, int]], signs: np.ndarray, colours: np.ndarray | None
    ) -> None:
        self._cells, self._signs = cells, signs
        width, height = frame.valid_low_res()
        self._colours = np.zeros((height, width, 3), np.float32) if colours is None else colours
        self._known: dict[int, np.ndarray] = {}

    def around(self, number: int) -> np.ndarray:
        """Of one click."""
        if number not in self._known:
            self._known[number] = self._find(number)
        return self._known[number]

    def _find(self, number: int) -> np.ndarray:
        column, row = self._cells[number]
        reach = int(_SEEN * RULES.reach)
        x0, y0 = max(0, column - reach), max(0, row - reach)
        colours = self._colours[y0 : row + reach + 1, x0 : column + reach + 1]
        own = geodesic(colours, (column - x0, row - y0), RULES.edge)
        weight = np.exp(-((own / RULES.reach) ** 2))
        rows, columns = np.ogrid[: colours.shape[0], : colours.shape[1]]
        for other, (x, y) in enumerate(self._cells):
            if self._signs[other] != self._signs[number]:  # as the crow flies: never farther than it is
                away = np.hypot(columns - (x - x0), rows - (y - y0))
                weight *= np.minimum(1, 2 * away / (own + away + 1e-6))
        whole = np.zeros((LOW_RES, LOW_RES), np.float32)
        whole[y0 : y0 + colours.shape[0], x0 : x0 + colours.shape[1]] = weight
        return whole
