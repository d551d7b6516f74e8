"""One object, clicked step by step: the chain of clicks that the page makes, for Python."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from .chain import Chain, Edit, M
from .prompts import Point, Prompt


class Clickable(Protocol[M]):
    """What a `Thing` needs of an open image, here or on a server."""

    def candidates(self, points: Sequence[Point], labels: Sequence[int] | None) -> list[M]:
        """The three masks of an ambiguous prompt, best first."""
        ...

    def segment_many(self, prompts: Iterable[Prompt]) -> list[M]:
        """One mask for each prompt."""
        ...


class Thing(Chain[M]):
    """An object in the making. Click k is asked with all points so far and the low-res logits of click k - 1.

    Changing or deleting element k drops the answers from k on: one question with all that is left and the logits
    of answer k - 1. Undo and redo go through the states, without asking again. Not for several threads at once.
    """

    def __init__(self, image: Clickable[M]) -> None:
        super().__init__()
        self._image = image

    def add(self, x: float, y: float, label: int = 1) -> M:
        """One more click: 1 foreground, 0 background. Raises PromptError and changes nothing when it is wrong."""
        return self._place(self._adding(x, y, label))

    def set_box(self, x0: float, y0: float, x1: float, y1: float) -> M:
        """Draw the object's box, or draw it anew; points stay."""
        return self._place(self._boxing(x0, y0, x1, y1))

    def move(self, point: int, x: float, y: float) -> M:
        """Move a point (by its number in `points`) elsewhere."""
        return self._place(self._moving(point, x, y))

    def delete(self, point: int) -> M | None:
        """Take a point away (by its number in `points`); None when nothing is left."""
        return self._edit(self._deleting(point))

    def clear_box(self) -> M | None:
        """Take the box away."""
        return self._edit(self._unboxing())

    def _place(self, edit: Edit[M]) -> M:
        mask = self._edit(edit)
        assert mask is not None
        return mask

    def _edit(self, edit: Edit[M]) -> M | None:
        prompt = edit.prompt
        return self._take(edit, [] if prompt is None else self._ask(prompt))

    def _ask(self, prompt: Prompt) -> list[M]:
        if prompt.is_ambiguous:
            return self._image.candidates(prompt.points, prompt.labels)
        return self._image.segment_many([prompt])
