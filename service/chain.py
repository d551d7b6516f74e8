"""One object, clicked step by step: what `Thing` knows and decides, but for the asking itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from ..models.errors import PromptError
from .masks import BaseMask
from .prompts import Box, Point, Prompt

M = TypeVar("M", bound=BaseMask)


@dataclass(frozen=True)
class _Point:
    x: float
    y: float
    label: int


@dataclass(frozen=True)
class _Box:
    sides: Box


@dataclass(frozen=True)
class _State(Generic[M]):
    """Points and box in the order they were placed, and after each the mask it gave (None once it is stale)."""

    elements: tuple[_Point | _Box, ...] = ()
    answers: tuple[M | None, ...] = ()
    candidates: tuple[M, ...] = ()


@dataclass(frozen=True)
class Edit(Generic[M]):
    """A step that was checked but not taken yet: the elements it leaves, and the answers that still hold."""

    elements: tuple[_Point | _Box, ...]
    kept: tuple[M | None, ...]

    @property
    def prompt(self) -> Prompt | None:
        """What must be asked before the step is taken; None when nothing is left to ask about."""
        if not self.elements:
            return None
        points = [e for e in self.elements if isinstance(e, _Point)]
        previous = self.kept[-1] if self.kept else None
        return Prompt([(p.x, p.y) for p in points], [p.label for p in points], _box_of(self.elements), previous)


class Chain(Generic[M]):
    """The states of an object in the making, and the way between them.

    An edit is begun here (`_adding` and the like), its prompt is asked by a subclass, and `_take` makes the answer
    the newest state; so a wrong prompt, or a question that fails, changes nothing.
    """

    def __init__(self) -> None:
        self._states: list[_State[M]] = [_State()]
        self._at = 0

    @property
    def mask(self) -> M | None:
        """The mask now; None before the first click."""
        return self._now.answers[-1] if self._now.answers else None

    @property
    def candidates(self) -> list[M]:
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
        return _box_of(self._now.elements)

    def choose(self, candidate: int) -> M:
        """Take candidate 0, 1 or 2 of `candidates` instead of the best; later clicks refine it."""
        if not self._now.candidates:
            raise PromptError("candidate: there are none; a single click without a box has three")
        if not 0 <= candidate < len(self._now.candidates):
            raise PromptError(f"candidate: expected 0 to {len(self._now.candidates) - 1}, got {candidate}")
        mask = self._now.candidates[candidate]
        self._push(replace(self._now, answers=self._now.answers[:-1] + (mask,)))
        return mask

    def undo(self) -> M | None:
        """One step back; the mask there (None at the beginning, where undo does nothing)."""
        self._at = max(self._at - 1, 0)
        return self.mask

    def redo(self) -> M | None:
        """One step forward again, after undo; does nothing at the end."""
        self._at = min(self._at + 1, len(self._states) - 1)
        return self.mask

    @property
    def _now(self) -> _State[M]:
        return self._states[self._at]

    def _adding(self, x: float, y: float, label: int) -> Edit[M]:
        return self._placing(len(self._now.elements), _Point(x, y, label))

    def _boxing(self, x0: float, y0: float, x1: float, y1: float) -> Edit[M]:
        elements = self._now.elements
        return self._placing(_place_of_box(elements, len(elements)), _Box((x0, y0, x1, y1)))

    def _moving(self, point: int, x: float, y: float) -> Edit[M]:
        at = self._element(point)
        old = self._now.elements[at]
        assert isinstance(old, _Point)
        return self._placing(at, replace(old, x=x, y=y))

    def _deleting(self, point: int) -> Edit[M]:
        return self._without(self._element(point))

    def _unboxing(self) -> Edit[M]:
        at = _place_of_box(self._now.elements, -1)
        if at < 0:
            raise PromptError("box: there is none to clear")
        return self._without(at)

    def _take(self, edit: Edit[M], masks: list[M]) -> M | None:
        """The step is taken; `masks` answer its prompt: three candidates, or the one, or none without a prompt."""
        if not masks:
            self._push(_State())
        elif len(masks) > 1:
            self._push(_State(edit.elements, (masks[0],), tuple(masks)))
        else:
            before = edit.kept + (None,) * len(edit.elements)  # what is not kept is stale
            self._push(_State(edit.elements, (*before[: len(edit.elements) - 1], masks[0])))
        return self.mask

    def _element(self, point: int) -> int:
        places = [n for n, e in enumerate(self._now.elements) if isinstance(e, _Point)]
        if not places:
            raise PromptError(f"point: there are none, got {point}")
        if not 0 <= point < len(places):
            raise PromptError(f"point: expected a number from 0 to {len(places) - 1}, got {point}")
        return places[point]

    def _placing(self, at: int, element: _Point | _Box) -> Edit[M]:
        elements = self._now.elements
        return Edit(elements[:at] + (element,) + elements[at + 1 :], self._now.answers[:at])

    def _without(self, at: int) -> Edit[M]:
        elements = self._now.elements
        return Edit(elements[:at] + elements[at + 1 :], self._now.answers[:at])

    def _push(self, state: _State[M]) -> None:
        self._states = [*self._states[: self._at + 1], state]
        self._at += 1


def _box_of(elements: tuple[_Point | _Box, ...]) -> Box | None:
    return next((e.sides for e in elements if isinstance(e, _Box)), None)


def _place_of_box(elements: tuple[_Point | _Box, ...], otherwise: int) -> int:
    return next((n for n, e in enumerate(elements) if isinstance(e, _Box)), otherwise)
