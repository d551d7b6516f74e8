"""One object, clicked step by step: the chain of clicks that the page makes, for Python."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..models.errors import PromptError
from .masks import Mask
from .prompts import Box, Point, Prompt

if TYPE_CHECKING:
    from .open_image import OpenImage


@dataclass(frozen=True)
class _Point:
    x: float
    y: float
    label: int


@dataclass(frozen=True)
class _Box:
    sides: Box


@dataclass(frozen=True)
class _State:
    """Points and box in the order they were placed, and after each the mask it gave (None once it is stale)."""

    elements: tuple[_Point | _Box, ...] = ()
    answers: tuple[Mask | None, ...] = ()
    candidates: tuple[Mask, ...] = ()


class Thing:
    """An object in the making. Click k is asked with all points so far and the low-res logits of click k - 1.

    Changing or deleting element k drops the answers from k on: one question with all that is left and the logits
    of answer k - 1. Undo and redo go through the states, without asking again. Not for several threads at once.
    """

    def __init__(self, image: OpenImage) -> None:
        self._image = image
        self._states, self._at = [_State()], 0

    @property
    def mask(self) -> Mask | None:
        """The mask now; None before the first click."""
        return self._now.answers[-1] if self._now.answers else None

    @property
    def candidates(self) -> list[Mask]:
        """The three masks of a single click, best first; empty when the prompt is not ambiguous."""
        return list(self._now.candidates)

    @property
    def points(self) -> list[Point]:
        """The points placed so far (image frame)."""
        return [(e.x, e.y) for e in self._now.elements if isinstance(e, _Point)]

    @property
    def labels(self) -> list[int]:
        """Their labels."""
        return [e.label for e in self._now.elements if isinstance(e, _Point)]

    @property
    def box(self) -> Box | None:
        """The box, where there is one."""
        return next((e.sides for e in self._now.elements if isinstance(e, _Box)), None)

    def add(self, x: float, y: float, label: int = 1) -> Mask:
        """One more click: 1 foreground, 0 background. Raises PromptError and changes nothing when it is wrong."""
        return self._place(len(self._now.elements), _Point(x, y, label))

    def set_box(self, x0: float, y0: float, x1: float, y1: float) -> Mask:
        """Draw the object's box, or draw it anew; points stay."""
        elements = self._now.elements
        at = next((n for n, e in enumerate(elements) if isinstance(e, _Box)), len(elements))
        return self._place(at, _Box((x0, y0, x1, y1)))

    def move(self, point: int, x: float, y: float) -> Mask:
        """Move a point (by its number in `points`) elsewhere."""
        at = self._element(point)
        old = self._now.elements[at]
        assert isinstance(old, _Point)
        return self._place(at, replace(old, x=x, y=y))

    def delete(self, point: int) -> Mask | None:
        """Take a point away (by its number in `points`); None when nothing is left."""
        at = self._element(point)
        return self._edit(at, self._now.elements[:at] + self._now.elements[at + 1 :])

    def clear_box(self) -> Mask | None:
        """Take the box away."""
        elements = self._now.elements
        at = next((n for n, e in enumerate(elements) if isinstance(e, _Box)), None)
        if at is None:
            raise PromptError("box: there is none to clear")
        return self._edit(at, elements[:at] + elements[at + 1 :])

    def choose(self, candidate: int) -> Mask:
        """Take candidate 0, 1 or 2 of `candidates` instead of the best; later clicks refine it."""
        if not self._now.candidates:
            raise PromptError("candidate: there are none; a single click without a box has three")
        if not 0 <= candidate < len(self._now.candidates):
            raise PromptError(f"candidate: expected 0 to {len(self._now.candidates) - 1}, got {candidate}")
        mask = self._now.candidates[candidate]
        self._push(replace(self._now, answers=self._now.answers[:-1] + (mask,)))
        return mask

    def undo(self) -> Mask | None:
        """One step back; the mask there (None at the beginning, where undo does nothing)."""
        self._at = max(self._at - 1, 0)
        return self.mask

    def redo(self) -> Mask | None:
        """One step forward again, after undo; does nothing at the end."""
        self._at = min(self._at + 1, len(self._states) - 1)
        return self.mask

    @property
    def _now(self) -> _State:
        return self._states[self._at]

    def _element(self, point: int) -> int:
        places = [n for n, e in enumerate(self._now.elements) if isinstance(e, _Point)]
        if not places:
            raise PromptError(f"point: there are none, got {point}")
        if not 0 <= point < len(places):
            raise PromptError(f"point: expected a number from 0 to {len(places) - 1}, got {point}")
        return places[point]

    def _place(self, at: int, element: _Point | _Box) -> Mask:
        mask = self._edit(at, self._now.elements[:at] + (element,) + self._now.elements[at + 1 :])
        assert mask is not None
        return mask

    def _edit(self, at: int, elements: tuple[_Point | _Box, ...]) -> Mask | None:
        """The elements are now these; those before `at` are unchanged, so the answers before it still hold."""
        kept = self._now.answers[:at]
        state = _State()
        if elements:
            state = self._ask(elements, kept)
        self._push(state)
        return self.mask

    def _ask(self, elements: tuple[_Point | _Box, ...], kept: tuple[Mask | None, ...]) -> _State:
        previous = kept[-1] if kept else None
        points = [e for e in elements if isinstance(e, _Point)]
        box = next((e.sides for e in elements if isinstance(e, _Box)), None)
        prompt = Prompt([(p.x, p.y) for p in points], [p.label for p in points], box, previous)
        if prompt.is_ambiguous:
            candidates = tuple(self._image.candidates(prompt.points, prompt.labels))
            return _State(elements, candidates[:1], candidates)
        mask = self._image.segment_many([prompt])[0]
        before = kept + (None,) * len(elements)  # what is not kept is stale
        return _State(elements, before[: len(elements) - 1] + (mask,))

    def _push(self, state: _State) -> None:
        self._states = [*self._states[: self._at + 1], state]
        self._at += 1
