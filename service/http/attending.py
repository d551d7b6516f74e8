"""What was looked at, for a prompt or a patch: through a lane, and out as arrays."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ...models.errors import ClickmaskError, PromptError, SettingsError
from ...models.frame import LOW_RES, MODEL_SIDE, Frame
from ...models.transformer import HEADS
from ..attention import TOP, Attention, attention_of, npz
from ..encoder_attention import EncoderAttention, PatchAttention
from ..open_image import OpenImage
from ..prompts import Prompt, check_inside
from .admission import Ticket
from .attention_schemas import AttentionRequest
from .engine import ATTEND, WATCH
from .errors import ApiError, from_clickmask
from .flights import Flights
from .lane import Rank
from .questions import question
from .store import Entry

if TYPE_CHECKING:
    from .service import Service

Arrays = dict[str, np.ndarray]
_FIRST = ("queries", "keys", "values", "scores", "heard", "weights", "query", "bias")
_HEADS = dict.fromkeys(TOP, 1) | dict.fromkeys(_FIRST, 0)  # which axis is that of the heads
_WALK_BYTES = 64 << 20  # at most, of all arrays that are as long as the image whatever the prompt
_PATCH_BYTES = 8 << 20  # at most, of a patch's arrays
_LIGHT = 32 << 20  # bytes; more is a long job, which lets clicks go before
_BY_PIXEL = ("walk/mask/pixels", "walk/mask/logits")


@dataclass(frozen=True, eq=False)
class _AtPrompt:
    """What a prompt's tokens look at, and the arrays of these names."""

    image: OpenImage
    prompt: Prompt
    names: Sequence[str] | None

    def take(self) -> tuple[Attention, Arrays]:
        seen = attention_of(self.image, self.prompt)
        return seen, {name: seen.array(name) for name in (seen.names if self.names is None else self.names)}


@dataclass(frozen=True, eq=False)
class _Watch:
    """An image's way through the encoder."""

    image: OpenImage

    def take(self) -> EncoderAttention:
        return self.image.encoder_attention()


@dataclass(frozen=True, eq=False)
class _AtPatch:
    """What a patch looks at."""

    watched: EncoderAttention
    point: tuple[float, float]

    def take(self) -> PatchAttention:
        return self.watched.at(*self.point)


@dataclass(frozen=True, eq=False)
class _Roll:
    """The next step of a rollout, or None after its end."""

    steps: Iterator[np.ndarray]

    def take(self) -> np.ndarray | None:
        return next(self.steps, None)


class Attending:
    """Asks a service's images what was looked at. An image that patches are asked about stays watched for a while."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._watching: Flights[EncoderAttention] = Flights()

    async def ask(
        self, caller: str, key: str, request: AttentionRequest, ticket: Ticket, notes: dict[str, Any]
    ) -> dict[str, Any] | bytes:
        """The answer to a request, as plain values, or as a file.

        Raises:
            ApiError: 404, 410: no such image or mask. 422: a prompt, patch or name makes no sense here. 503.
        """
        service = self._service
        entry = service.store.find(key, caller)
        service.store.pin(entry)
        try:
            ask = self._of_prompt if request.patch is None else self._of_patch
            about, described, arrays = await ask(entry, request, ticket, notes)
        except PromptError as error:
            raise _named_error(error, "at" if request.patch is None else "patch") from None
        except ClickmaskError as error:
            raise from_clickmask(error) from error
        finally:
            service.store.unpin(entry)
        if request.head is not None:
            arrays = {name: _of_head(name, array, request.head) for name, array in arrays.items()}
        if request.format == "npz":
            return await service.heavy(caller, partial(npz, described | arrays))
        fields = await service.heavy(caller, partial(_encoded, arrays, request.dtype))
        place = {"box": entry.frame.window, "scaled": entry.frame.scaled_size}
        return about | fields | place | {"dtype": request.dtype, "provenance": service.provenance}

    async def _of_prompt(
        self, entry: Entry, request: AttentionRequest, ticket: Ticket, notes: dict[str, Any]
    ) -> tuple[dict[str, Any], Arrays, Arrays]:
        service = self._service
        if request.rollout:
            raise ApiError(422, "bad_request", "rollout: expected a patch to begin at", field="rollout")
        refine = "off" if service.provenance["refine"] == "off" else "clicks"
        asked = question(request, entry, service.store, service.settings.limits, refine=refine)
        names = request.arrays if request.arrays is not None or request.format == "npz" else list(TOP)
        size = _most_bytes(names, len(asked.prompt.points) + 2)
        _take_room(ticket, 3 * size, service.settings.limits.queue_bytes)
        rank = Rank.CLICK if size <= _LIGHT else Rank.LONG
        image = await service.embedding(entry, rank)
        pixel = None if request.at is None else _pixel(request.at, entry.frame)
        work = _AtPrompt(image.refined(refine), asked.prompt, names)
        seen, arrays = await self._take(entry, ATTEND, rank, work, notes)
        if pixel is not None:
            arrays = {name: array[pixel] if name in _BY_PIXEL else array for name, array in arrays.items()}
        return {"tokens": seen.tokens, "chosen": seen.chosen, "score": seen.mask.score}, seen.described, arrays

    async def _of_patch(
        self, entry: Entry, request: AttentionRequest, ticket: Ticket, notes: dict[str, Any]
    ) -> tuple[dict[str, Any], Arrays, Arrays]:
        assert request.patch is not None, "there is a patch"
        for name in ("points", "labels", "box", "previous"):
            if getattr(request, name):
                raise ApiError(422, "bad_request", f"{name}: expected a prompt or a patch, got both", field=name)
        if request.at is not None:
            raise ApiError(422, "bad_request", "at: expected a prompt with it, whose mask has pixels", field="at")
        check_inside(Prompt(points=[request.patch]), entry.frame)
        ticket.add(_PATCH_BYTES)
        watched = self._service.store.watched_of(entry)
        notes["cache"] = "miss" if watched is None else "hit"
        watched = watched or await self._watching.join(entry.key, partial(self._watch, entry, ticket, notes))
        found = await self._take(entry, ATTEND, Rank.CLICK, _AtPatch(watched, request.patch), notes)
        arrays = found.arrays
        names = request.arrays
        if names is None and request.format == "json":
            names = [f"{number}/weights" for number in range(len(found.blocks))]
        if names is not None:
            arrays = {name: _named(name, arrays) for name in names if name != "rollout"}
        if request.rollout:
            arrays["rollout"] = await self._rollout(entry, watched, request.patch, notes)
        blocks = [
            {"name": block.name, "stride": block.stride, "place": block.place, "corner": block.corner}
            for block in found.blocks
        ]
        return {"blocks": blocks, "corner": found.corner}, found.described, arrays

    async def _watch(self, entry: Entry, ticket: Ticket, notes: dict[str, Any]) -> EncoderAttention:
        service = self._service
        picture = await service.picture(entry, ticket)
        image = await service.embedding(entry, Rank.OPEN)
        watched = await self._take(entry, WATCH, Rank.OPEN, _Watch(image.with_picture(picture)), notes)
        service.store.keep_watched(entry, watched)
        return watched

    async def _rollout(
        self, entry: Entry, watched: EncoderAttention, patch: tuple[float, float], notes: dict[str, Any]
    ) -> np.ndarray:
        """Block by block, so that others have their turns."""
        try:
            steps = watched.rolling_out(*patch)
        except SettingsError as error:
            raise ApiError(422, "bad_request", str(error), field="rollout") from None
        share = None
        while (step := await self._take(entry, ATTEND, Rank.LONG, _Roll(steps), notes)) is not None:
            share = step
        assert share is not None, "it begins with the patch"
        return share

    async def _take(self, entry: Entry, kind: str, rank: Rank, work: Any, notes: dict[str, Any]) -> Any:
        piece = self._service.lanes[entry.lane].submit(rank, entry.caller, kind, work)
        try:
            done = await piece
        finally:
            piece.cancel()
        notes["decode_ms"] = round(notes.get("decode_ms", 0.0) + 1000 * done.ran, 1)
        return done.value


def _take_room(ticket: Ticket, size: int, most: int) -> None:
    """Before the work is done: it is what keeps a caller from asking for it all at once."""
    if size > most:
        message = f"arrays: they may take {size} bytes, at most {most} in a request: ask for fewer by name"
        raise ApiError(422, "too_many", message, field="arrays")
    ticket.add(size)


def _pixel(point: tuple[float, float], frame: Frame) -> tuple[int, int]:
    """(row, column) of the low-res logits that a point of the image lies in."""
    check_inside(Prompt(points=[point]), frame)
    x, y = frame.to_model(torch.tensor([point], dtype=torch.float64))[0].tolist()
    step = MODEL_SIDE // LOW_RES
    return min(int(y / step), LOW_RES - 1), min(int(x / step), LOW_RES - 1)


def _named_error(error: PromptError, place: str) -> ApiError:
    """What a call of ours calls points[0] is the request's patch, or `at`; its prompt was checked before."""
    field, _, reason = str(error).partition(": ")
    field = place if field == "points[0]" else field
    code = "bad_request" if field == "arrays" else "bad_prompt"
    return ApiError(422, code, f"{field}: {reason}", field=field)


def _most_bytes(names: Sequence[str] | None, tokens: int) -> int:
    """At most so many the arrays of those names (all, without names) have, for so many tokens of a prompt."""
    attended = 4 * 8 * 4096 * (6 + tokens)  # an attention of all heads between tokens and image
    if names is None:
        return 12 * attended + _WALK_BYTES
    longest = {name: 3 * attended for name in TOP} | {_BY_PIXEL[0]: 4 * LOW_RES**2 * 32}
    return sum(longest.get(name, max(attended, 4 * 4096 * 256)) for name in names)


def _named(name: str, arrays: Arrays) -> np.ndarray:
    if name not in arrays:
        message = f"arrays: there is no {name[:80]!r}; there are {', '.join(arrays)}"
        raise ApiError(422, "bad_request", message, field="arrays")
    return arrays[name]


def _of_head(name: str, array: np.ndarray, head: int) -> np.ndarray:
    part = name.rpartition("/")[2]
    if part == "projection":  # (8 d, 256): the rows that its values meet
        array, axis = array.reshape(HEADS, -1, array.shape[-1]), 0
    elif part in ("query_projection", "query_bias"):  # (256, 8 d) and (8 d,): the columns that make its queries
        array, axis = array.reshape(*array.shape[:-1], HEADS, -1), array.ndim - 1
    elif part in _HEADS and not name.startswith("first_layer/") and not (name.startswith("walk/") and part == "bias"):
        axis = _HEADS[part]
    else:
        return array
    if head >= array.shape[axis]:
        message = f"head: {name} has {array.shape[axis]}, expected 0 to {array.shape[axis] - 1}"
        raise ApiError(422, "bad_request", message, field="head")
    return array.take(head, axis)


def _encoded(arrays: Mapping[str, np.ndarray], dtype: str) -> dict[str, Any]:
    kind = np.dtype(dtype).newbyteorder("<")
    return {
        "arrays": {
            name: {"shape": array.shape, "data": base64.b64encode(array.astype(kind).tobytes()).decode()}
            for name, array in arrays.items()
        }
    }
