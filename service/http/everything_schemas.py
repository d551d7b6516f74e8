"""The wire of everything-mode: what a search may be asked for, and how its finds look, in JSON."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from .schemas import Raster, Real, RleAnswer

MOST_GRID_POINTS = 4096  # of all point_grids together
MOST_GRIDS = 8

Number = Annotated[int, Field(strict=True)]
Share = Annotated[float, Field(strict=True, allow_inf_nan=False)]
UnitXY = tuple[Real, Real]
Grid = Annotated[list[UnitXY], Field(max_length=MOST_GRID_POINTS, fail_fast=True)]


class EverythingRequest(BaseModel):
    """Ask for all objects of an image. Names and defaults are those of `OpenImage.everything` and so, where it has
    them, of segment_anything's SamAutomaticMaskGenerator.

    The floors say how low scores may be that the server keeps in mind: with the same search and thresholds not below
    the floors, the next request is answered from that, without the model.
    """

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"points_per_side": 16},
                {"points_per_side": 16, "pred_iou_thresh": 0.8, "stability_score_thresh": 0.9, "scale": "model"},
            ]
        },
    )

    points_per_side: Number | None = Field(
        default=None, description="of the grid; 32 where neither this nor point_grids is given"
    )
    point_grids: Annotated[list[Grid], Field(min_length=1, max_length=MOST_GRIDS)] | None = Field(
        default=None, description="grids instead: (x, y) in 0 to 1; one for the image and one for each layer of crops"
    )
    crop_n_layers: Number = Field(default=0, description="layers of crops that are looked at too")
    crop_overlap_ratio: Share = Field(default=512 / 1500, description="what crops share with their neighbours")
    crop_n_points_downscale_factor: Number = Field(default=1, description="fewer points in each next layer")
    stability_score_offset: Share = Field(default=1.0, description="in logits")
    adaptive: bool = Field(default=False, description="a coarse grid first, then the points not covered: quicker")
    tiles: Number | Literal["auto"] | None = Field(
        default=None, description="pixels a side of tiles looked at at full resolution; auto: 1024, of large images"
    )
    tile_halo: Share = Field(default=0.25, description="the share of a tile that its neighbours see too")
    whole: bool = Field(default=True, description="with tiles: look at the image as a whole too")
    floor_score: Share | None = Field(
        default=None, description="what is kept in mind; 0.7, or pred_iou_thresh where that is lower"
    )
    floor_stability: Share | None = Field(
        default=None, description="the same of stability; 0.8, or stability_score_thresh where that is lower"
    )

    pred_iou_thresh: Share = Field(default=0.88, description="masks have more predicted IoU than this")
    stability_score_thresh: Share = Field(default=0.95, description="and at least this stability")
    box_nms_thresh: Share = Field(default=0.7, description="masks whose boxes have a greater IoU are one thing")
    crop_nms_thresh: Share = Field(default=0.7, description="the same between crops")
    dedup: Literal["box", "mask"] = Field(default="box", description="mask: then also by the masks' own pixels")
    mask_nms_thresh: Share = Field(default=0.8, description="with dedup mask: the greatest IoU of two masks")
    contained: Share = Field(default=0.9, description="with dedup mask: the greatest share of one in a better one")
    min_mask_region_area: Number = Field(default=0, description="smaller holes are filled, smaller islands removed")
    specks: Share = Field(default=0.0, description="parts below this share of a mask's area are removed")
    holes: Share = Field(default=0.0, description="and holes filled")
    min_area: Number = Field(default=0, description="smaller masks go")
    non_overlapping: bool | Literal["area", "score"] = Field(
        default=False, description="each pixel in one mask: area (or true), of several the smallest; score, the best"
    )

    format: Literal["rle", "polygons", "png"] = "rle"
    scale: Literal["full", "model"] = Field(
        default="full", description="model: rasters with their longer side at most 1024; area and box are exact in both"
    )
    stream: bool = Field(
        default=False, description="answer with events, as `Accept: text/event-stream` does: progress, then the result"
    )


class FoundAnswer(BaseModel):
    """One of the masks; of rle, polygons and png the one that was asked for is there."""

    index: int = Field(description="the decoder's order, 0 to 2, of the three candidates for its point")
    score: float = Field(description="predicted IoU")
    stability: float = Field(description="stability score")
    area: int = Field(description="pixels of the image")
    box: tuple[int, int, int, int] = Field(description="in the image's frame")
    point: tuple[float, float] = Field(description="(x, y) of the point that found it")
    crop: tuple[int, int, int, int] = Field(description="the part of the image in which it was found")
    parent: int | None = Field(description="the place in this list of the smallest larger mask it lies in")
    rle: RleAnswer | None = None
    polygons: list[list[list[tuple[float, float]]]] | None = Field(
        default=None, description="parts, each an outer ring and its holes, in the image's frame"
    )
    png: str | None = Field(default=None, description="the mask, black and white, in base64")


class EverythingAnswer(BaseModel):
    """All that was found, the largest first."""

    masks: list[FoundAnswer]
    complete: bool = Field(description="false: the time was over before everything was looked at")
    points: int = Field(description="how many points were asked")
    raster: Raster
    provenance: dict[str, Any] | None = Field(default=None, description="model and settings; at scale full")
