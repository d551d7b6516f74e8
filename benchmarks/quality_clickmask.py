"""clickmask through its public Python API, for the quality harness.

CLICKMASK_FIT, CLICKMASK_PRECISION and CLICKMASK_REFINE choose what is measured; by default what a user gets.
"""

import os

import numpy as np

from clickmask import OpenImage, Segmenter


class Image:
    """One open image, with the harness's predict."""

    def __init__(self, image: OpenImage) -> None:
        self.image = image

    def predict(
        self,
        points: list[tuple[int, int]],
        labels: list[int],
        box: tuple[int, int, int, int] | None,
        low_res: np.ndarray | None,
        multimask: bool,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(C, H, W) bool masks, (C,) predicted IoU and (C, 256, 256) low-res logits."""
        if multimask:
            masks = self.image.candidates(points, labels, box)
        else:
            masks = [self.image.segment(points, labels, box, previous=low_res)]
        return (
            np.stack([mask.pixels for mask in masks]),
            np.array([mask.score for mask in masks]),
            np.stack([mask.logits for mask in masks]),
        )


class Model:
    """The embedded model."""

    def __init__(self) -> None:
        self.segmenter = Segmenter(
            device=os.environ.get("CLICKMASK_DEVICE", "auto"),
            fit=os.environ.get("CLICKMASK_FIT", "auto"),
            precision=os.environ.get("CLICKMASK_PRECISION", "auto"),
            refine=os.environ.get("CLICKMASK_REFINE", "auto"),
        )

    def open(self, image: np.ndarray) -> Image:
        """Encode an (H, W, 3) uint8 RGB image."""
        return Image(self.segmenter.open(image))

    def describe(self) -> str:
        """What was measured."""
        return repr(self.segmenter)
