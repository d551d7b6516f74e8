"""A segmenter whose work goes through the service's lanes, so that a batch gives way to whoever clicks.

Each encoding, each prompt and each step of a search is a piece of work of the lowest rank, handed in one after the
other: a click waits for the piece that runs, and for nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import CancelledError, Future
from threading import Lock
from typing import Any

from ....models.errors import PromptError
from ....models.frame import Frame
from ...everything.options import Search
from ...everything.proposals import OnProgress, Proposals
from ...images import Picture
from ...masks import Mask
from ...open_image import OpenImage
from ...prompts import Prompt
from ...segmenter import Segmenter
from ...subject.answer import NoSubject, SubjectMask
from ...subject.threshold import MIN_CONFIDENCE, check_confidence
from ..engine import ENCODE, STEP, SUBJECT, Decode, Encode, FindSubject, Step, decode_kind
from ..errors import ApiError
from ..lane import Lane, Rank
from ..search_options import MOST_POINTS

_AT_ONCE = 64  # prompts that wait in a lane: what a GPU takes together
# On a CPU a photo is encoded in one piece that a click would have to wait for: it is begun in a pause of the clicking.
_QUIET = 0.004  # of the lane's time lately, for clicks and previews: less is a pause
_LONGEST_WAIT = 5.0  # seconds until it is begun all the same
_LOOK_EVERY = 0.05


class Line:
    """What a batch's threads hand to a lane, and wait for; from any thread but the event loop's.

    Once `stop` was called, whoever waits, or comes, gets KeyboardInterrupt: a run ends by it as by Ctrl-C.
    """

    def __init__(
        self, lanes: Sequence[Lane], caller: str, loop: asyncio.AbstractEventLoop, *, is_courteous: bool = False
    ) -> None:
        """is_courteous: photos are encoded in pauses of the clicking."""
        self._lanes, self._caller, self._loop, self._is_courteous = lanes, caller, loop, is_courteous
        self._lock, self._waiting, self._stopped = Lock(), set[Future[Any]](), False

    @property
    def stopped(self) -> bool:
        """Whether it was."""
        return self._stopped

    def stop(self) -> None:
        """Let nothing more through."""
        with self._lock:
            self._stopped = True
            waiting = list(self._waiting)
        for future in waiting:
            future.cancel()

    def least_busy(self) -> Lane:
        """The lane where least waits."""
        return min(self._lanes, key=lambda lane: lane.waiting())

    def do(self, lane: Lane, kind: Hashable, works: Sequence[Any]) -> list[Any]:
        """The values of some pieces. Raises what the first to fail came to, and KeyboardInterrupt."""
        with self._lock:
            if self._stopped:
                raise KeyboardInterrupt
            future = asyncio.run_coroutine_threadsafe(self._all(lane, kind, works), self._loop)
            self._waiting.add(future)
        try:
            return future.result()
        except CancelledError:  # by `stop`, or the lane was closed
            raise KeyboardInterrupt from None
        except ApiError as error:
            if error.code == "broken":  # no other photo would come through
                self.stop()
                raise KeyboardInterrupt from None
            raise
        finally:
            with self._lock:
                self._waiting.discard(future)

    async def _all(self, lane: Lane, kind: Hashable, works: Sequence[Any]) -> list[Any]:
        if kind == ENCODE and self._is_courteous:
            await self._wait_for_pause(lane)
        if lane.closed:
            raise asyncio.CancelledError
        pieces = [lane.submit(Rank.LONG, self._caller, kind, work) for work in works]
        try:
            return [(await piece).value for piece in pieces]
        finally:
            for piece in pieces:
                piece.cancel()

    async def _wait_for_pause(self, lane: Lane) -> None:
        end = self._loop.time() + _LONGEST_WAIT
        while lane.load.share((Rank.CLICK, Rank.HOVER)) > _QUIET and self._loop.time() < end:
            await asyncio.sleep(_LOOK_EVERY)


class LaneSegmenter(Segmenter):
    """A segmenter's model, at work in the lanes. is_plain: without its `refine`."""

    def __init__(self, segmenter: Segmenter, line: Line, *, is_plain: bool) -> None:
        vars(self).update(vars(segmenter))
        self._line = line
        if is_plain:
            self._network = segmenter._network.refined("off")

    def open_together(self, pictures: Sequence[tuple[Picture, Frame]]) -> list[OpenImage]:
        """Encode decoded pictures."""
        lane = self._line.least_busy()
        images = self._line.do(lane, ENCODE, [Encode(picture, frame) for picture, frame in pictures])
        return [
            LaneImage(image.with_picture(picture).refined(self.provenance["refine"]), self._line, lane)
            for image, (picture, _) in zip(images, pictures, strict=True)
        ]


class LaneImage(OpenImage):
    """An image whose questions are answered in the lane that encoded it."""

    def __init__(self, image: OpenImage, line: Line, lane: Lane) -> None:
        vars(self).update(vars(image))
        self._image, self._line, self._lane = image, line, lane

    def refined(self, how: str) -> LaneImage:
        """The same in the lane, with another `refine`."""
        return LaneImage(self._image.refined(how), self._line, self._lane)

    def _decode(self, prompts: Sequence[Prompt], *, multimask: bool) -> list[list[Mask]]:
        self._open_tokens()
        kind, found = decode_kind(multimask=multimask), list[list[Mask]]()
        for first in range(0, len(prompts), _AT_ONCE):
            some = [Decode(self._image, prompt, list) for prompt in prompts[first : first + _AT_ONCE]]
            found += self._line.do(self._lane, kind, some)
        return found

    def subject(self, *, min_confidence: float = MIN_CONFIDENCE) -> SubjectMask | NoSubject:
        """As of `OpenImage`, in one piece."""
        check_confidence(min_confidence)
        self._open_tokens()
        (found,) = self._line.do(self._lane, SUBJECT, [FindSubject(self._image, min_confidence)])
        return found

    def _propose(self, search: Search, progress: OnProgress | None, is_cancelled: Callable[[], bool]) -> Proposals:
        points = search.most_points(self.frame.window_size)
        if points > MOST_POINTS:
            raise PromptError(f"everything: {points} points for this photo, at most {MOST_POINTS}: ask for fewer")
        looking = self._image.looking(search)
        steps = looking.steps()
        while not is_cancelled():
            (reached,) = self._line.do(self._lane, STEP, [Step(steps, looking.finds)])
            if reached is None:
                break
            if progress is not None:
                progress(reached.done, reached.total)
        return self._image.proposed(search, looking.finds)
