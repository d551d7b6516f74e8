"""`SamAutomaticMaskGenerator` for existing code: arguments, defaults, records and their order are segment_anything's.

Always square and float32 unless the `Segmenter` was given a precision by name, as `compat.SamPredictor` is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..models.errors import PredictorArgumentError
from ..models.frame import Frame
from .compat import SamPredictor
from .everything.choosing import Chosen, choose
from .everything.options import Choice, Search
from .everything.proposals import never, run
from .everything.search import Looking, inclusive_box

OUTPUT_MODES = ("binary_mask", "uncompressed_rle", "coco_rle")


class SamAutomaticMaskGenerator:
    """Masks of all things in an image, by a grid of points. Not for threads: its predictor remembers an image.

    Args:
        model: a `Segmenter`, or a `Sam` module of segment_anything, of MobileSAM or of `sam_model_registry`.
        points_per_batch: ignored; how many points go at once changes no mask, and is chosen for the device.
        The others are those of segment_anything's class of this name, with the same defaults.

    Raises:
        PredictorArgumentError: both or neither of points_per_side and point_grids, or another output_mode (an
            AssertionError, too). SettingsError: a number that makes no sense. WeightsError: the model cannot be used.
    """

    def __init__(
        self,
        model: Any,
        points_per_side: int | None = 32,
        points_per_batch: int = 64,
        pred_iou_thresh: float = 0.88,
        stability_score_thresh: float = 0.95,
        stability_score_offset: float = 1.0,
        box_nms_thresh: float = 0.7,
        crop_n_layers: int = 0,
        crop_nms_thresh: float = 0.7,
        crop_overlap_ratio: float = 512 / 1500,
        crop_n_points_downscale_factor: int = 1,
        point_grids: Sequence[np.ndarray] | None = None,
        min_mask_region_area: int = 0,
        output_mode: str = "binary_mask",
    ) -> None:
        if (points_per_side is None) == (point_grids is None):
            raise PredictorArgumentError("Exactly one of points_per_side or point_grid must be provided.")
        if output_mode not in OUTPUT_MODES:
            raise PredictorArgumentError(f"Unknown output_mode {output_mode}.")
        if points_per_side is not None:
            numbers = crop_n_layers, crop_overlap_ratio, crop_n_points_downscale_factor
            point_grids = Search(points_per_side, None, *numbers).grids()
        assert point_grids is not None
        self.point_grids: list[np.ndarray] = list(point_grids)
        self.predictor = SamPredictor(model)
        self.points_per_batch = points_per_batch
        self.pred_iou_thresh = pred_iou_thresh
        self.stability_score_thresh = stability_score_thresh
        self.stability_score_offset = stability_score_offset
        self.box_nms_thresh = box_nms_thresh
        self.crop_n_layers = crop_n_layers
        self.crop_nms_thresh = crop_nms_thresh
        self.crop_overlap_ratio = crop_overlap_ratio
        self.crop_n_points_downscale_factor = crop_n_points_downscale_factor
        self.min_mask_region_area = min_mask_region_area
        self.output_mode = output_mode
        self._settings()  # refuses what makes no sense

    @torch.no_grad()
    def generate(self, image: np.ndarray) -> list[dict[str, Any]]:
        """The masks of an image, best predicted IoU first (crop by crop).

        Args:
            image: (H, W, 3) uint8 RGB.

        Returns:
            For each mask segmentation ((H, W) bool or an RLE, by output_mode), area (pixels), bbox [x, y, w, h],
            predicted_iou, point_coords [[x, y]], stability_score, crop_box [x, y, w, h].
        """
        search, choice = self._settings()
        frame = Frame.whole(image.shape[1], image.shape[0])
        looking = Looking(
            self.predictor._network.refreshed(),
            lambda crop: self._encode(image, crop),
            frame,
            search,
            threshold=self.predictor._network.setting("mask_threshold"),
        )
        run(looking, None, never)
        self.predictor.reset_image()
        chosen = choose(looking.finds.candidates, looking.finds.crops, choice)
        return [self._record(one, looking.finds.crops[one.candidate.crop].window) for one in chosen]

    def _settings(self) -> tuple[Search, Choice]:
        choice = Choice(
            pred_iou_thresh=_asked(self.pred_iou_thresh),
            stability_score_thresh=_asked(self.stability_score_thresh),
            box_nms_thresh=self.box_nms_thresh,
            crop_nms_thresh=self.crop_nms_thresh,
            min_mask_region_area=self.min_mask_region_area,
        )
        search = Search(
            points_per_side=None,
            point_grids=self.point_grids,
            crop_n_layers=self.crop_n_layers,
            crop_overlap_ratio=self.crop_overlap_ratio,
            stability_score_offset=self.stability_score_offset,
            floor_score=choice.pred_iou_thresh,
            floor_stability=choice.stability_score_thresh,
        )
        return search, choice

    def _encode(self, image: np.ndarray, crop: Frame) -> Tensor:
        """(4096, 256) image tokens of a crop, scaled as segment_anything scales it."""
        x0, y0, x1, y1 = crop.window
        self.predictor.set_image(image[y0:y1, x0:x1, :])
        features = self.predictor.get_image_embedding()
        return features[0].flatten(1).T.contiguous().to(self.predictor._network.current().dtype)

    def _record(self, one: Chosen, crop: tuple[int, int, int, int]) -> dict[str, Any]:
        return {
            "segmentation": self._segmentation(one),
            "area": one.runs.area,
            "bbox": _xywh(inclusive_box(one.runs)),
            "predicted_iou": one.candidate.score,
            "point_coords": [list(one.candidate.point)],
            "stability_score": one.candidate.stability,
            "crop_box": _xywh(crop),
        }

    def _segmentation(self, one: Chosen) -> Any:
        if self.output_mode == "binary_mask":
            return one.runs.pixels()
        if self.output_mode == "coco_rle":
            return one.runs.rle()
        return {"size": [one.runs.height, one.runs.width], "counts": one.runs.counts().tolist()}


def _asked(threshold: Any) -> Any:
    """A threshold below 0 asks nothing; whether it is a number is for others to say."""
    return 0.0 if isinstance(threshold, int | float) and threshold < 0 else threshold


def _xywh(box: tuple[int, int, int, int]) -> list[int]:
    x0, y0, x1, y1 = box
    return [x0, y0, x1 - x0, y1 - y0]
