"""From a file to pixels, ahead of the model: the first stage of the pipeline."""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import dataclass

from ...models.errors import ClickmaskError, ImageError
from ...models.frame import Frame
from ..image_headers import sniff
from ..images import Picture, read_picture, read_reduced
from .inputs.names import looks_like_photo
from .journal import DONE, FAILED, SKIPPED, Record
from .naming import safe
from .outlet import Outlet
from .plan import Job, are_there
from .questions import Asks

_HEAD = 64


@dataclass(frozen=True, eq=False)
class Opened:
    """A photo that was decoded, and its file's size, time and digest."""

    job: Job
    asks: Asks
    stamp: Record
    picture: Picture
    has_embedding: bool = False

    @property
    def whole(self) -> tuple[Picture, Frame]:
        """The picture, all of which is to be encoded."""
        return self.picture, Frame.whole(*self.picture.size)


Read = Opened | Record  # a record where there is nothing to segment: a failure, no photo, or done already


def read(job: Job, asks: Asks, out: Outlet, *, is_fast: bool = False) -> Read:
    """Decode a photo, or (is_fast) what the encoder needs of it. What goes wrong is told in a record: it costs this
    photo alone.
    """
    started = time.monotonic()
    stamp = Record(job.source.name, FAILED, base=job.base)
    try:
        stamp = stamp._replace(**job.source.stamp()._asdict())
        with job.source.open() as file:
            head = file.read(_HEAD)
            foreign = _foreign(job, head)
            if foreign is not None:
                return stamp._replace(state=SKIPPED, kind="NotAPhoto", reason=foreign)
            return _opened(job, asks, stamp, head + file.read(), out, started, is_fast=is_fast)
    except (ClickmaskError, MemoryError) as error:
        return failed(stamp, error)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        return stamp._replace(kind=type(error).__name__, reason=f"cannot be read: {reason}")
    except Exception as error:  # a decoder's own: one photo is no reason to lose the others
        return failed(stamp, error)


def failed(stamp: Record, error: Exception) -> Record:
    """The record of a photo that could not be done."""
    reason = str(error) or "no reason was given"
    return stamp._replace(state=FAILED, kind=type(error).__name__, reason=reason, outputs=(), objects=0)


def _opened(job: Job, asks: Asks, stamp: Record, data: bytes, out: Outlet, started: float, *, is_fast: bool) -> Read:
    stamp = stamp._replace(sha256=hashlib.sha256(data).hexdigest())
    before = job.previous
    same = before is not None and (before.state, before.sha256, before.base) == (DONE, stamp.sha256, job.base)
    if before is not None and same and are_there(before, out, verify=True):
        outputs, own = before.outputs, before.statistics
        return stamp._replace(state=DONE, outputs=outputs, objects=before.objects, statistics=own)
    name = safe(job.source.name.rpartition("/")[2])
    picture = read_reduced(data, name=name) if is_fast else read_picture(data, name=name)
    stamp = stamp._replace(seconds=(round(time.monotonic() - started, 4),))
    return Opened(job, asks, stamp, picture, bool(job.embedding) and os.path.isfile(job.embedding))


def _foreign(job: Job, head: bytes) -> str | None:
    """Why this is no photo and need not be one; None for photos, and for what is called a photo but is none."""
    if job.source.named or looks_like_photo(job.source.name):
        return None
    try:
        sniff(head, "the file")
    except ImageError as error:
        return str(error)
    return None
