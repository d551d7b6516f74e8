"""What the server remembers: images (their files and embeddings), their decoded pixels, and the logits of answers.

All of it is in memory, bounded in bytes, and belongs to the caller who sent it: nobody else finds it, by any id.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Hashable
from dataclasses import dataclass, field

import numpy as np

from ...models.errors import SettingsError
from ...models.frame import Frame
from ..encoder_attention import EncoderAttention
from ..everything.options import Search
from ..everything.search import Finds
from ..images import Picture
from ..memory import free_memory
from ..open_image import OpenImage
from .errors import ApiError
from .keys import Keys
from .settings import GIB, MIB, Limits, Storage
from .shelf import Shelf

EMBEDDING = 4096 * 256 * 4  # bytes, in the widest precision
RECORD = 1024  # bytes that a find takes beside its run lengths, and a crop beside its grid
OVERHEAD = 4096  # bytes of bookkeeping an entry is charged with
PIXELS_SHARE = 0.25  # of the images' budget, for decoded pixels


@dataclass(eq=False)
class Entry:
    """An image, or a window of one, of one caller.

    data: the encoded file; of a window None (its parent has it). frame: what part of the image is encoded.
    lane: the number of the lane on whose device the embedding is. embedding: bytes that it takes. image: the embedding,
    once it is there. orientation: the file's EXIF orientation, which has been applied.
    """

    key: str
    caller: str
    frame: Frame
    data: bytes | None
    parent: Entry | None
    lane: int
    image: asyncio.Future[OpenImage]
    embedding: int = EMBEDDING
    windows: set[str] = field(default_factory=set)
    orientation: int = 1

    @property
    def root(self) -> Entry:
        """The image itself."""
        return self if self.parent is None else self.parent

    @property
    def size(self) -> int:
        """Bytes it is charged with."""
        return self.embedding + OVERHEAD + (len(self.data) if self.data else 0)


@dataclass(frozen=True, eq=False)
class KeptMask:
    """An answer that may come back as `previous`: (256, 256) float16 low-res logits, in a frame of an image."""

    logits: np.ndarray
    frame: Frame
    root: str

    @property
    def size(self) -> int:
        """Bytes it is charged with."""
        return self.logits.nbytes + OVERHEAD


@dataclass(frozen=True, eq=False)
class KeptFinds:
    """What a search for everything found in an image or window, as run lengths, to choose from again.

    options: of the search, but for its floors. frame, root: as of `KeptMask`.
    """

    search: Search
    finds: Finds
    options: Hashable
    frame: Frame
    root: str

    @staticmethod
    def of(search: Search, finds: Finds, options: Hashable, entry: Entry) -> KeptFinds:
        """Those of a search in an entry."""
        return KeptFinds(search, finds, options, entry.frame, entry.root.key)

    @property
    def size(self) -> int:
        """Bytes it is charged with."""
        crops, candidates = self.finds.crops, self.finds.candidates
        grids = {id(crop.grid): crop.grid.nbytes for crop in crops}  # crops share them
        runs = sum(one.runs.nbytes for one in candidates)
        return OVERHEAD + sum(grids.values()) + runs + RECORD * (len(crops) + len(candidates))


class Store:
    """Three shelves, and who may look on them."""

    def __init__(self, keys: Keys, storage: Storage, limits: Limits) -> None:
        budget = storage.images or _quarter_of_free_memory()
        pixels = int(budget * PIXELS_SHARE)
        if budget - pixels < limits.body + EMBEDDING + OVERHEAD:
            least = math.ceil((limits.body + EMBEDDING + OVERHEAD) / (1 - PIXELS_SHARE) / MIB)
            raise SettingsError(
                f"--store-memory: {budget // MIB} MiB cannot hold an image of --max-body; use {least} MiB or more"
            )
        self.keys = keys
        self._idle = storage.idle
        self.images: Shelf[Entry] = Shelf(budget - pixels, self._image_gone)
        self.pixels: Shelf[Picture | EncoderAttention] = Shelf(pixels)
        self.masks: Shelf[KeptMask | KeptFinds] = Shelf(storage.masks)

    def find(self, key: str, caller: str) -> Entry:
        """An image of this caller's. Raises ApiError 410 when it was pushed out, 404 when it never was theirs."""
        entry = self.images.get(key, caller)
        if entry is None or (entry.image.done() and (entry.image.cancelled() or entry.image.exception())):
            raise self.keys.check(key, caller, "image_gone")
        if entry.parent is not None:
            self.images.get(entry.parent.key, caller)  # a window in use is its image in use
        return entry

    def keep(self, entry: Entry, *, ahead: bool) -> None:
        """Put an image on the shelf.

        Raises:
            ApiError: 503 when there is no room; 410 for a window whose image was dropped meanwhile.
        """
        root = entry.root
        self.images.pin(root.key)  # a window must not push its own image out
        try:
            if entry is not root and self.images.get(root.key, entry.caller) is not root:
                raise self.keys.check(root.key, entry.caller, "image_gone")
            if not self.images.put(entry.key, entry, entry.size, entry.caller, ahead=ahead):
                raise ApiError(503, "store_full", "there is no room for another image now", retry_after=5)
            if entry is not root:
                root.windows.add(entry.key)
        finally:
            self.images.unpin(root.key)

    def finds_of(self, entry: Entry, options: Hashable) -> KeptFinds | None:
        """What the last search of an entry found, if it had these options."""
        kept = self.masks.get(_finds_key(entry), entry.caller)
        return kept if isinstance(kept, KeptFinds) and kept.options == options else None

    def keep_finds(self, entry: Entry, finds: KeptFinds) -> None:
        """Keep what a search found, in the place of the one before, if there is room and the entry is still here."""
        if self.holds(entry):
            self.masks.put(_finds_key(entry), finds, finds.size, entry.caller)

    def picture_of(self, entry: Entry) -> Picture | None:
        """The decoded pixels of an entry's image, if they are still here."""
        kept = self.pixels.get(entry.root.key, entry.caller)
        return kept if isinstance(kept, Picture) else None

    def watched_of(self, entry: Entry) -> EncoderAttention | None:
        """An entry's way through the encoder, if it is still here."""
        kept = self.pixels.get(_watched_key(entry), entry.caller)
        return kept if isinstance(kept, EncoderAttention) else None

    def keep_watched(self, entry: Entry, watched: EncoderAttention) -> None:
        """Keep it, if there is room beside the pixels and the entry is still here."""
        if self.holds(entry):
            self.pixels.put(_watched_key(entry), watched, watched.size, entry.caller)

    def holds(self, entry: Entry) -> bool:
        """Whether it is on the shelf still."""
        return self.images.look(entry.key) is entry

    def pin(self, entry: Entry) -> None:
        """Keep it, and the image it is a part of, until `unpin`."""
        self.images.pin(entry.key)
        self.images.pin(entry.root.key)

    def unpin(self, entry: Entry) -> None:
        """Undo one `pin`."""
        self.images.unpin(entry.key)
        self.images.unpin(entry.root.key)

    def forget(self, entry: Entry) -> None:
        """Drop an image and all that hangs on it."""
        if self.images.take(entry.key) is None:
            return
        self._image_gone(entry.key, entry)
        for key, kept in self.masks.things_of(entry.caller):
            if kept.root == entry.key or (kept.root == entry.root.key and kept.frame == entry.frame):
                self.masks.take(key)

    def forget_all(self, caller: str) -> None:
        """Drop everything of a caller's."""
        for _, entry in self.images.things_of(caller):
            self.forget(entry)
        for key, _ in self.masks.things_of(caller):
            self.masks.take(key)

    def expire(self) -> None:
        """Drop what nobody used for long."""
        for shelf in (self.images, self.pixels, self.masks):
            shelf.expire(self._idle)

    def spare(self) -> None:
        """Give up everything that can be had again."""
        for shelf in (self.images, self.pixels):
            shelf.clear()

    def _image_gone(self, key: Hashable, entry: Entry) -> None:
        self.pixels.take(entry.key)
        self.pixels.take(_watched_key(entry))
        if not entry.image.done():
            entry.image.get_loop().call_soon_threadsafe(entry.image.cancel)
        if entry.parent is not None:
            entry.parent.windows.discard(entry.key)
        for window in list(entry.windows):
            gone = self.images.take(window)
            if gone is not None:
                self._image_gone(window, gone)


def _finds_key(entry: Entry) -> Hashable:
    return "finds", entry.key  # no mask's id: those are strings


def _watched_key(entry: Entry) -> Hashable:
    return "watched", entry.key


def _quarter_of_free_memory() -> int:
    """Bytes: a quarter of what is free, at most 2 GiB and at least 128 MiB."""
    return max(128 * MIB, min(2 * GIB, free_memory() // 4))
