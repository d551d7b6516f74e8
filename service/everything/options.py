"""What can be asked of everything-mode: where to look (`Search`), and what of the finds to keep (`Choice`)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypedDict, TypeVar

import numpy as np

from ...models.errors import SettingsError
from .grids import Crop, crops_of, layer_grids, tile_count, tiles_of

T = TypeVar("T")

LEAST_TILE = 64  # pixels
AUTO_TILE = 1024  # pixels: nothing is scaled
WORTH_TILES = 1.5  # times AUTO_TILE: from this longer side on "auto" means tiles
ORDERS = ("area", "score")
FLOORS = {"floor_score": "pred_iou_thresh", "floor_stability": "stability_score_thresh"}
LARGEST = float(np.finfo(np.float32).max)


class SearchOptions(TypedDict, total=False):
    """The fields of `Search`, by name."""

    points_per_side: int | None
    point_grids: Sequence[np.ndarray] | None
    crop_n_layers: int
    crop_overlap_ratio: float
    crop_n_points_downscale_factor: int
    stability_score_offset: float
    adaptive: bool
    tiles: int | str | None
    tile_halo: float
    whole: bool
    floor_score: float
    floor_stability: float
    max_memory: int | None


class ChoiceOptions(TypedDict, total=False):
    """The fields of `Choice`, by name."""

    pred_iou_thresh: float
    stability_score_thresh: float
    box_nms_thresh: float
    crop_nms_thresh: float
    dedup: str
    mask_nms_thresh: float
    contained: float
    min_mask_region_area: int
    specks: float
    holes: float
    min_area: int
    non_overlapping: bool | str


class Options(SearchOptions, ChoiceOptions, total=False):
    """Both."""


@dataclass(frozen=True, eq=False)
class Search:
    """Where to look, and how low a candidate's scores may be to be kept in mind. Names and defaults are
    segment_anything's where it has them.

    points_per_side: of the grid; the image gets its square of points. point_grids: explicit grids instead, (N, 2) in
    0..1, one for the image and one for each layer of crops (or one for the tiles); exactly one of the two.
    crop_n_layers: layers of crops that are looked at too, 4^n crops in layer n. crop_overlap_ratio,
    crop_n_points_downscale_factor: of them.
    stability_score_offset: logits.
    adaptive: every second point in every second row first, then of the others those that no small find covers yet:
    quicker, and it misses a little (tests/service/everything/test_recall.py).
    tiles: pixels a side of tiles that are looked at at full resolution, or "auto" (1024, for images over 1536): for
    huge images and small objects. tile_halo: the share of a tile that neighbours see too. What a tile's edge cuts is
    joined with its other half. whole: look at the image as a whole too.
    floor_score, floor_stability: a candidate needs more predicted IoU and at least as much stability.
    max_memory: bytes this may take beyond the model and the photo; None for no limit.

    Raises:
        SettingsError: a value makes no sense; the message names it.
    """

    points_per_side: int | None = 32
    point_grids: Sequence[np.ndarray] | None = None
    crop_n_layers: int = 0
    crop_overlap_ratio: float = 512 / 1500
    crop_n_points_downscale_factor: int = 1
    stability_score_offset: float = 1.0
    adaptive: bool = False
    tiles: int | str | None = None
    tile_halo: float = 0.25
    whole: bool = True
    floor_score: float = 0.7
    floor_stability: float = 0.8
    max_memory: int | None = None

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        if (self.points_per_side is None) == (self.point_grids is None):
            raise SettingsError("points_per_side, point_grids: give exactly one of them (the other is None)")
        _whole("crop_n_layers", self.crop_n_layers, 0, 6)
        if self.points_per_side is not None:
            _whole("points_per_side", self.points_per_side, 1, 1024)
        if self.point_grids is not None:
            self._check_grids(self.point_grids)
        _whole("crop_n_points_downscale_factor", self.crop_n_points_downscale_factor, 1, 1024)
        _number("crop_overlap_ratio", self.crop_overlap_ratio, 0, 1)
        _number("tile_halo", self.tile_halo, 0, 0.5)
        for name in ("stability_score_offset", "floor_score", "floor_stability"):
            _number(name, getattr(self, name), 0, LARGEST)
        for name in ("adaptive", "whole"):
            _flag(name, getattr(self, name))
        if self.tiles is not None and not (isinstance(self.tiles, str) and self.tiles == "auto"):
            _whole("tiles", self.tiles, LEAST_TILE, 1 << 16, ' or "auto"')
        if self.max_memory is not None:
            _whole("max_memory", self.max_memory, 1, 1 << 50, " (bytes)")
        self._check_together()

    def _check_together(self) -> None:
        if self.tiles is not None and self.crop_n_layers:
            raise SettingsError("tiles, crop_n_layers: give one of them; tiles look closer, and so do crops")
        if not self.whole and self.tiles is None:
            raise SettingsError("whole=False leaves nothing to look at without tiles")
        if self.adaptive and self.point_grids is not None:
            raise SettingsError("adaptive: only with points_per_side; point_grids say themselves where to look")

    def _check_grids(self, grids: Sequence[np.ndarray]) -> None:
        is_list = isinstance(grids, Sequence) and not isinstance(grids, str | bytes)
        if not is_list or len(grids) < self.crop_n_layers + 1:
            raise SettingsError(f"point_grids: expected a list of {self.crop_n_layers + 1} arrays, one for each layer")
        for number, grid in enumerate(grids):
            if not _is_grid(grid):
                raise SettingsError(f"point_grids[{number}]: expected an (N, 2) array of x y in 0..1")

    def grids(self) -> list[np.ndarray]:
        """(N, 2) x y in 0..1 each: the points in the image, and in each layer of crops."""
        if self.point_grids is not None:
            return [np.asarray(grid, float) for grid in self.point_grids]
        assert self.points_per_side is not None
        return layer_grids(self.points_per_side, self.crop_n_layers, self.crop_n_points_downscale_factor)

    def plan(self, size: tuple[int, int]) -> list[Crop]:
        """The parts of an image of this size (width, height) to look at, with the points in each."""
        grids, tile = self.grids(), self.tile_for(size)
        if tile is None:
            return crops_of(size, grids, self.crop_n_layers, self.crop_overlap_ratio)
        whole = crops_of(size, grids, 0, 0) if self.whole else []
        return whole + tiles_of(size, grids[0], tile, round(tile * self.tile_halo))

    def most_points(self, size: tuple[int, int]) -> int:
        """How many points `plan` has at most, reckoned without making them; a crop without points counts as one."""
        if self.point_grids is not None:
            counts = [len(grid) for grid in self.point_grids]
        else:
            assert self.points_per_side is not None
            sides = [
                self.points_per_side // self.crop_n_points_downscale_factor**n for n in range(self.crop_n_layers + 1)
            ]
            counts = [side**2 for side in sides]
        tile = self.tile_for(size)
        if tile is None:
            return sum(4**layer * max(1, count) for layer, count in enumerate(counts[: self.crop_n_layers + 1]))
        return max(1, counts[0]) * (self.whole + tile_count(size, tile, round(tile * self.tile_halo)))

    def coarse_side(self, crop: Crop) -> int:
        """Points a side that an adaptive search asks first in a crop, every second of its grid; 0 where it is none."""
        return (math.isqrt(len(crop.grid)) + 1) // 2 if self.adaptive else 0

    def tile_for(self, size: tuple[int, int]) -> int | None:
        """Pixels a side of the tiles for an image of this size; None for none."""
        if isinstance(self.tiles, str):
            return AUTO_TILE if max(size) > WORTH_TILES * AUTO_TILE or not self.whole else None
        return None if self.tiles is None else int(self.tiles)


@dataclass(frozen=True, eq=False)
class Choice:
    """What of the finds to keep. Names and defaults are segment_anything's where it has them.

    pred_iou_thresh, stability_score_thresh: what a mask needs of both. box_nms_thresh, crop_nms_thresh: two masks
    whose boxes have a greater IoU are one thing, within a crop and between crops.
    dedup: "box", as segment_anything does it; "mask" goes on from there by the masks' own pixels: those go whose IoU
    with a better one is above mask_nms_thresh, or that lie in it by a share of more than `contained`.
    min_mask_region_area: pixels; smaller holes are filled and smaller islands removed. specks, holes: the same as
    shares of each mask's area, see `Mask.clean`. min_area: pixels, smaller masks go.
    non_overlapping: each pixel belongs to one mask: "area", of several the smallest, or "score", the best.

    Raises:
        SettingsError: a value makes no sense; the message names it.
    """

    pred_iou_thresh: float = 0.88
    stability_score_thresh: float = 0.95
    box_nms_thresh: float = 0.7
    crop_nms_thresh: float = 0.7
    dedup: str = "box"
    mask_nms_thresh: float = 0.8
    contained: float = 0.9
    min_mask_region_area: int = 0
    specks: float = 0.0
    holes: float = 0.0
    min_area: int = 0
    non_overlapping: bool | str = False

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        for name in ("pred_iou_thresh", "stability_score_thresh"):
            _number(name, getattr(self, name), 0, LARGEST)
        for name in ("box_nms_thresh", "crop_nms_thresh", "mask_nms_thresh", "contained", "specks", "holes"):
            _number(name, getattr(self, name), 0, 1)
        for name in ("min_mask_region_area", "min_area"):
            _whole(name, getattr(self, name), 0, 1 << 50, " (pixels)")
        if not isinstance(self.dedup, str) or self.dedup not in ("box", "mask"):
            raise SettingsError(f'dedup={self.dedup!r} is unknown; use "box" or "mask"')
        wish = self.non_overlapping
        if wish not in ORDERS if isinstance(wish, str) else not isinstance(wish, bool | np.bool_):
            raise SettingsError(f'non_overlapping={self.non_overlapping!r} is unknown; use True, "area" or "score"')

    @property
    def order(self) -> str | None:
        """Which of several masks gets a pixel: "area" or "score"; None when they may overlap."""
        if isinstance(self.non_overlapping, str):
            return self.non_overlapping
        return "area" if self.non_overlapping else None


def split(options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Options by name -> those of `Search` and those of `Choice`.

    Raises SettingsError for unknown ones, and for floors: whoever gives both says with the thresholds what is kept.
    """
    search, choice = ({field.name for field in fields(kind)} for kind in (Search, Choice))
    for name in options:
        if name not in search | choice:
            raise SettingsError(f"{name}: there is no such option; there are {', '.join(sorted(search | choice))}")
        if name in FLOORS:
            raise SettingsError(f"{name}: is an option of proposals; here {FLOORS[name]} says what is kept")
    return {n: v for n, v in options.items() if n in search}, {n: v for n, v in options.items() if n in choice}


def build(kind: type[T], options: Mapping[str, Any]) -> T:
    """A `Search` or a `Choice`. Raises SettingsError for unknown names."""
    known = [field.name for field in fields(kind)]  # pyright: ignore[reportArgumentType]
    for name in options:
        if name not in known:
            raise SettingsError(f"{name}: there is no such option here; there are {', '.join(known)}")
    return kind(**options)


def _whole(name: str, value: object, least: int, most: int, kind: str = "") -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not least <= value <= most:
        raise SettingsError(
            f"{name}: expected a whole number{kind}, at least {least} and at most {most}, got {value!r}"
        )


def _number(name: str, value: object, least: float, most: float) -> None:
    is_number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not is_number or not least <= value <= most:  # pyright: ignore[reportOperatorIssue]
        upper = "" if most == LARGEST else f" and at most {most}"
        raise SettingsError(f"{name}: expected a number, at least {least}{upper}, got {value!r}")


def _flag(name: str, value: object) -> None:
    if not isinstance(value, bool | np.bool_):
        raise SettingsError(f"{name}: expected True or False, got {value!r}")


def _is_grid(grid: object) -> bool:
    try:
        points = np.asarray(grid)
    except ValueError:  # rows of different lengths
        return False
    shape, kind = points.shape, points.dtype.kind
    return len(shape) == 2 and shape[1] == 2 and kind in "fiu" and bool(((points >= 0) & (points <= 1)).all())
