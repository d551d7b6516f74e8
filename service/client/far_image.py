"""An image on a server: the verbs of `OpenImage`, written once, as coroutines."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Self, Unpack
from urllib.parse import quote

import numpy as np

from ...models.errors import ImageError, PromptError, ServiceError, SettingsError
from ...models.frame import Frame
from ..everything.options import Options
from ..masks import BaseMask
from ..prompts import Box, Point, Prompt, window_box
from .deadline import Deadline
from .found import LONGEST, OnProgress, RemoteFound, find, wishes
from .image_view import ImageView
from .link import Link
from .place import Place
from .questions import F, Questions
from .transport import Request
from .upload import Upload, UploadedPhoto, read_upload

_TOO_LARGE = 413


class FarImage(ImageView[F]):
    """An image that a server holds; prompts and masks are in the whole image's frame.

    upload: the bytes, sent again when the server has forgotten them. whole: where the whole image is kept, of which
    `questions` may ask about a window. places: what is forgotten when this is closed.
    """

    def __init__(self, upload: Upload, whole: Place, questions: Questions[F], places: set[Place]) -> None:
        super().__init__(questions)
        self._upload, self._whole, self._places = upload, whole, places

    async def click(self, x: float, y: float) -> F:
        """The best mask for one foreground point (image frame). Raises PromptError for a point outside."""
        return await self.segment(points=[(x, y)])

    async def segment(
        self,
        points: Sequence[Point] | np.ndarray = (),
        labels: Sequence[int] | np.ndarray | None = None,
        box: Box | Sequence[float] | np.ndarray | None = None,
        previous: BaseMask | np.ndarray | None = None,
    ) -> F:
        """The mask of one object; the arguments are those of `Prompt`.

        One point alone gives the best of three candidates by predicted IoU, anything more the single mask.

        Raises:
            PromptError: the prompt makes no sense on this image. ClosedError: the image was closed. ServiceError: the
                server did not answer.
        """
        return (await self.segment_many([_prompt(points, labels, box, previous)]))[0]

    async def candidates(
        self,
        points: Sequence[Point] | np.ndarray = (),
        labels: Sequence[int] | np.ndarray | None = None,
        box: Box | Sequence[float] | np.ndarray | None = None,
    ) -> list[F]:
        """The decoder's three masks for a prompt, best predicted IoU first; `index` is the decoder's order."""
        prompt = _prompt(points, labels, box, None)
        deadline = self._questions.link.deadline()
        return (await self._questions.masks([prompt], multimask=True, limit=None, deadline=deadline))[0]

    async def segment_many(self, prompts: Iterable[Prompt]) -> list[F]:
        """One mask for each prompt, in their order; prompts may differ in everything."""
        prompts = list(prompts) if isinstance(prompts, Iterable) else [prompts]
        for number, prompt in enumerate(prompts):
            if not isinstance(prompt, Prompt):
                raise PromptError(f"prompts[{number}]: expected a Prompt, got {type(prompt).__name__}")
        deadline = self._questions.link.deadline()
        answers = await self._questions.masks(prompts, multimask="auto", limit=1, deadline=deadline)
        return [masks[0] for masks in answers]

    async def everything(
        self, *, progress: OnProgress | None = None, timeout: float = LONGEST, **options: Unpack[Options]
    ) -> RemoteFound[F]:
        """All objects of the image (of the encoded window), the largest first; see `OpenImage.everything`.

        A task that is cancelled, or a `progress` that raises, closes the connection, and the server stops.

        Args:
            progress: called with (points asked, points in all).
            timeout: seconds it may take, repeats included; then what was found is given, and `is_complete` is False.
                The server may allow less.
            options: those of `everything.options.Search` and `Choice` but max_memory: points_per_side=32,
                pred_iou_thresh=0.88, stability_score_thresh=0.95, tiles="auto", dedup="mask", min_area=100, ...

        Raises:
            SettingsError: an option makes no sense; the message names it. ClosedError: the image was closed.
            ServiceError: the server did not answer.
        """
        self._questions.check_open()
        if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not 0 < timeout < math.inf:
            raise SettingsError(f"timeout: expected seconds, more than 0, got {timeout!r}")
        deadline = self._questions.link.deadline(timeout)
        return await find(self._questions, self._home_of, wishes(options), progress, deadline)

    async def window(self, box: Box | Sequence[float] | np.ndarray) -> Self:
        """This image with only the part in `box` encoded, at full resolution: for small things.

        Prompts and masks stay in the whole image's frame. Raises PromptError for a box outside the image.
        """
        return await self._window(box, self._questions.link.deadline(), owns_whole=False)

    async def close(self) -> None:
        """Tell the server to forget the image, if it can be told; masks keep working, but for cut-outs and overlays."""
        if not self._questions.closed:
            self._questions.close()
            for place in self._places:
                await place.forget()

    def _home_of(self, frame: Frame) -> Questions[F]:
        """Whom to ask about a part of the image, which is opened when it is first asked about."""
        asked = self._questions
        place = self._place_of(frame)
        self._places.add(place)
        return replace(asked, place=place, frame=frame)

    def _place_of(self, frame: Frame) -> Place:
        make = partial(self._whole.post, "/windows", {"box": frame.window})
        return Place(self._questions.link, self._upload.digest, make)

    @classmethod
    async def open(
        cls, link: Link, kind: type[F], source: object, *, channels: str, name: str | None, window: Any
    ) -> Self:
        """Upload an image, as `Segmenter.open` takes it, or a window of it; `kind` is the class of its masks."""
        deadline = link.deadline()
        upload = await link.transport.work(partial(read_upload, source, channels, name))
        place = Place(link, upload.digest, partial(_upload, link, upload))
        answer = await place.put(deadline)
        image = cls(upload, place, _questions(link, place, upload, _whole_frame(answer, link), answer, kind), {place})
        if window is None:
            return image
        try:
            return await image._window(window, deadline, owns_whole=True)
        except BaseException:
            await image.close()
            raise

    async def _window(self, box: Any, deadline: Deadline, *, owns_whole: bool) -> Self:
        """owns_whole: closing the window forgets the whole image too."""
        asked = self._questions
        asked.check_open()
        width, height = self.size
        frame = Frame(width, height, window_box(box, width, height))
        place = self._place_of(frame)
        answer = await place.put(deadline)
        questions = _questions(asked.link, place, self._upload, frame, answer, asked.kind)
        return type(self)(self._upload, self._whole, questions, {place, self._whole} if owns_whole else {place})


async def _upload(link: Link, upload: Upload, deadline: Deadline) -> dict[str, Any]:
    model = f"?model={quote(link.model, safe='')}" if link.model else ""
    headers = {"clickmask-route": upload.digest, "content-type": "application/octet-stream"}
    try:
        return await link.ask(Request("POST", f"/v1/images{model}", upload.data, headers), deadline)
    except ServiceError as error:
        if error.status == _TOO_LARGE:
            raise ImageError(f"{upload.name or 'the image'}: {error}; {len(upload.data)} bytes were sent") from error
        raise


def _questions(
    link: Link, place: Place, upload: Upload, frame: Frame, answer: Mapping[str, Any], kind: type[F]
) -> Questions[F]:
    source = UploadedPhoto(frame.width, frame.height, upload)
    provenance = answer.get("provenance") or {"model": answer.get("model")}
    return Questions(link, place, upload, frame, source, provenance, kind)


def _whole_frame(answer: Mapping[str, Any], link: Link) -> Frame:
    width, height = answer.get("width"), answer.get("height")
    if type(width) is not int or type(height) is not int or width < 1 or height < 1:
        raise ServiceError(f"{link.address} answered an upload without the image's size: is it a clickmask service?")
    return Frame.whole(width, height)


def _prompt(points: Any, labels: Any, box: Any, previous: Any) -> Prompt:
    return Prompt(points=points, labels=labels, box=box, previous=previous)
