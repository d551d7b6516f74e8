"""All objects of an image on a server: what is asked, and the list that comes back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic

import numpy as np

from ...models.errors import ServiceError, SettingsError
from ...models.frame import Frame
from ..everything.options import Choice, Search, build, split
from ..prompts import Prompt
from .deadline import Deadline
from .events import HearingError
from .masks import Kept
from .questions import F, Questions

LONGEST = 600.0  # seconds, as servers have it by themselves

OnProgress = Callable[[int, int], object]


class RemoteFound(list[F], Generic[F]):
    """Masks, the largest first; what `OpenImage.everything` gives in process.

    parents: for each mask the number of the smallest larger one that it lies in, or None. is_complete: whether
    everything was looked at, or the time was over. points: how many points were asked. size: (width, height).
    """

    def __init__(
        self,
        masks: Iterable[F],
        parents: list[int | None],
        size: tuple[int, int],
        *,
        is_complete: bool = True,
        points: int = 0,
    ) -> None:
        super().__init__(masks)
        self.parents, self.size, self.is_complete, self.points = parents, size, is_complete, points


def wishes(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options by name as the server takes them, checked as in process. Raises SettingsError."""
    search, choice = split(options)
    if search.get("max_memory") is not None:
        raise SettingsError("max_memory: the server's memory is the server's own setting; leave it out")
    search.pop("max_memory", None)
    build(Search, search)
    build(Choice, choice)
    plain = {name: value.item() if isinstance(value, np.generic) else value for name, value in options.items()}
    plain.pop("max_memory", None)
    if plain.get("point_grids") is not None:
        plain["point_grids"] = [np.asarray(grid, float).tolist() for grid in plain["point_grids"]]
    return plain


async def find(
    asked: Questions[F],
    home_of: Callable[[Frame], Questions[F]],
    wish: Mapping[str, Any],
    progress: OnProgress | None,
    deadline: Deadline,
) -> RemoteFound[F]:
    """Ask for everything. home_of: whom to ask about a part of the image."""

    def hear(name: str, data: bytes) -> None:
        if name == "progress" and progress is not None:
            told = json.loads(data)
            progress(int(told["done"]), int(told["total"]))

    try:
        answer = await asked.place.post("/everything", {**wish, "format": "rle"}, deadline, hear)
    except HearingError as failure:
        raise failure.error from None
    try:
        return _read(asked, home_of, answer)
    except (KeyError, TypeError, ValueError) as error:
        raise ServiceError(f"{asked.link.address} did not answer with a list of masks: {error!r}") from None


def _read(asked: Questions[F], home_of: Callable[[Frame], Questions[F]], answer: Mapping[str, Any]) -> RemoteFound[F]:
    homes: dict[Frame, Questions[F]] = {asked.frame: asked}
    masks = [_mask(asked, homes, home_of, told, answer) for told in answer["masks"]]
    parents = [None if told["parent"] is None else int(told["parent"]) for told in answer["masks"]]
    size = asked.frame.width, asked.frame.height
    return RemoteFound(masks, parents, size, is_complete=bool(answer["complete"]), points=int(answer["points"]))


def _mask(
    asked: Questions[F],
    homes: dict[Frame, Questions[F]],
    home_of: Callable[[Frame], Questions[F]],
    told: Mapping[str, Any],
    answer: Mapping[str, Any],
) -> F:
    x0, y0, x1, y1 = map(int, told["crop"])
    frame = Frame(asked.frame.width, asked.frame.height, (x0, y0, x1, y1))
    if frame not in homes:
        homes[frame] = home_of(frame)
    x, y = told["point"]
    prompt, index = Prompt(points=[(float(x), float(y))]), int(told["index"])
    return asked.kind(
        index=index,
        score=float(told["score"]),
        stability=float(told["stability"]),
        frame=frame,
        prompt=prompt,
        provenance=dict(answer.get("provenance") or asked.provenance),
        source=asked.source,
        runs=told["rle"],
        kept=Kept(homes[frame], prompt, True, index, None, 1),
    )
