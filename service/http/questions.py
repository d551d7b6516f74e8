"""From a request's objects to prompts, checked against the image they are about; errors name the field."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from ...models.errors import PromptError
from ...models.frame import Frame, reproject
from ..prompts import Prompt, to_tensors
from ..refine.law import check_pixels
from .answers import decode_logits
from .errors import ApiError, from_clickmask
from .schemas import InlineLogits, MasksRequest, ObjectPrompt
from .settings import Limits
from .store import Entry, KeptMask, Store

M = TypeVar("M", bound=BaseModel)

_MOST_COMMAS = 500_000  # in a body: so long as a list takes a tenth of a second to read

_TYPES = ("bool", "int", "str", InlineLogits.__name__)  # as pydantic names them in the place of an error
_LONGEST_NAME = 60  # of a field the caller made up
_MOST_ERRORS = 1000  # described one by one, a million of them would take a gigabyte


@dataclass(frozen=True, eq=False)
class Question:
    """One object's prompt. text: the same for the same question, for its answers' ids. multimask: three candidates.

    refine: "off", "clicks" or "edges".
    """

    prompt: Prompt
    text: str
    multimask: bool
    refine: str


def parse(model: type[M], body: bytes) -> M:
    """A request's JSON. Raises ApiError: 400 when it is no JSON, 422 naming the first field that is wrong."""
    if body.count(b",") > _MOST_COMMAS:
        message = f"expected at most {_MOST_COMMAS} values; more would hold up everybody else"
        raise ApiError(413, "body_too_large", message)
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        if error.error_count() > _MOST_ERRORS:
            raise ApiError(422, "bad_request", f"the body: {error.error_count()} values are wrong") from None
        first = _deepest(error.errors(include_url=False, include_context=False, include_input=False))
        if first["type"] == "json_invalid":
            raise ApiError(400, "bad_json", f"the body is not JSON: {first['msg']}") from None
        field = _field(first["loc"])
        raise ApiError(422, "bad_request", f"{field or 'the body'}: {first['msg']}", field=field or None) from None
    except RecursionError:
        raise ApiError(400, "bad_json", "the body is nested too deep") from None


def questions(request: MasksRequest, entry: Entry, store: Store, limits: Limits, refine: str) -> list[Question]:
    """A question for each object. Raises ApiError 422 (or, for a `previous` that is not here, 410 or 404).

    refine: what the server does where a request says nothing.
    """
    if len(request.objects) > limits.prompts:
        message = f"objects: {len(request.objects)} of them, at most {limits.prompts} in a request"
        raise ApiError(422, "too_many", message, field="objects")
    refine = _refine(request, refine)
    return [
        question(item, entry, store, limits, multimask=request.multimask, refine=refine, prefix=f"objects[{number}].")
        for number, item in enumerate(request.objects)
    ]


def _refine(request: MasksRequest, default: str) -> str:
    """What is made of the decoder's masks: nothing while hovering; edges where the photo's own pixels are wanted."""
    if request.stream is not None:
        return "off"
    how = request.refine
    if how == "auto":
        how = "edges" if default == "views" else default  # which would keep others waiting
        how = "clicks" if how == "edges" and request.format == "logits" else how  # which have no edges
    if how != "edges" or request.scale == "full" or request.format == "cutout":
        return how
    if request.refine == "edges":
        raise ApiError(422, "bad_request", "refine: edges are those of the photo: ask at scale full", field="refine")
    return "clicks"


def question(
    item: ObjectPrompt,
    entry: Entry,
    store: Store,
    limits: Limits,
    *,
    multimask: bool | str = "auto",
    refine: str,
    prefix: str = "",
) -> Question:
    """One object's question. Raises ApiError as `questions` does. prefix: of its fields, in the request."""
    if len(item.points) > limits.points:
        message = f"{prefix}points: {len(item.points)} of them, at most {limits.points} an object"
        raise ApiError(422, "too_many", message, field=f"{prefix}points")
    previous, name = _previous(item, f"{prefix}previous", entry, store)
    try:
        prompt = Prompt(item.points, item.labels, item.box, previous)
        to_tensors(prompt, entry.frame)  # says what lies outside
        if refine != "off":
            check_pixels(prompt)
    except PromptError as error:
        part = str(error).split(":")[0]
        raise from_clickmask(error, field=f"{prefix}{part}") from None
    wanted = prompt.is_ambiguous if multimask == "auto" else bool(multimask)
    text = repr((prompt.points, prompt.labels, prompt.box, name, wanted, refine))
    return Question(prompt, text, wanted, refine)


def _previous(item: ObjectPrompt, field: str, entry: Entry, store: Store) -> tuple[np.ndarray | None, str]:
    """(256, 256) float32 logits in the entry's frame, and a name for them."""
    if item.previous is None:
        return None, ""
    if isinstance(item.previous, InlineLogits):
        try:
            logits = decode_logits(item.previous.logits)
        except ValueError:
            message = f"{field}: expected base64 of 256 x 256 float16"
            raise ApiError(422, "bad_prompt", message, field=field) from None
        return logits, hashlib.sha256(logits.tobytes()).hexdigest()
    kept = store.masks.get(item.previous, entry.caller)
    if not isinstance(kept, KeptMask):
        error = store.keys.check(item.previous, entry.caller, "mask_gone")
        raise ApiError(error.status, error.code, error.message, field=field)
    if kept.root != entry.root.key:
        raise ApiError(422, "bad_prompt", f"{field}: a mask of another image", field=field)
    return _in_frame(kept, entry.frame), item.previous


def _in_frame(kept: KeptMask, frame: Frame) -> np.ndarray:
    logits = kept.logits.astype(np.float32)
    if kept.frame == frame:
        return logits
    return reproject(torch.from_numpy(logits), kept.frame, frame).numpy()


def _deepest(errors: Sequence[ErrorDetails]) -> ErrorDetails:
    """The first error, or of a value that fits none of several types the one that got furthest."""
    field = _field(errors[0]["loc"])
    return max((one for one in errors[:4] if _field(one["loc"]).startswith(field)), key=lambda one: len(one["loc"]))


def _field(place: tuple[int | str, ...]) -> str:
    """("objects", 0, "points", 1) -> "objects[0].points[1]"; parts that name a type are left out."""
    text = ""
    for part in place:
        if isinstance(part, int):
            text += f"[{part}]"
        elif part.isidentifier() and part not in _TYPES:
            text += f".{part[:_LONGEST_NAME]}" if text else part[:_LONGEST_NAME]
    return text
