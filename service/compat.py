"""Drop-in classes: existing segment_anything code changes its import line and nothing else.

    from clickmask import SamPredictor, sam_model_registry

Arguments, defaults, shapes, dtypes, orders and errors are those of `segment_anything.SamPredictor`; the pixels too,
since the picture is scaled by its own `ResizeLongestSide`. Always square, never refined, and float32 unless the
`Segmenter` was given a precision by name.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from segment_anything.utils.transforms import ResizeLongestSide
from torch import Tensor

from ..models.errors import PredictorArgumentError, PredictorStateError
from ..models.frame import GRID, MODEL_SIDE, upsample_to
from ..models.sam import PromptTensors, Sam
from .compat_models import sam_model_registry
from .compat_networks import network_of
from .compat_prompts import PromptShapeError, to_prompts

__all__ = ["sam_model_registry", "SamPredictor"]


class SamPredictor:
    """Encodes one image, then answers any number of prompts on it. Not for threads: it remembers its image.

    Args:
        sam_model: a `Segmenter`, or a `Sam` module of segment_anything, of MobileSAM or of `sam_model_registry`.

    A module's weights are read when the predictor is made, and again at `set_image` if they have changed since, or
    once the module was moved to another device. `features`, `original_size`, `input_size` and `is_image_set` may be
    put back by hand to ask again about an image encoded earlier.

    Raises:
        WeightsError: the model is neither, or not plain SAM.
    """

    is_image_set: bool
    features: Tensor | None  # (1, 256, 64, 64) float32
    original_size: tuple[int, ...]  # (height, width) of the image
    input_size: tuple[int, ...]  # (height, width) in the model frame

    def __init__(self, sam_model: Any) -> None:
        self._network = network_of(sam_model)
        self.transform = ResizeLongestSide(MODEL_SIDE)
        self.reset_image()

    @property
    def model(self) -> Any:
        """The `Sam` module given; of a segmenter, a float32 copy, made when first asked for."""
        return self._network.module

    @model.setter
    def model(self, model: Any) -> None:
        self._network = network_of(model)

    @property
    def device(self) -> torch.device:
        """Where the model is now."""
        return self._network.device

    def reset_image(self) -> None:
        """Forget the embedding; as in segment_anything, `original_size` and `input_size` stay."""
        self.is_image_set = False
        self.features = None
        self.orig_h = self.orig_w = self.input_h = self.input_w = None  # never filled, there or here

    def set_image(self, image: np.ndarray, image_format: str = "RGB") -> None:
        """Encode an image.

        Args:
            image: (H, W, 3) uint8, channels in the order `image_format`, "RGB" or "BGR".

        Raises:
            PredictorArgumentError: another format (an AssertionError, too).
        """
        if image_format not in ("RGB", "BGR"):
            raise PredictorArgumentError(f"image_format must be in ['RGB', 'BGR'], is {image_format}.")
        if image_format != self._network.setting("image_format"):
            image = image[..., ::-1]
        scaled = torch.as_tensor(self.transform.apply_image(image), device=self.device)
        self.set_torch_image(scaled.permute(2, 0, 1).contiguous()[None], image.shape[:2])

    @torch.no_grad()
    def set_torch_image(self, transformed_image: Tensor, original_image_size: tuple[int, ...]) -> None:
        """Encode an image that was scaled already.

        Args:
            transformed_image: (1, 3, H, W) RGB, 0 to 255, longer side 1024.
            original_image_size: (height, width) before it was scaled: the size of the masks.

        Raises:
            PredictorArgumentError: another shape (an AssertionError, too).
        """
        shape = transformed_image.shape
        if len(shape) != 4 or shape[1] != 3 or max(shape[2:]) != MODEL_SIDE:
            raise PredictorArgumentError(f"set_torch_image input must be BCHW with long side {MODEL_SIDE}.")
        self.reset_image()
        self.original_size = original_image_size
        self.input_size = tuple(shape[-2:])
        sam = self._network.refreshed()
        # Copied: `normalise` works in place, and the picture is the caller's.
        pixels = transformed_image.permute(0, 2, 3, 1).to(sam.device, torch.float32, copy=True)
        tokens = sam.encode_square(sam.normalise(pixels))
        self.features = tokens.float().mT.contiguous().view(-1, 256, GRID, GRID)
        self.is_image_set = True

    def predict(
        self,
        point_coords: np.ndarray | None = None,
        point_labels: np.ndarray | None = None,
        box: np.ndarray | None = None,
        mask_input: np.ndarray | None = None,
        multimask_output: bool = True,
        return_logits: bool = False,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Masks of one prompt on the image.

        Args:
            point_coords: (N, 2) x y, image frame; point_labels: (N,), 1 foreground, 0 background.
            box: (4,) x0 y0 x1 y1, image frame.
            mask_input: (1, 256, 256) low-res logits of an earlier answer.
            multimask_output: three candidates in the decoder's order (not by score) instead of the single mask.
            return_logits: logits in place of the masks.

        Returns:
            (C, H, W) bool (or float32), (C,) float32 predicted IoU, (C, 256, 256) float32 low-res logits.

        Raises:
            PredictorStateError: no image is set (a RuntimeError, too).
            PredictorArgumentError: points without labels (an AssertionError, too).
        """
        self._check_image("before mask prediction.")
        points = labels = boxes = masks = None
        if point_coords is not None:
            if point_labels is None:
                raise PredictorArgumentError("point_labels must be supplied if point_coords is supplied.")
            scaled = self.transform.apply_coords(point_coords, self.original_size)
            points = torch.as_tensor(scaled, dtype=torch.float)[None, :, :]
            labels = torch.as_tensor(point_labels, dtype=torch.int)[None, :]
        if box is not None:
            scaled = self.transform.apply_boxes(box, self.original_size)
            boxes = torch.as_tensor(scaled, dtype=torch.float)[None, :]
        if mask_input is not None:
            masks = torch.as_tensor(mask_input, dtype=torch.float)[None, :, :, :]
        answers = self.predict_torch(points, labels, boxes, masks, multimask_output, return_logits)
        full, scores, low_res = (answer[0].cpu().numpy() for answer in answers)
        return full, scores, low_res

    @torch.no_grad()
    def predict_torch(
        self,
        point_coords: Tensor | None,
        point_labels: Tensor | None,
        boxes: Tensor | None = None,
        mask_input: Tensor | None = None,
        multimask_output: bool = True,
        return_logits: bool = False,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Masks of B prompts on the image, coordinates in the model frame (`transform.apply_coords_torch`).

        Args:
            point_coords: (B, N, 2) x y, or None; point_labels: (B, N), 1 foreground, 0 background, -1 padding.
            boxes: (B, 4) x0 y0 x1 y1.
            mask_input: (B, 1, 256, 256) low-res logits of earlier answers; one serves for all.
            multimask_output, return_logits: as in `predict`.

        Returns:
            (B, C, H, W) bool (or float32), (B, C) float32 predicted IoU, (B, C, 256, 256) float32 low-res logits.

        Raises:
            PredictorStateError: no image is set (a RuntimeError, too).
            PromptShapeError: shapes that do not fit together (an AssertionError, RuntimeError and IndexError, too).
        """
        self._check_image("before mask prediction.")
        sam = self._network.current()
        prompts = to_prompts(point_coords, point_labels, boxes, mask_input, sam.device)
        answers = self._decode(sam, prompts, multimask_output)
        threshold = None if return_logits else self._network.setting("mask_threshold")
        masks = torch.stack([self._to_pixels(low_res, threshold) for low_res, _ in answers])
        return masks, torch.stack([scores for _, scores in answers]), torch.stack([low_res for low_res, _ in answers])

    def get_image_embedding(self) -> Tensor:
        """(1, 256, 64, 64) float32: the image encoder's output.

        Raises:
            PredictorStateError: no image is set (a RuntimeError, too).
        """
        self._check_image("to generate an embedding.")
        if self.features is None:
            raise PredictorArgumentError("Features must exist if an image has been set.")
        return self.features

    def _decode(self, sam: Sam, prompts: list[PromptTensors], multimask: bool) -> list[tuple[Tensor, Tensor]]:
        """(C, 256, 256) and (C,) for each prompt or, where `features` are of many images, for each of those."""
        if self.features is None or self.features.shape[1:] != (256, GRID, GRID):
            raise PredictorStateError("features must be (1, 256, 64, 64), as set_image leaves them.")
        images = [t.contiguous() for t in self.features.to(sam.device, sam.dtype).flatten(2).mT]
        if len(images) == 1:
            return sam.decode(images[0], prompts, multimask=multimask)
        if len(prompts) != 1:
            raise PromptShapeError(f"the features are of {len(images)} images: they take one prompt for all.")
        return [sam.decode(tokens, prompts, multimask=multimask)[0] for tokens in images]

    def _to_pixels(self, low_res: Tensor, threshold: float | None) -> Tensor:
        """(C, 256, 256) low-res logits -> (C, H, W), logits or bool."""
        (height, width), (scaled_height, scaled_width) = self.original_size, self.input_size
        logits = upsample_to(low_res, (scaled_width, scaled_height), (width, height))
        return logits if threshold is None else logits > threshold

    def _check_image(self, purpose: str) -> None:
        if not self.is_image_set:
            raise PredictorStateError(f"An image must be set with .set_image(...) {purpose}")
