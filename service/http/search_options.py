"""From a request for everything to a search and a choice, checked; errors name the field."""

from __future__ import annotations

import re
from collections.abc import Hashable
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import numpy as np

from ...models.errors import SettingsError
from ...models.frame import Frame
from ..everything.options import Choice, Search
from .errors import ApiError
from .everything_schemas import MOST_GRID_POINTS, EverythingRequest

T = TypeVar("T")

MOST_POINTS = 1 << 16  # of a search, in crops and tiles too: what a quick machine asks within the time there is
_FLOORS = ("floor_score", "floor_stability")


@dataclass(frozen=True, eq=False)
class Asked:
    """A request for everything. key: the same for the same search, but for its floors."""

    search: Search
    choice: Choice
    key: Hashable
    format: str
    scale: str

    @staticmethod
    def of(request: EverythingRequest) -> Asked:
        """What a request asks. Raises ApiError 422."""
        options = request.model_dump(exclude={"format", "scale", "stream"})
        choice = _build(Choice, options)
        options |= _floors(request, choice)
        if request.point_grids is None and "points_per_side" not in request.model_fields_set:
            options["points_per_side"] = 32
        if request.point_grids is not None:
            _check_count(sum(map(len, request.point_grids)), MOST_GRID_POINTS, "point_grids")
            options["point_grids"] = [np.array(grid, float).reshape(-1, 2) for grid in request.point_grids]
        search = _build(Search, options)
        return Asked(search, choice, _key(search), request.format, request.scale)

    def check_size(self, frame: Frame) -> None:
        """Raise ApiError 422 where it would ask too many points of an image."""
        search = self.search
        name = "point_grids" if search.points_per_side is None else "points_per_side"
        if search.tile_for(frame.window_size) is not None:
            name = "tiles"
        elif search.crop_n_layers:
            name = "crop_n_layers"
        _check_count(search.most_points(frame.window_size), MOST_POINTS, name)

    def is_answered_by(self, kept: Search) -> bool:
        """Whether the finds of that search, of the same key, hold all that this one would choose from."""
        own, other = self.search, kept
        if own.adaptive and (own.floor_score, own.floor_stability) != (other.floor_score, other.floor_stability):
            return False  # where it looked closer depends on what it kept in mind
        choice = self.choice
        return other.floor_score <= choice.pred_iou_thresh and other.floor_stability <= choice.stability_score_thresh


def _floors(request: EverythingRequest, choice: Choice) -> dict[str, float]:
    """Those asked for, or the usual ones where the thresholds are not lower."""
    defaults = Search()
    floors = {}
    for name, least, threshold, field in (
        ("floor_score", request.floor_score, choice.pred_iou_thresh, "pred_iou_thresh"),
        ("floor_stability", request.floor_stability, choice.stability_score_thresh, "stability_score_thresh"),
    ):
        if least is not None and threshold < least:
            message = f"{field}: expected {name} ({least:g}) or more, got {threshold:g}"
            raise ApiError(422, "bad_request", message, field=field)
        floors[name] = min(getattr(defaults, name), threshold) if least is None else least
    return floors


def _build(kind: type[T], options: dict[str, Any]) -> T:
    names = [field.name for field in fields(kind)]  # pyright: ignore[reportArgumentType]
    try:
        return kind(**{name: options[name] for name in names if name in options})
    except SettingsError as error:
        found = re.match(r"\w+(\[\d+\])?", str(error))
        raise ApiError(422, "bad_request", str(error), field=found[0] if found else None) from None


def _check_count(count: int, most: int, field: str) -> None:
    if count > most:
        message = f"{field}: {count} points in all, crops and tiles included, at most {most}"
        raise ApiError(422, "too_many", message, field=field)


def _key(search: Search) -> Hashable:
    grids = None if search.point_grids is None else tuple(grid.tobytes() for grid in search.point_grids)
    rest = (field.name for field in fields(search) if field.name not in (*_FLOORS, "point_grids"))
    return grids, tuple((name, getattr(search, name)) for name in rest)
