"""segment_anything.SamPredictor on the same weights, float32: what clickmask's quality is compared with."""

import numpy as np
from peers import mobile_sam
from segment_anything import SamPredictor


class Image:
    """One image set in a predictor of its own."""

    def __init__(self, predictor: SamPredictor) -> None:
        self.predictor = predictor

    def predict(
        self,
        points: list[tuple[int, int]],
        labels: list[int],
        box: tuple[int, int, int, int] | None,
        low_res: np.ndarray | None,
        multimask: bool,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(C, H, W) bool masks, (C,) predicted IoU and (C, 256, 256) low-res logits."""
        return self.predictor.predict(
            np.array(points, np.float32) if points else None,
            np.array(labels) if points else None,
            np.array(box, np.float32) if box is not None else None,
            low_res[None] if low_res is not None else None,
            multimask,
        )


class Model:
    """MobileSAM's own network."""

    def __init__(self) -> None:
        self.sam = mobile_sam()

    def open(self, image: np.ndarray) -> Image:
        """Encode an (H, W, 3) uint8 RGB image."""
        predictor = SamPredictor(self.sam)
        predictor.set_image(image)
        return Image(predictor)

    def describe(self) -> str:
        """What was measured."""
        return "segment_anything.SamPredictor, MobileSAM's encoder, float32, square"
