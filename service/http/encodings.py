"""Images on their way to an embedding: which lane each is in, how urgent it is, and what becomes of its entry."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

from ..images import Picture
from .admission import Ticket
from .engine import ENCODE, Encode
from .lane import Done, Lane, Rank
from .store import Entry, Store


class Encodings:
    """Those that are not done. lanes: an entry's own, by its number; away: lanes that take any, instead of these."""

    def __init__(self, store: Store, lanes: Sequence[Lane], away: Sequence[Lane] = ()) -> None:
        self._store, self._own, self._away = store, lanes, away
        self._works: dict[str, tuple[Lane, asyncio.Future[Done]]] = {}

    @property
    def lanes(self) -> Sequence[Lane]:
        """Where images are encoded."""
        return self._away or self._own

    def begin(self, entry: Entry, picture: Picture, rank: Rank, ticket: Ticket) -> None:
        """Queue the encoding; entry and ticket are looked after until it is done, whoever waits."""
        lane = freest(self._away) if self._away else self._own[entry.lane]
        work = lane.submit(rank, entry.caller, ENCODE, Encode(picture, entry.frame))
        self._works[entry.key] = lane, work
        self._store.pin(entry)
        entry.image.add_done_callback(lambda image: work.cancel() if image.cancelled() else None)
        work.add_done_callback(partial(self._done, entry, ticket))

    def promote(self, key: str, rank: Rank) -> None:
        """Somebody needs an image sooner than was thought; nothing, unless it still waits."""
        if key in self._works:
            lane, work = self._works[key]
            lane.promote(work, rank)

    def _done(self, entry: Entry, ticket: Ticket, work: asyncio.Future[Done]) -> None:
        ticket.give_back()
        if entry.key in self._works and self._works[entry.key][1] is work:  # not that of one who came after it went
            del self._works[entry.key]
        self._store.unpin(entry)
        error = None if work.cancelled() else work.exception()
        if entry.image.done():  # it was dropped meanwhile
            return
        if work.cancelled():
            self._store.forget(entry)
        elif error is not None:
            entry.image.set_exception(error)
            entry.image.exception()  # looked at: whoever asks gets it too, but perhaps nobody does
            self._store.forget(entry)
        else:
            entry.image.set_result(work.result().value)


def freest(lanes: Sequence[Lane]) -> Lane:
    """The first that has least to do."""
    return min(lanes, key=lambda lane: (lane.waiting(), lane.running_since is not None))
