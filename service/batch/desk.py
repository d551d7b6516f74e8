"""Where photos are encoded and asked: the middle stage of the pipeline."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from ...models.device_errors import is_device_error
from ..embeddings import read_embedding
from ..open_image import OpenImage
from ..segmenter import Segmenter
from .journal import Record
from .questions import Answer, Asks
from .reading import Opened, failed
from .writing import Answered


@dataclass(frozen=True, eq=False)
class _Last:
    """A file's digest, what was asked of it, and what came of that."""

    sha256: str
    asks: Asks
    answers: Sequence[Answer]
    embedding: bytes | None


class Desk:
    """A segmenter at work. together: how many photos are encoded in one pass, always. keeps_embeddings: for a file."""

    def __init__(self, segmenter: Segmenter, together: int, *, keeps_embeddings: bool) -> None:
        self._segmenter, self._together, self._keeps_embeddings = segmenter, together, keeps_embeddings
        self._last: _Last | None = None

    def answer(self, photos: Sequence[Opened]) -> list[Answered | Record]:
        """Encode photos and ask them. What goes wrong is told in a record, unless the device broke."""
        if len(photos) == 1 and (last := self._twin(photos[0])) is not None:
            stamp = photos[0].stamp._replace(seconds=(*photos[0].stamp.seconds, 0.0))
            return [Answered(photos[0].job, stamp, photos[0].picture, last.answers, last.embedding)]
        started = time.monotonic()
        try:
            images = self._open(photos)
        except Exception as error:
            if is_device_error(error):  # no other photo would come through
                raise
            if len(photos) > 1:
                return [found for photo in photos for found in self.answer([photo])]
            return [failed(photos[0].stamp, error)]
        each = (time.monotonic() - started) / len(photos)
        return [self._ask(photo, image, each) for photo, image in zip(photos, images, strict=True)]

    def _twin(self, photo: Opened) -> _Last | None:
        """The same file was the one before, under another name, and was asked the same."""
        last = self._last
        is_same = last is not None and (last.sha256, last.asks) == (photo.stamp.sha256, photo.asks)
        return last if is_same else None

    def _open(self, photos: Sequence[Opened]) -> list[OpenImage]:
        found = [self._load(photo) for photo in photos]
        rest = iter(self._encode([photo for photo, image in zip(photos, found, strict=True) if image is None]))
        return [next(rest) if image is None else image for image in found]

    def _load(self, photo: Opened) -> OpenImage | None:
        """From its file, where that is there and is of these very pixels. Raises EmbeddingError for another model's."""
        if not photo.has_embedding:
            return None
        path = photo.job.embedding
        if read_embedding(path).image_digest != photo.picture.digest:
            return None  # the photo was edited since
        return self._segmenter.load_embedding(path, image=photo.picture)

    def _encode(self, photos: Sequence[Opened]) -> list[OpenImage]:
        """Always as many in one pass: a photo's embedding does not depend on how many were left."""
        if not photos:
            return []
        pictures = [photo.whole for photo in photos]
        filled = pictures + pictures[-1:] * (self._together - len(pictures))
        return self._segmenter.open_together(filled)[: len(photos)]

    def _ask(self, photo: Opened, image: OpenImage, seconds: float) -> Answered | Record:
        """seconds: what encoding took."""
        started = time.monotonic()
        try:
            answers = photo.asks.ask(photo.job.source.name, image)
        except Exception as error:  # of one photo; the others are none the worse for it
            if is_device_error(error):
                raise
            return failed(photo.stamp, error)
        seconds += time.monotonic() - started
        stamp = photo.stamp._replace(seconds=(*photo.stamp.seconds, round(seconds, 4)))
        embedding = image.packed_embedding() if self._keeps_embeddings else None
        self._last = _Last(photo.stamp.sha256, photo.asks, answers, embedding)
        return Answered(photo.job, stamp, photo.picture, answers, embedding)
