"""Masks as the library `supervision` has them, which need not be installed."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np

from ..models.errors import MissingExtraError
from . import rle
from .masks import BaseMask
from .saving import to_objects


def to_detections(masks: Sequence[BaseMask | np.ndarray], labels: Sequence[str | None] | None = None) -> Any:
    """The masks as one `supervision.Detections`: boxes, masks, scores, and with labels classes and their names.

    Boxes end exclusively. `masks`: masks of one image, or arrays (H, W) bool. `labels`: one for each, None for those
    without; class numbers count them in the order of their names.

    Raises:
        MissingExtraError: supervision is not installed. OutputError: not as many labels as masks, or other arrays.
    """
    try:
        supervision = import_module("supervision")
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"to_detections needs supervision ({error}): pip install supervision") from None
    objects = to_objects(masks, labels)
    if not objects:
        return supervision.Detections.empty()
    classes = {name: number for number, name in enumerate(sorted({item.category for item in objects}))}
    names = np.array([item.category for item in objects])
    return supervision.Detections(
        xyxy=np.array([rle.box(item.runs) or (0, 0, 0, 0) for item in objects], np.float32),
        mask=np.stack([item.mask for item in objects]),
        confidence=_scores([item.score for item in objects]),
        class_id=None if labels is None else np.array([classes[name] for name in names.tolist()]),
        data={} if labels is None else {"class_name": names},
    )


def _scores(scores: list[float | None]) -> np.ndarray | None:
    known = [score for score in scores if score is not None]
    return np.array(known, np.float32) if len(known) == len(scores) else None
