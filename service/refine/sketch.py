"""A picture as small as the low-res logits: what clicks that were ignored are enforced by."""

from __future__ import annotations

import cv2
import numpy as np

from ...models.frame import Frame


def sketch(pixels: np.ndarray, frame: Frame) -> np.ndarray:
    """(H, W, 3) uint8 RGB of the frame's window -> (h, w, 3) uint8, a pixel for each low-res logit on the picture."""
    return cv2.resize(pixels, frame.valid_low_res(), interpolation=cv2.INTER_AREA)


def colours(small: np.ndarray) -> np.ndarray:
    """(h, w, 3) uint8 RGB -> (h, w, 3) float32 L*a*b*, L* from 0 to 1 and the others alike."""
    return cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_RGB2LAB) / 100
