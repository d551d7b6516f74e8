"""Searches for all objects of an image: through a lane step by step, one of a caller's at a time.

Each step is a piece of work of the lowest rank, so clicks, hovers and uploads go before the next. What a search found
is kept as run lengths, in the budget of earlier answers: other thresholds are then a matter of choosing again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from ...models.errors import ClickmaskError
from ..everything.found import Found
from ..everything.options import Search
from ..everything.search import Finds, Looking, Progress
from ..open_image import OpenImage
from .admission import Ticket
from .answers import raster_place
from .engine import STEP, Step
from .errors import ApiError, from_clickmask
from .found_answers import describe_some, portions
from .lane import Lane, Rank
from .search_options import Asked
from .store import Entry, KeptFinds

if TYPE_CHECKING:
    from .service import Service

PLACES = 4  # one of so many places of the gate may be a search's
_LONGEST_RETRY = 30.0  # seconds that a caller whose search runs is told to wait, at most
_DRAIN_SHARE = 0.8  # of the time to stop in, after which a search is given up


@dataclass(eq=False)
class Searching:
    """One request for everything, while it is answered. done, total: points. began: by the event loop's clock."""

    entry: Entry
    asked: Asked
    kept: KeptFinds | None
    ticket: Ticket
    deadline: float
    began: float
    done: int = 0
    total: int = 0

    def left(self, now: float) -> float:
        """Seconds it will still take, as far as is known."""
        return (now - self.began) * (self.total - self.done) / self.done if self.done else _LONGEST_RETRY


class Searches:
    """The searches of a service; used from the event loop only."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._running: dict[str, Searching] = {}

    @contextmanager
    def enter(self, caller: str, key: str, asked: Asked, seconds: float) -> Iterator[Searching]:
        """Begin with a request, for so many seconds; nothing is searched yet.

        Raises:
            ApiError: 404, 410: no such image. 422: too many points. 429: another search of this caller's runs. 503.
        """
        store, now = self._service.store, asyncio.get_running_loop().time()
        entry = store.find(key, caller)
        asked.check_size(entry.frame)
        kept = store.finds_of(entry, asked.key)
        if kept is not None and not asked.is_answered_by(kept.search):
            kept = None
        if kept is None:
            self._check_free(caller, now)
        with self._service.gate.enter(caller) as ticket:
            searching = Searching(entry, asked, kept, ticket, now + seconds, now)
            if kept is None:
                self._running[caller] = searching
            store.pin(entry)
            try:
                yield searching
            finally:
                store.unpin(entry)
                if self._running.get(caller) is searching:
                    del self._running[caller]

    def _check_free(self, caller: str, now: float) -> None:
        running = self._running.get(caller)
        if running is not None:
            message = "your search for everything is still running; wait for it, or close its connection"
            wait = min(running.left(now), _LONGEST_RETRY)
            raise ApiError(429, "too_many_requests", message, retry_after=wait)
        if len(self._running) >= max(1, self._service.settings.limits.queue // PLACES):
            raise ApiError(503, "busy", "as many searches run as the server can hold", retry_after=_LONGEST_RETRY)

    async def answer(
        self, one: Searching, notes: dict[str, Any], tell: Callable[[], object] = lambda: None
    ) -> dict[str, Any]:
        """The answer, as plain values. tell: called when `one.done` has changed.

        Raises:
            ApiError: 410: the image was forgotten. 503: memory ran out, or the server stops. 504: it never began.
        """
        try:
            image = await self._image(one)
            search, finds = await self._finds(one, image, tell)
            notes |= {"cache": "miss" if one.kept is None else "hit", "prompts": finds.points}
            return await self._describe(one, image, search, finds)
        except ClickmaskError as error:
            raise from_clickmask(error) from error

    async def _image(self, one: Searching) -> OpenImage:
        try:
            async with asyncio.timeout_at(one.deadline):
                return await self._service.embedding(one.entry, Rank.OPEN)
        except TimeoutError:
            raise ApiError(504, "deadline", "the image was not encoded within the request's time") from None

    async def _finds(self, one: Searching, image: OpenImage, tell: Callable[[], object]) -> tuple[Search, Finds]:
        if one.kept is not None:
            return one.kept.search, one.kept.finds
        search = one.asked.search
        looking = image.looking(search)
        if any(crop.window != one.entry.frame.window for crop in looking.finds.crops):
            image = image.with_picture(await self._service.picture(one.entry, one.ticket))
            looking = image.looking(search)
        try:
            async with asyncio.timeout_at(one.deadline):
                await self._look(one, looking, tell)
        except TimeoutError:  # what was found is an answer too; a step may still be at work on the rest
            return search, replace(looking.finds, candidates=[*looking.finds.candidates])
        self._service.store.keep_finds(one.entry, KeptFinds.of(search, looking.finds, one.asked.key, one.entry))
        return search, looking.finds

    async def _look(self, one: Searching, looking: Looking, tell: Callable[[], object]) -> None:
        """Step by step to the end."""
        lane, steps, number = self._service.lanes[one.entry.lane], looking.steps(), 0
        give_up = float("inf")
        while True:
            progress = await self._outcome(lane, one.entry.caller, Step(steps, looking.finds))
            if progress is None:
                return
            one.done, one.total = progress.done, progress.total
            tell()
            give_up = self._check(one.entry, give_up)
            fresh = looking.finds.candidates[number:]
            one.ticket.add(sum(candidate.runs.nbytes for candidate in fresh))
            number += len(fresh)

    async def _outcome(self, lane: Lane, caller: str, step: Step) -> Progress | None:
        if lane.closed:
            raise _draining()
        work = lane.submit(Rank.LONG, caller, STEP, step)
        try:
            return (await work).value
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise _draining() from None  # the lane was closed
        finally:
            work.cancel()

    def _check(self, entry: Entry, give_up: float) -> float:
        """When a search has to end because the server stops. Raises ApiError when it has to end now."""
        if not self._service.store.holds(entry):
            raise self._service.store.keys.check(entry.key, entry.caller, "image_gone")
        if not self._service.health.draining:
            return give_up
        now = asyncio.get_running_loop().time()
        give_up = min(give_up, now + _DRAIN_SHARE * self._service.settings.drain)
        if now >= give_up:
            raise _draining()
        return give_up

    async def _describe(self, one: Searching, image: OpenImage, search: Search, finds: Finds) -> dict[str, Any]:
        service, asked, entry = self._service, one.asked, one.entry
        found = await service.heavy(entry.caller, partial(_choose, image, search, finds, asked))
        masks: list[dict[str, Any]] = []
        for numbers in portions(found):
            work = partial(describe_some, found, numbers, entry.frame, asked.format, asked.scale)
            some = await service.heavy(entry.caller, work)
            one.ticket.add(sum(_weight(mask[asked.format]) for mask in some))
            masks += some
        answer = {
            "masks": masks,
            "complete": found.is_complete,
            "points": found.points,
            "raster": raster_place(entry.frame, asked.scale),
        }
        return answer | ({"provenance": service.provenance_of("off")} if asked.scale == "full" else {})


def _choose(image: OpenImage, search: Search, finds: Finds, asked: Asked) -> Found:
    found = image.proposed(search, finds).choose(asked.choice)
    assert len(found.parents) == len(found)  # reckoned here, and not in the thread of the first answer
    return found


def _weight(value: Any) -> int:
    """About how many bytes a mask takes in an answer."""
    if isinstance(value, list):
        return sum(16 * len(ring) for rings in value for ring in rings)
    return len(value["counts"] if isinstance(value, dict) else value)


def _draining() -> ApiError:
    return ApiError(503, "draining", "the server is stopping; another one may answer", retry_after=1)
