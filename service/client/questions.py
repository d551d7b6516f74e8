"""Asking for masks of one image, whatever the server has forgotten meanwhile."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import numpy as np

from ...models.errors import ClosedError, ServiceError
from ...models.frame import LOW_RES, Frame, reproject
from ..masks import PhotoSource
from ..prompts import Prompt, check_inside
from .deadline import Deadline
from .failures import is_mask_gone
from .link import Link
from .masks import FarMask, Kept
from .place import Place

F = TypeVar("F", bound=FarMask)

_LONGEST_CHAIN = 32  # masks that a mask goes back to: so many questions are asked again at worst
_AT_ONCE = 64  # prompts a request, the service's own default
_LARGEST = float(np.finfo(np.float16).max)

Results = list[Mapping[str, Any]]


@dataclass(frozen=True)
class Answer:
    """For each prompt its results, best first; and with which model and settings."""

    results: list[Results]
    provenance: Mapping[str, Any]


@dataclass(eq=False)
class Questions(Generic[F]):
    """What is asked about one image, or a window of it.

    place: where the server keeps it. root: the same object for an image and all its windows. kind: the masks' class.
    """

    link: Link
    place: Place
    root: object
    frame: Frame
    source: PhotoSource
    provenance: Mapping[str, Any]
    kind: type[F]
    closed: bool = False

    def close(self) -> None:
        """Ask no more; the photo is given back."""
        self.closed = True
        self.source.close()

    def check_open(self) -> None:
        """Raise ClosedError when the image was closed."""
        if self.closed:
            raise ClosedError("this image was closed: open it again to ask for more masks")

    async def masks(
        self, prompts: Sequence[Prompt], *, multimask: bool | str, limit: int | None, deadline: Deadline
    ) -> list[list[F]]:
        """For each prompt its masks, best predicted IoU first.

        Raises:
            PromptError: a prompt does not lie on the image, which is checked before any is sent. ClosedError.
        """
        self.check_open()
        for prompt in prompts:
            check_inside(prompt, self.frame)
        masks: list[list[F]] = []
        for start in range(0, len(prompts), _AT_ONCE):
            some = [await self._own(prompt, deadline) for prompt in prompts[start : start + _AT_ONCE]]
            answer = await self._ask(some, multimask=multimask, limit=limit, format="rle", deadline=deadline)
            for prompt, results in zip(some, answer.results, strict=True):
                masks.append([self._mask(prompt, multimask, result, answer.provenance) for result in results])
        return masks

    async def logits_of(self, kept: Kept, deadline: Deadline | None = None) -> np.ndarray:
        """(256, 256) float32 logits of a mask of this image: asked for once, by asking its question again."""
        if kept.logits is None:
            deadline = deadline or self.link.deadline()
            answer = await self._ask(
                [kept.prompt], multimask=kept.multimask, limit=None, format="logits", deadline=deadline
            )
            kept.logits = self._logits(answer.results[0], kept.index)
        return kept.logits

    async def _ask(
        self, prompts: Sequence[Prompt], *, multimask: bool | str, limit: int | None, format: str, deadline: Deadline
    ) -> Answer:
        wish = {"multimask": multimask, "limit": limit, "format": format, "scale": "full"}
        try:
            answer = await self.place.post("/masks", self._body(prompts, wish), deadline)
        except ServiceError as error:
            lost = [prompt.previous.kept for prompt in prompts if isinstance(prompt.previous, FarMask)]
            if not lost or not is_mask_gone(error):
                raise
            for kept in lost:
                await _recall(kept, deadline)
            answer = await self.place.post("/masks", self._body(prompts, wish), deadline)
        return self._checked(answer, len(prompts))

    def _body(self, prompts: Sequence[Prompt], wish: Mapping[str, Any]) -> dict[str, Any]:
        return {"objects": [self._object(prompt) for prompt in prompts], **wish}

    def _object(self, prompt: Prompt) -> dict[str, Any]:
        return {
            "points": [list(point) for point in prompt.points],
            "labels": list(prompt.labels or ()),
            "box": None if prompt.box is None else list(prompt.box),
            "previous": self._previous(prompt),
        }

    def _previous(self, prompt: Prompt) -> str | dict[str, str] | None:
        """A mask of this image by its name, all others by their logits."""
        mask = prompt.previous
        if mask is None:
            return None
        if isinstance(mask, np.ndarray):
            return _inline(mask)
        assert isinstance(mask, FarMask), "_own leaves no others"
        if mask.kept.gone and mask.kept.logits is not None:
            return _inline(_in_frame(mask.kept.logits, mask.frame, self.frame))
        return mask.kept.mask_id

    async def _own(self, prompt: Prompt, deadline: Deadline) -> Prompt:
        """The prompt with an earlier mask that this image's server knows by name, or else its logits."""
        mask = prompt.previous
        if mask is None or isinstance(mask, np.ndarray):
            return prompt
        if isinstance(mask, FarMask) and mask.kept.home.link is self.link:
            if mask.kept.home.root is self.root and mask.kept.mask_id and mask.kept.depth < _LONGEST_CHAIN:
                return prompt
            logits = await mask.kept.home.logits_of(mask.kept, deadline)
        else:
            logits = mask.logits
        return replace(prompt, previous=_in_frame(logits, mask.frame, self.frame))

    def _checked(self, answer: Mapping[str, Any], count: int) -> Answer:
        results = answer.get("objects")
        if not isinstance(results, list) or len(results) != count or not all(map(_are_results, results)):
            raise ServiceError(f"{self.link.address} did not answer with masks for {count} prompts")
        return Answer(results, dict(answer.get("provenance") or self.provenance))

    def _mask(
        self, prompt: Prompt, multimask: bool | str, result: Mapping[str, Any], provenance: Mapping[str, Any]
    ) -> F:
        try:
            index, score, stability = int(result["index"]), float(result["score"]), float(result["stability"])
            runs, mask_id = result["rle"], result.get("mask_id")
        except (KeyError, TypeError, ValueError) as error:
            raise ServiceError(f"{self.link.address} answered with a mask that lacks a part: {error!r}") from None
        before = prompt.previous.kept.depth if isinstance(prompt.previous, FarMask) else 0
        kept = Kept(self, prompt, multimask, index, mask_id, before + 1)
        return self.kind(index=index, score=score, stability=stability, frame=self.frame, prompt=prompt,
                         provenance=provenance, source=self.source, runs=runs, kept=kept)  # fmt: skip

    def _logits(self, results: Results, index: int) -> np.ndarray:
        try:
            text = next(result["logits"] for result in results if result["index"] == index)
            flat = np.frombuffer(base64.b64decode(text, validate=True), "<f2")
            return flat.reshape(LOW_RES, LOW_RES).astype(np.float32)
        except (StopIteration, KeyError, TypeError, ValueError):
            raise ServiceError(f"{self.link.address} did not answer with a mask's logits") from None


def _are_results(results: object) -> bool:
    return isinstance(results, list) and len(results) > 0 and all(isinstance(result, dict) for result in results)


async def _recall(kept: Kept, deadline: Deadline) -> None:
    """Find a forgotten mask out again: all it goes back to is asked anew, the first click first."""
    if kept.logits is None:
        if isinstance(kept.prompt.previous, FarMask):
            await _recall(kept.prompt.previous.kept, deadline)
        await kept.home.logits_of(kept, deadline)
    kept.gone = True


def _inline(logits: np.ndarray) -> dict[str, str]:
    half = np.clip(logits, -_LARGEST, _LARGEST).astype("<f2")
    return {"logits": base64.b64encode(half.tobytes()).decode()}


def _in_frame(logits: np.ndarray, source: Frame, target: Frame) -> np.ndarray:
    """(256, 256) float32 as another window of the image sees them."""
    if source == target:
        return logits
    import torch  # only for this: most callers never need it

    return reproject(torch.from_numpy(logits), source, target).numpy()
