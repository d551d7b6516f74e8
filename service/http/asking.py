"""Answering questions about images: through a lane, and out in the wanted shape."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ...models.errors import ClickmaskError
from ...models.frame import Frame
from ..images import Picture
from ..masks import Mask
from ..open_image import OpenImage
from ..prompts import Prompt
from .admission import Ticket
from .answers import Wanted, describe, half, raster_place
from .engine import ENCODE, Decode, Encode, decode_kind
from .errors import ApiError, from_clickmask
from .lane import Done, Rank
from .questions import Question, questions
from .schemas import MasksRequest
from .store import Entry, KeptMask
from .streams import Turn

if TYPE_CHECKING:
    from .service import Service

CLICK_OBJECTS = 8  # more of them in a request are a long job, which lets clicks go before each piece
HOVER_PATIENCE = 0.3  # seconds after which a preview is no preview any more


@dataclass(frozen=True, eq=False)
class _Result:
    """One result: what goes out, and what is kept of it."""

    fields: dict[str, Any]
    kept: KeptMask

    @property
    def weight(self) -> int:
        """Bytes of the pictures in it."""
        return sum(len(value) for value in self.fields.values() if isinstance(value, str))


class Asking:
    """Asks a service's images."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def ask(
        self, caller: str, key: str, request: MasksRequest, ticket: Ticket, notes: dict[str, Any]
    ) -> dict[str, Any]:
        """The answer to a request, as plain values.

        Raises:
            ApiError: 404, 410: no such image or mask. 409: a newer hover came. 422: a prompt makes no sense on this
                image. 503: it would be too late, or memory ran out.
        """
        service = self._service
        entry = service.store.find(key, caller)
        if (request.stream is None) != (request.seq is None):
            raise ApiError(422, "bad_request", "stream and seq go together", field="seq")
        asked = questions(request, entry, service.store, service.settings.limits, service.provenance["refine"])
        wanted = Wanted.of(request)
        if request.stream is not None and not wanted.is_preview(entry.frame):
            field = "format" if wanted.format == "cutout" else "scale"
            message = f"{field}: with stream, expected a mask, of a large image at scale model"
            raise ApiError(422, "bad_request", message, field=field)
        turn = None
        if request.stream is not None and request.seq is not None:
            turn = service.streams.turn(caller, request.stream, request.seq)
        service.store.pin(entry)
        try:
            results = await self._results(entry, asked, wanted, turn, ticket, notes)
        finally:
            service.store.unpin(entry)
            if turn is not None:
                turn.done()
        return self._answer(entry, asked, results, wanted, hover=turn is not None)

    async def _results(
        self,
        entry: Entry,
        asked: Sequence[Question],
        wanted: Wanted,
        turn: Turn | None,
        ticket: Ticket,
        notes: dict[str, Any],
    ) -> list[list[_Result]]:
        rank = Rank.HOVER if turn else Rank.LONG if len(asked) > CLICK_OBJECTS else Rank.CLICK
        if turn is not None:
            try:
                async with asyncio.timeout(HOVER_PATIENCE):
                    return await self._decode(entry, asked, wanted, rank, turn, notes)
            except TimeoutError:
                self._service.streams.dropped += 1
                raise ApiError(503, "busy", "too much to do for previews now", retry_after=1) from None
        is_sharp = asked[0].refine == "edges"
        if wanted.is_light(entry.frame) and not is_sharp:
            return await self._decode(entry, asked, wanted, rank, None, notes)
        needs_photo = is_sharp or wanted.format == "cutout"
        picture = await self._service.picture(entry, ticket) if needs_photo else None
        results = []
        for masks in await self._decode(entry, asked, None, rank, None, notes):  # one by one, so that others get a turn
            masks = [replace(mask, is_sharp=True, photo=picture) for mask in masks] if is_sharp else masks
            results.append(await self._service.heavy(entry.caller, partial(_results_of, entry, masks, wanted, picture)))
            ticket.add(sum(result.weight for result in results[-1]))
        return results

    async def _decode(
        self,
        entry: Entry,
        asked: Sequence[Question],
        wanted: Wanted | None,
        rank: Rank,
        turn: Turn | None,
        notes: dict[str, Any],
    ) -> list[Any]:
        """Through the lane: for each question its results, or its masks where nothing is `wanted` yet."""
        image = await self._service.embedding(entry, rank)
        finish = _same if wanted is None else partial(_results_of, entry, wanted=wanted)
        lane = self._service.lanes[entry.lane]
        works = [
            lane.submit(
                rank,
                entry.caller,
                decode_kind(multimask=q.multimask),
                Decode(image.refined("clicks" if q.refine == "edges" else q.refine), q.prompt, finish),
            )
            for q in asked
        ]
        if turn is not None:
            turn.hold(works, lane.drop)
        try:
            done = await asyncio.gather(*works)
        except asyncio.CancelledError:
            if turn is not None and turn.superseded:
                raise self._service.streams.late() from None
            raise
        except ClickmaskError as error:
            raise from_clickmask(error) from error
        finally:
            for work in works:
                work.cancel()
        _note(done, notes)
        return [one.value for one in done]

    def _answer(
        self, entry: Entry, asked: Sequence[Question], results: list[list[_Result]], wanted: Wanted, *, hover: bool
    ) -> dict[str, Any]:
        if not hover:
            for question, own in zip(asked, results, strict=True):
                for result in own:
                    result.fields["mask_id"] = self._keep(entry, question, result)
        answer = {
            "objects": [[result.fields for result in own] for own in results],
            "raster": raster_place(entry.frame, wanted.scale),
            "hover_ms": self._service.hover_ms(entry),
        }
        if wanted.scale == "full":
            answer["provenance"] = self._service.provenance_of(asked[0].refine)
        return answer

    def _keep(self, entry: Entry, question: Question, result: _Result) -> str:
        store = self._service.store
        key = store.keys.mask(entry.key, question.text, result.fields["index"], entry.caller)
        if store.holds(entry.root):  # not for one that was forgotten meanwhile
            store.masks.put(key, result.kept, result.kept.size, entry.caller)
        return key

    async def warm_up(self) -> None:
        """Encode and decode something artificial in each lane, by the shapes that callers will ask for first.

        Where CUDA graphs are recorded, until they are: a shape's second call is.
        """
        picture = Picture(np.full((683, 1024, 3), 128, np.uint8))
        frame = Frame.whole(*picture.size)
        prompts = [
            (Prompt(points=[(300, 300)]), True),
            (Prompt(points=[(300, 300), (500, 300)]), False),
            (Prompt(box=(100, 100, 500, 500)), False),
            (Prompt(points=[(300, 300)], previous=np.zeros((256, 256), np.float32)), False),
        ]
        for lane in [lane for lane in self._service.lanes for _ in range(self._service.warm_rounds)]:
            done = await lane.submit(Rank.OPEN, "", ENCODE, Encode(picture, frame))
            image: OpenImage = done.value
            for prompt, multimask in prompts:
                work = Decode(image, prompt, _same)
                await lane.submit(Rank.CLICK, "", decode_kind(multimask=multimask), work)


def _note(done: Sequence[Done], notes: dict[str, Any]) -> None:
    waited, ran = max(one.waited for one in done), sum(one.ran for one in done)
    notes |= {"queue_ms": round(waited * 1000, 1), "decode_ms": round(ran * 1000, 1), "prompts": len(done)}


def _same(masks: list[Mask]) -> list[Mask]:
    return masks


def _results_of(entry: Entry, masks: list[Mask], wanted: Wanted, picture: Picture | None = None) -> list[_Result]:
    root = entry.root.key
    return [
        _Result(describe(mask, wanted, picture), KeptMask(half(mask.logits), mask.frame, root))
        for mask in masks[: wanted.limit]
    ]
