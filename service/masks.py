"""A mask: what the decoder said about one object, and everything that follows from it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, is_dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ..models.errors import ClosedError
from ..models.frame import Frame, upsample
from . import cleaning, cutouts, polygons, rle
from .files import write_atomic
from .formats import FORMATS, format_for, write
from .formats.encoding import encode_png
from .formats.result import ObjectResult, Result
from .images import Picture
from .once import kept_property
from .prompts import Prompt
from .refine.edges import sharpen
from .refine.spots import Spot
from .rle import Rle

if TYPE_CHECKING:  # masks that come from a server need not wait for torch
    from torch import Tensor

STABILITY_OFFSET = 1.0  # logits, as segment_anything's automatic mask generator has it


@dataclass(eq=False)
class PhotoSource:
    """The photo behind an image's masks, shared by all of them and given back when the image is closed."""

    width: int
    height: int
    picture: Picture | None
    why_missing: str = "the embedding was loaded without its image: pass image= to load_embedding"

    def get(self) -> Picture:
        """The picture. Raises ClosedError when it is not there, saying why."""
        if self.picture is None:
            raise ClosedError(f"this needs the photo's pixels, and {self.why_missing}")
        return self.picture

    def close(self) -> None:
        """Give the pixels back."""
        self.picture, self.why_missing = None, "the image was closed: open it again"


class BaseMask:
    """What every mask can do, wherever it was decoded; a dataclass that adds what it was made of.

    logits: (256, 256) float32 low-res logits of the encoded window, the decoder's own; > 0 is object.
    score: predicted IoU. index: its place in the decoder's answer (0 to 2 of three candidates, else 0).
    stability: stability score. frame: where the logits lie. prompt: what was asked. provenance: with which model and
    settings. source: the photo. cleaned: (H, W) bool, the pixels of a mask that was cleaned.
    """

    logits: np.ndarray
    score: float
    index: int
    stability: float
    frame: Frame
    prompt: Prompt
    provenance: Mapping[str, Any]
    source: PhotoSource
    cleaned: np.ndarray | None

    def _decoded(self) -> np.ndarray:
        """(H, W) bool, the decoder's own pixels."""
        raise NotImplementedError

    @kept_property
    def pixels(self) -> np.ndarray:
        """(H, W) bool, image frame; read-only."""
        pixels = self._decoded() if self.cleaned is None else self.cleaned
        pixels.setflags(write=False)
        return pixels

    @kept_property
    def box(self) -> tuple[int, int, int, int] | None:
        """(x0, y0, x1, y1) pixels, x1 and y1 exclusive; None when the mask is empty."""
        rows, columns = np.flatnonzero(self.pixels.any(1)), np.flatnonzero(self.pixels.any(0))
        if not len(rows):
            return None
        return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1

    @kept_property
    def area(self) -> int:
        """Pixels."""
        return int(np.count_nonzero(self.pixels))

    def rle(self) -> Rle:
        """COCO's compressed run lengths: {"size": [H, W], "counts": str}."""
        return rle.encode(self.pixels)

    def polygons(self, tolerance: float = 0.0) -> list[list[np.ndarray]]:
        """Parts, each an outer ring and its holes, as (N, 2) x y in the image frame; see `polygons.to_polygons`."""
        return polygons.to_polygons(self.pixels, tolerance)

    def cutout(self, pad: int = 0, feather: float = 0.0, *, soft: bool = False) -> np.ndarray:
        """(h, w, 4) uint8 RGBA, cropped to the mask's box grown by `pad` pixels; `feather` softens the edge by so many
        pixels, `soft` as hair, fur and blur want it, see `cutouts.cutout`.

        Raises:
            OutputError: the mask is empty. ClosedError: the photo's pixels are not there any more. PromptError: feather
            and soft. MissingExtraError: soft without the extra "matting".
        """
        return cutouts.cutout(self.source.get().pixels, self.pixels, pad, feather, soft=soft)

    def clean(self, specks: float = 0.0, holes: float = 0.0) -> Self:
        """The mask without parts, and with holes filled, that are smaller than these shares of its area.

        Those that were clicked on stay.

        Raises:
            PromptError: a share is not between 0 and 1.
        """
        assert is_dataclass(self)
        clicked = [(int(x), int(y)) for x, y in self.prompt.points]
        return replace(self, cleaned=cleaning.clean(self.pixels, specks, holes, clicked))

    def save(self, path: str | os.PathLike[str], format: str | None = None) -> None:
        """Write the mask: .png a black and white mask, .jpg the photo with the mask on it, .json the data.

        Args:
            format: "png", "cutout", "overlay", "json", "coco", "labelme", "sa1b", "amg" (a zip), "yolo", "labelmap",
                "geojson" or "csv" where the extension does not say enough.

        Raises:
            OutputError: an unknown extension or format, or a path that cannot be written.
            ClosedError: the format shows the photo, which is not there any more.
        """
        if FORMATS[format_for(path, format)].needs_photo:
            self.source.get()
        write_atomic(path, write(to_result([self], self.source, self.provenance), path, format))

    def _repr_png_(self) -> bytes:
        """A notebook's view: the photo with the mask on it, or the mask alone without the photo."""
        if self.source.picture is None:
            return encode_png(self.pixels.astype(np.uint8) * 255)
        return encode_png(preview(cutouts.overlay(self.source.picture.pixels, [self.pixels])))

    def _as_object(self, number: int) -> ObjectResult:
        prompt = self.prompt.describe()
        return ObjectResult(self.pixels, self.score, self.stability, number, None, prompt, self.frame.window)


@dataclass(frozen=True, eq=False)
class Mask(BaseMask):
    """One object's mask, in the frame of the whole image whatever window it was found in.

    logits: (256, 256) float32 low-res logits of the encoded window, the decoder's own; > 0 is object.
    score: predicted IoU. index: its place in the decoder's answer (0 to 2 of three candidates, else 0).
    frame: where the logits lie. prompt: what was asked. provenance: with which model and settings.
    shown, spots: where the decoder ignored clicks, logits that respect them, and pixels that logits are too coarse for.
    is_sharp: whether its edges are those of the photo. photo: for that; it is given back once the pixels are made, so
    that they can be made when the image is closed.
    """

    logits: np.ndarray
    score: float
    index: int
    frame: Frame
    prompt: Prompt
    provenance: Mapping[str, Any]
    source: PhotoSource = field(repr=False)
    cleaned: np.ndarray | None = field(default=None, repr=False)
    shown: np.ndarray | None = field(default=None, repr=False)
    spots: tuple[Spot, ...] = field(default=(), repr=False)
    is_sharp: bool = field(default=False, repr=False)
    photo: Picture | None = field(default=None, repr=False)

    @property
    def shown_logits(self) -> np.ndarray:
        """(256, 256) float32: what the pixels are made of, the decoder's own or those."""
        return self.logits if self.shown is None else self.shown

    def _decoded(self) -> np.ndarray:
        photo = self.photo
        if photo is None and "pixels" in vars(self):  # another thread was quicker
            return vars(self)["pixels"]
        x0, y0, x1, y1 = self.frame.window
        inside = (self._sharp_logits(photo) if self.is_sharp else self._full_logits().numpy()) > 0
        whole = inside if self.frame.is_whole else np.zeros((self.frame.height, self.frame.width), bool)
        if not self.frame.is_whole:
            whole[y0:y1, x0:x1] = inside
        for spot in self.spots:
            spot.paint(whole)
        if photo is not None:
            whole.setflags(write=False)
            vars(self)["pixels"] = whole  # where `pixels` keeps them: another thread finds them there, or the photo
            object.__setattr__(self, "photo", None)
        return whole

    def _sharp_logits(self, photo: Picture | None) -> np.ndarray:
        photo = photo or self.source.get()  # a copy of a mask whose pixels were made has the latter alone
        x0, y0, _, _ = self.frame.window
        points = [(x - x0, y - y0) for x, y in self.prompt.points]
        return sharpen(photo.window_at(self.frame.window), self._full_logits().numpy(), points)

    def _full_logits(self) -> Tensor:
        """(h, w) float32 logits at the window's own resolution."""
        import torch

        return upsample(torch.from_numpy(self.shown_logits)[None], self.frame)[0]

    @kept_property
    def stability(self) -> float:
        """Stability score: IoU of the mask thresholded at +1 and at -1; 0.0 where both are empty."""
        logits = self._full_logits()
        union = int((logits > -STABILITY_OFFSET).sum())
        return int((logits > STABILITY_OFFSET).sum()) / union if union else 0.0


def to_result(masks: Sequence[BaseMask], source: PhotoSource, provenance: Mapping[str, Any]) -> Result:
    """Masks of one image as a writer takes them; works without the photo for formats that do not show it."""
    objects = [mask._as_object(number) for number, mask in enumerate(masks)]
    if source.picture is None:
        return Result(source.width, source.height, objects, provenance)
    return Result.of(source.picture, objects, provenance)


def preview(pixels: np.ndarray, longest: int = 768) -> np.ndarray:
    """(H, W, 3) uint8, thinned to at most `longest` pixels a side by whole steps: for notebooks only."""
    step = -(-max(pixels.shape[:2]) // longest)
    return np.ascontiguousarray(pixels[::step, ::step])
