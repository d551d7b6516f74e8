"""The service: what routes ask of it, put together from the rooms around it.

An upload becomes an entry in the store (decoded in a worker process, encoded in a lane); a question about it becomes
pieces of work in that lane, and their masks an answer. Equal uploads share one flight; every wait can be cancelled.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from ...models.errors import ClickmaskError, ImageError, PromptError
from ...models.frame import Frame
from ..image_headers import sniff
from ..images import Picture
from ..open_image import OpenImage
from ..prompts import window_box
from ..segmenter import Segmenter
from ..threads import in_own_thread
from .admission import Gate, Ticket
from .asking import Asking
from .attending import Attending
from .decoding.pool import DecodePool
from .encoders import Away, Encoders
from .encodings import Encodings, freest
from .engine import ENCODE, STEP, WATCH, Engine
from .errors import ApiError, from_clickmask
from .flights import Flights
from .health import Health
from .keys import Keys
from .lane import Lane, Rank
from .metrics import Metrics
from .searches import Searches
from .secret import load_secret
from .settings import MIB, ServeSettings
from .store import Entry, Store
from .streams import Streams
from .turns import Turns

T = TypeVar("T")

HEAVY_THREADS = 2  # at a time, for answers that take longer than a moment
LOOK_EVERY = 5.0  # seconds between two looks at what is idle, or stuck
STUCK = 120.0  # seconds after which a GPU that has not finished a piece of work never will


class Service:
    """One model, its lanes, and what callers left with it. Made, used and closed on one event loop."""

    def __init__(
        self,
        segmenters: Sequence[Segmenter],
        settings: ServeSettings,
        health: Health,
        metrics: Metrics,
        encoders: Encoders | None = None,
    ) -> None:
        """`encoders`: who encodes what callers open, instead of the segmenters' devices."""
        self.settings, self.health, self.metrics = settings, health, metrics
        self.provenance = segmenters[0].provenance
        limits = settings.limits
        self.secret = load_secret(settings.storage.folder)
        self.store = Store(Keys(self.secret), settings.storage, limits)
        self.engines = [Engine(segmenter, self._out_of_memory, self._broken) for segmenter in segmenters]
        self.lanes = [
            Lane(engine.run, engine.together, self._count, f"lane-{n}") for n, engine in enumerate(self.engines)
        ]
        away = [] if encoders is None else self._lanes_away(segmenters[0], encoders)
        self._encodings = Encodings(self.store, self.lanes, away)
        self.decoders = DecodePool(settings.decoders, limits.pixels, metrics.decoder_restarted)
        self.gate = Gate(limits, lambda: self._wait(Rank.CLICK))
        self.opens = Gate(limits, lambda: self._wait(Rank.OPEN))
        self.streams = Streams()
        self._asking = Asking(self)
        self.searches = Searches(self)
        self.attending = Attending(self)
        self._heavy = Turns(HEAVY_THREADS)
        self._decoding = Turns(settings.decoders.count)
        self._entries: Flights[Entry] = Flights()
        self._pictures: Flights[Picture] = Flights()
        self._watch()
        kept = ("model", "digest", "precision", "fit", "refine")
        self._embedding = segmenters[0].embedding_bytes
        self.warm_rounds = 3 if segmenters[0].has_graphs else 1  # see `Asking.warm_up`
        self._model = repr([self.provenance[name] for name in kept])

    def _lanes_away(self, segmenter: Segmenter, encoders: Encoders) -> list[Lane]:
        away = Away(segmenter, encoders)
        return [Lane(away.run, away.together, self._count, f"encoding-{n}") for n in range(encoders.at_once)]

    def _watch(self) -> None:
        metrics, store = self.metrics, self.store
        metrics.watch_queue(lambda: self.gate.inside, lambda: self.gate.size + self.opens.size)
        metrics.watch_store("images", store.images.counts)
        metrics.watch_store("pixels", store.pixels.counts)
        metrics.watch_store("masks", store.masks.counts)
        metrics.watch_hovers(lambda: self.streams.dropped)
        metrics.watch_ready(lambda: self.health.ready and not self.health.draining and self.health.broken is None)

    async def start(self) -> None:
        """Start the decoders, answer a first artificial question in each lane, then be ready."""
        await self.decoders.start()
        await self._asking.warm_up()
        self.health.ready = True
        self._caretaker = asyncio.create_task(self._look_after())

    async def close(self) -> None:
        """End lanes, workers and threads."""
        self.health.ready = False
        self._caretaker.cancel()
        await asyncio.to_thread(lambda: [lane.close() for lane in {*self.lanes, *self._encodings.lanes}])
        await self.decoders.close()

    async def _look_after(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY)
            self.store.expire()
            began = [lane.running_since for lane in self.lanes if self.provenance["device"] != "cpu"]
            if any(since is not None and time.monotonic() - since > STUCK for since in began):
                self._broken("stuck")

    async def open_image(self, caller: str, data: bytes, *, ahead: bool = False) -> tuple[Entry, bool]:
        """A caller's image from its encoded bytes, and whether it is new; its encoding may go on.

        Raises:
            ApiError: 415 or 422 for what is no image, 429 and 503 when there is no room.
        """
        _check_kind(data)
        key = self.store.keys.image(await _sha256(data), self._model, caller)
        entry = self._existing(key, caller, ahead)
        if entry is not None:
            return entry, False
        new = key not in self._entries
        entry = await self._entries.join(key, lambda: self._open(key, caller, data, ahead))
        self._existing(key, caller, ahead)  # who joined a prefetch needs it sooner
        return entry, new

    async def open_window(self, caller: str, key: str, box: Sequence[float], ticket: Ticket) -> tuple[Entry, bool]:
        """A window of an image, and whether it is new. Raises ApiError as `open_image` does, 404 and 410."""
        image = self.store.find(key, caller).root
        try:
            window = window_box(box, image.frame.width, image.frame.height)
        except PromptError as error:
            raise from_clickmask(error, field="box") from None
        own = self.store.keys.window(image.key, window, caller)
        entry = self._existing(own, caller, False)
        if entry is not None:
            return entry, False
        frame = Frame(image.frame.width, image.frame.height, window)
        picture = await self.picture(image, ticket)
        entry = self._existing(own, caller, False)  # somebody else's may have come meanwhile
        if entry is not None:
            return entry, False
        new = own not in self._entries
        return await self._entries.join(own, partial(self._open_window, own, image, frame, picture)), new

    async def picture(self, entry: Entry, ticket: Ticket) -> Picture:
        """The decoded pixels of an entry's image, from the shelf or decoded again; the ticket is charged with them."""
        root = entry.root
        ticket.add(root.frame.width * root.frame.height * 3)
        picture = self.store.picture_of(root)
        return picture or await self._pictures.join(root.key, lambda: self._decode_again(root))

    async def decode(self, caller: str, data: bytes) -> Picture:
        """The picture in an image file; callers take turns. Raises ImageError or ApiError."""
        async with self._decoding.turn(caller):
            return await self.decoders.decode(data)

    async def embedding(self, entry: Entry, rank: Rank) -> OpenImage:
        """An entry's embedding, waited for at this rank. Raises ApiError 410 when it was dropped meanwhile."""
        if not entry.image.done():
            self._encodings.promote(entry.key, max(Rank.OPEN, rank))
            await asyncio.wait([entry.image])
        if entry.image.cancelled():
            raise self.store.keys.check(entry.key, entry.caller, "image_gone")
        try:
            return entry.image.result()
        except ClickmaskError as error:
            raise from_clickmask(error) from error

    async def heavy(self, caller: str, function: Callable[[], T]) -> T:
        """Run what takes long, and holds no lane, in a thread; callers take turns.

        Who leaves does not end the thread: its place is free when it is done, or impatience would start them by scores.
        """
        await self._heavy.take(caller)
        work = in_own_thread(function)
        work.add_done_callback(partial(self._done_heavy, asyncio.get_running_loop()))
        return await asyncio.wrap_future(work)

    def _done_heavy(self, loop: asyncio.AbstractEventLoop, work: object) -> None:
        with suppress(RuntimeError):  # the loop has ended, and nobody waits
            loop.call_soon_threadsafe(self._heavy.give_back)

    async def ask(self, caller: str, key: str, request: Any, ticket: Ticket, notes: dict[str, Any]) -> dict[str, Any]:
        """The answer to a `MasksRequest` about an image, as plain values (see `asking.py`)."""
        return await self._asking.ask(caller, key, request, ticket, notes)

    def hover_ms(self, entry: Entry) -> int | None:
        """What pages are told about hovering now; see `Load.hover_interval`."""
        pages = max(1, self.streams.pages())
        return self.lanes[entry.lane].load.hover_interval(pages, Rank.HOVER, (Rank.CLICK,))

    def provenance_of(self, refine: str) -> dict[str, Any]:
        """With what an answer to a question of that `refine` is made."""
        return {**self.provenance, "refine": refine}

    def _existing(self, key: str, caller: str, ahead: bool) -> Entry | None:
        try:
            entry = self.store.find(key, caller)
        except ApiError:
            return None
        if not ahead:
            self._encodings.promote(key, Rank.OPEN)
        return entry

    async def _open(self, key: str, caller: str, data: bytes, ahead: bool) -> Entry:
        ticket = self.opens.enter(caller)
        try:
            try:
                picture = await self.decode(caller, data)
            except ImageError as error:
                raise from_clickmask(error) from None
            ticket.add(picture.pixels.nbytes)
            entry = self._entry(key, caller, Frame.whole(*picture.size), data, None)
            entry.orientation = picture.orientation
            self.store.keep(entry, ahead=ahead)
            self.store.pixels.put(key, picture, picture.pixels.nbytes, caller, ahead=ahead)
        except BaseException:
            ticket.give_back()
            raise
        self._encodings.begin(entry, picture, Rank.PREFETCH if ahead else Rank.OPEN, ticket)
        return entry

    async def _open_window(self, key: str, image: Entry, frame: Frame, picture: Picture) -> Entry:
        ticket = self.opens.enter(image.caller, picture.pixels.nbytes)
        entry = self._entry(key, image.caller, frame, None, image)
        try:
            self.store.keep(entry, ahead=False)
        except BaseException:
            ticket.give_back()
            raise
        self._encodings.begin(entry, picture, Rank.OPEN, ticket)
        return entry

    def _entry(self, key: str, caller: str, frame: Frame, data: bytes | None, parent: Entry | None) -> Entry:
        lane = parent.lane if parent else self.lanes.index(freest(self.lanes))
        future = asyncio.get_running_loop().create_future()
        return Entry(key, caller, frame, data, parent, lane, future, self._embedding)

    async def _decode_again(self, root: Entry) -> Picture:
        assert root.data is not None, "an image has its file"
        picture = await self.decode(root.caller, root.data)
        if self.store.holds(root):
            self.store.pixels.put(root.key, picture, picture.pixels.nbytes, root.caller)
        return picture

    def _wait(self, rank: Rank) -> float:
        """Seconds until a place should be free."""
        gate, lanes = (self.opens, self._encodings.lanes) if rank == Rank.OPEN else (self.gate, self.lanes)
        costs = [lane.load.mean(rank) for lane in lanes]
        return gate.inside * sum(costs) / len(costs) / len(costs)

    def _count(self, kind: Hashable, waits: Sequence[float], seconds: float) -> None:
        metrics = self.metrics
        count = metrics.encoded if kind in (ENCODE, WATCH) else metrics.searched if kind == STEP else metrics.decoded
        count(len(waits), waits, seconds)

    def _out_of_memory(self) -> None:
        self.metrics.ran_out_of_memory()
        self.store.spare()

    def _broken(self, reason: str) -> None:
        self.health.broken = reason


async def _sha256(data: bytes) -> bytes:
    if len(data) < MIB:
        return hashlib.sha256(data).digest()
    return await asyncio.to_thread(lambda: hashlib.sha256(data).digest())


def _check_kind(data: bytes) -> None:
    try:
        sniff(data[:64], "the image")
    except ImageError as error:
        raise ApiError(415 if data else 422, "bad_image", str(error)) from None
