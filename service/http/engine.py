"""What runs in a lane: a segmenter, pieces of work for it, and what happens when its device fails.

Memory that runs out is made good: fewer pieces at a time (remembered), then what the server can spare is given up, then
the caller is asked to come again. Any other error of a device leaves it in an unknown state (the CUDA context does not
recover), so nothing it says is passed on and the process asks to be replaced.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from ...models.crew import crew
from ...models.device_errors import is_device_error
from ...models.frame import Frame
from ..answering import ask_together
from ..everything.search import Finds, Progress
from ..images import Picture
from ..masks import Mask
from ..open_image import OpenImage
from ..prompts import Prompt
from ..segmenter import Segmenter
from ..subject.answer import NoSubject, SubjectMask
from .errors import ApiError

ENCODE, STEP, SUBJECT = "encode", "step", "subject"
ATTEND, WATCH = "attend", "watch"  # see `attending.py`
_ALONE = (STEP, SUBJECT, ATTEND, WATCH)  # work that has a `take` of its own
MOST_ENCODED, MOST_DECODED = 8, 64  # pieces at a time on a GPU


@dataclass(frozen=True, eq=False)
class Encode:
    """Encode the part of a picture that its frame tells; the value is an OpenImage without pixels."""

    picture: Picture
    frame: Frame


@dataclass(frozen=True, eq=False)
class Decode:
    """Ask for the masks of a prompt; the value is what `finish` makes of them, in the lane's thread."""

    image: OpenImage
    prompt: Prompt
    finish: Callable[[list[Mask]], Any]


@dataclass(frozen=True, eq=False)
class Step:
    """Take the next step of a search; the value is how far it is then, or None at its end. finds: of that search."""

    steps: Iterator[Progress]
    finds: Finds

    def take(self) -> Progress | None:
        """Do it. Raises OutOfMemoryError, too, for a search that memory ran out for before: it cannot go on."""
        progress = next(self.steps, None)
        if progress is None and not self.finds.is_complete:
            raise torch.OutOfMemoryError
        return progress


@dataclass(frozen=True, eq=False)
class FindSubject:
    """Find what an image is of; the value is that of `OpenImage.subject`."""

    image: OpenImage
    min_confidence: float

    def take(self) -> SubjectMask | NoSubject:
        """Do it."""
        return self.image.subject(min_confidence=self.min_confidence)


def decode_kind(*, multimask: bool) -> Hashable:
    """Prompts of one kind may be decoded together."""
    return "decode", multimask


class Engine:
    """A segmenter in a lane.

    Args:
        segmenter: whose device this is.
        on_out_of_memory: told each time memory ran out; frees what can be spared (see `Service`).
        on_broken: told why the device cannot be used any more.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        on_out_of_memory: Callable[[], None] = lambda: None,
        on_broken: Callable[[str], None] = lambda reason: None,
    ) -> None:
        self.segmenter = segmenter
        self._on_out_of_memory, self._on_broken = on_out_of_memory, on_broken
        self._side_by_side = segmenter.provenance["device"] == "cpu"  # each by itself, with the same bits always
        self._most = {True: 1, False: crew().size} if self._side_by_side else {True: MOST_ENCODED, False: MOST_DECODED}

    def together(self, kind: Hashable) -> int:
        """How many pieces of a kind go at once: what the device gains by, and has memory for."""
        if kind in _ALONE:
            return 1
        return self._most[kind == ENCODE]

    def run(self, kind: Hashable, works: Sequence[Any]) -> list[Any]:
        """Do some pieces of one kind: for each its value or its exception."""
        values = self._try(kind, works)
        return self._with_less(kind, works) if values is None else values

    def _with_less(self, kind: Hashable, works: Sequence[Any]) -> list[Any]:
        """Again after memory ran out: in halves, or alone once everything that can be spared is given up."""
        self._give_back_memory()
        self._on_out_of_memory()
        if len(works) > 1:
            half = len(works) // 2
            self._most[kind == ENCODE] = min(self._most[kind == ENCODE], half)
            return [*self.run(kind, works[:half]), *self.run(kind, works[half:])]
        values = self._try(kind, works)
        if values is not None:
            return values
        self._give_back_memory()
        return [ApiError(503, "out_of_memory", "the device has no memory left for this now", retry_after=5)]

    def _give_back_memory(self) -> None:
        gc.collect()
        self.segmenter.give_back_memory()

    def _try(self, kind: Hashable, works: Sequence[Any]) -> list[Any] | None:
        """For each piece its value or its exception; None when memory ran out."""
        try:
            return self._run(kind, works)
        except torch.OutOfMemoryError:
            return None  # the exception holds the frames, and they the memory: whoever goes on must have left it
        except Exception as error:
            if is_device_error(error):
                self._on_broken(type(error).__name__)
                return [ApiError(503, "broken", "the device failed; the server restarts", retry_after=10)] * len(works)
            if len(works) == 1:
                return [error]
        return [value for work in works for value in self.run(kind, [work])]  # one is at fault: the others go on

    def _run(self, kind: Hashable, works: Sequence[Any]) -> list[Any]:
        if kind == ENCODE:
            images = self.segmenter.open_together([(work.picture, work.frame) for work in works])
            return [image.without_pixels() for image in images]
        if kind in _ALONE:
            return [work.take() for work in works]
        multimask = kind == decode_kind(multimask=True)
        if self._side_by_side:
            return crew().map(partial(_answer, multimask=multimask), works)
        masks = ask_together([(work.image, work.prompt) for work in works], multimask=multimask)
        return [work.finish(own) for work, own in zip(works, masks, strict=True)]


def _answer(work: Decode, multimask: bool) -> Any:
    return work.finish(ask_together([(work.image, work.prompt)], multimask=multimask)[0])
