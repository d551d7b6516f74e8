"""From a mask to its answer on the wire, at the wanted scale and in the wanted format."""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from ...models.frame import MODEL_SIDE, Frame, upsample, upsample_to
from .. import cutouts, polygons, rle
from ..cleaning import clean
from ..formats.encoding import encode_png
from ..images import Picture
from ..masks import STABILITY_OFFSET, Mask
from ..refine.spots import Spot
from .schemas import MasksRequest

DIGITS = 5  # of scores
_LIGHT_PIXELS = 2_000_000


@dataclass(frozen=True)
class Wanted:
    """How results are to look; the fields are those of `MasksRequest`."""

    format: str
    scale: str
    limit: int | None
    specks: float
    holes: float
    pad: int
    feather: float

    @staticmethod
    def of(request: MasksRequest) -> Wanted:
        """What a request wants."""
        return Wanted(
            request.format,
            request.scale,
            request.limit,
            request.clean.specks,
            request.clean.holes,
            request.pad,
            request.feather,
        )

    def is_light(self, frame: Frame) -> bool:
        """Whether a result is a matter of some milliseconds, so that another thread for it would cost more."""
        return self._is_small(frame) and self.format in ("rle", "logits")

    def is_preview(self, frame: Frame) -> bool:
        """Whether it may be asked for at every move of a mouse: small, and of the mask alone."""
        return self._is_small(frame) and self.format != "cutout"

    def _is_small(self, frame: Frame) -> bool:
        return self.scale == "model" or frame.width * frame.height <= _LIGHT_PIXELS


@dataclass(frozen=True, eq=False)
class Raster:
    """A mask as pixels, (h, w) bool, spread over a box (x0, y0, x1, y1) of the image."""

    pixels: np.ndarray
    box: tuple[int, int, int, int]

    @property
    def step(self) -> tuple[float, float]:
        """Image pixels to a raster pixel, x and y."""
        height, width = self.pixels.shape
        x0, y0, x1, y1 = self.box
        return (x1 - x0) / width, (y1 - y0) / height

    def pixel(self, x: float, y: float) -> tuple[int, int]:
        """(column, row) of the raster's pixel that a point of the image lies in."""
        height, width = self.pixels.shape
        across, down = self.step
        column, row = int((x - self.box[0]) / across), int((y - self.box[1]) / down)
        return min(column, width - 1), min(row, height - 1)


def raster_place(frame: Frame, scale: str) -> dict[str, Any]:
    """Columns, rows and box of the rasters of all masks of a frame."""
    if scale == "full":
        return {"width": frame.width, "height": frame.height, "box": (0, 0, frame.width, frame.height)}
    width, height = _model_size(frame)
    return {"width": width, "height": height, "box": frame.window}


def describe(mask: Mask, wanted: Wanted, picture: Picture | None = None) -> dict[str, Any]:
    """One result, without its `mask_id`. picture: needed for a cutout."""
    scale = "full" if wanted.format == "cutout" else wanted.scale  # a cutout has the photo's own pixels
    raster, stability = _rasterise(replace(mask), scale)  # a copy: the mask itself keeps no pixels
    if wanted.specks or wanted.holes:
        clicked = [raster.pixel(*point) for point in mask.prompt.points]
        raster = replace(raster, pixels=clean(raster.pixels, wanted.specks, wanted.holes, clicked))
    runs = rle.encode(raster.pixels)
    across, down = raster.step
    return {
        "index": mask.index,
        "score": round(mask.score, DIGITS),
        "stability": round(stability, DIGITS),
        "area": round(rle.area(runs) * across * down),
        "box": _image_box(rle.box(runs), raster),
        wanted.format: _formatted(mask, wanted, raster, runs, picture),
    }


def _formatted(mask: Mask, wanted: Wanted, raster: Raster, runs: rle.Rle, picture: Picture | None) -> Any:
    if wanted.format == "rle":
        return runs
    if wanted.format == "logits":
        return encode_logits(mask.logits)
    if wanted.format != "cutout":
        return draw(raster, wanted.format)
    assert picture is not None, "a cutout needs the photo"
    if not raster.pixels.any():
        return None
    return _text(encode_png(cutouts.cutout(picture.pixels, raster.pixels, wanted.pad, wanted.feather)))


def draw(raster: Raster, format: str) -> Any:
    """A mask as "polygons" (rings in the image's frame) or "png" (black and white, in base64)."""
    return _rings(raster) if format == "polygons" else _text(encode_png(raster.pixels.astype(np.uint8) * 255))


def encode_logits(logits: np.ndarray) -> str:
    """(256, 256) float32 low-res logits as base64 of float16, little endian."""
    return _text(half(logits).tobytes())


def decode_logits(text: str) -> np.ndarray:
    """(256, 256) float32 from `encode_logits`' text. Raises ValueError for anything else."""
    return np.frombuffer(base64.b64decode(text, validate=True), "<f2").reshape(256, 256).astype(np.float32)


def half(logits: np.ndarray) -> np.ndarray:
    """(256, 256) float16: what the server keeps and sends of low-res logits."""
    return np.clip(logits, -65504, 65504).astype("<f2")


def _rasterise(mask: Mask, scale: str) -> tuple[Raster, float]:
    """The mask's pixels and its stability score at that scale."""
    frame = mask.frame
    if scale == "full":
        return Raster(mask.pixels, (0, 0, frame.width, frame.height)), mask.stability
    low_res = torch.from_numpy(mask.shown_logits)[None]
    size = _model_size(frame)
    logits = upsample(low_res, frame) if size == frame.window_size else upsample_to(low_res, size, size)
    values = logits[0].numpy()
    union = np.count_nonzero(values > -STABILITY_OFFSET)
    stability = np.count_nonzero(values > STABILITY_OFFSET) / union if union else 0.0
    raster = Raster(values > 0, frame.window)
    for spot in mask.spots:
        spot.scaled(raster.box[:2], raster.step).paint(raster.pixels)
    if mask.provenance.get("refine", "off") != "off":
        _obey(raster, mask)
    return raster, stability


def _obey(raster: Raster, mask: Mask) -> None:
    """A click that is respected by its own pixel of the image may not be by the raster's, whose middle lies elsewhere:
    where nothing speaks against it, that pixel and those beside it are as the click says."""
    places = [raster.pixel(*point) for point in mask.prompt.points]
    clicks = list(zip(places, mask.prompt.labels or (), strict=True))
    for (column, row), label in clicks:
        others = [place for place, kind in clicks if kind != label]
        nearest = min((math.dist((column, row), place) for place in others), default=math.inf)
        if nearest and bool(raster.pixels[row, column]) != bool(label):
            Spot(column, row, label, min(1.0, nearest / 2 - 1e-6)).paint(raster.pixels)


def _model_size(frame: Frame) -> tuple[int, int]:
    """(width, height) of rasters at scale model: the model frame's, or the window's own where that is smaller."""
    return frame.scaled_size if max(frame.window_size) > MODEL_SIDE else frame.window_size


def _image_box(box: tuple[int, int, int, int] | None, raster: Raster) -> tuple[int, int, int, int] | None:
    if box is None:
        return None
    across, down = raster.step
    left, top, right, bottom = raster.box
    x0, y0 = left + math.floor(box[0] * across), top + math.floor(box[1] * down)
    return x0, y0, min(right, left + math.ceil(box[2] * across)), min(bottom, top + math.ceil(box[3] * down))


def _rings(raster: Raster) -> list[list[list[list[float]]]]:
    parts = polygons.to_polygons(raster.pixels)
    if raster.step == (1.0, 1.0) and raster.box[:2] == (0, 0):
        return [[ring.tolist() for ring in rings] for rings in parts]
    return [[(ring * raster.step + raster.box[:2]).round(2).tolist() for ring in rings] for rings in parts]


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
