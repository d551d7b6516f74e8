"""The originals on the same weights, where they are installed: to be measured beside."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import numpy as np
from torch import Tensor

from ..compat_models import module_of
from ..segmenter import Segmenter


class Peer:
    """segment_anything's own predictor, in float32 as it comes, on a segmenter's device and weights.

    package: whose code it is, with its version.
    """

    def __init__(self, network: Any, name: str, device: str, package: str) -> None:
        from segment_anything import SamPredictor

        self.name, self.package = name, f"{package} {version(package)}"
        self._predictor = SamPredictor(network.to(device).eval())

    def set_image(self, pixels: np.ndarray) -> None:
        """Encode (H, W, 3) uint8 RGB."""
        self._predictor.set_image(pixels)

    def predict(self, point: tuple[float, float]) -> Any:
        """(3, H, W) bool, of the image that was set last."""
        return self._predictor.predict(np.array([point]), np.array([1]))[0]


def peer_of(segmenter: Segmenter) -> Peer | str:
    """The original of a segmenter's model; or, in words, what it takes to have it."""
    weights, device = segmenter._checkpoint, segmenter.provenance["device"]
    if weights.architecture.is_hq:
        return f"{weights.architecture.title}: of HQ-SAM none is measured"
    if weights.architecture.kind == "vit":
        return Peer(module_of(weights.architecture, weights.state), "segment_anything", device, "segment-anything")
    if find_spec("mobile_sam") is None or find_spec("timm") is None:
        return "MobileSAM's own code is not installed: pip install mobilesam-mirror timm"
    try:
        return Peer(_mobile_sam(weights.state), "MobileSAM", device, "mobilesam-mirror")
    except Exception as error:  # others' code, of whatever version: it is not what is measured
        return f"MobileSAM's own code does not work here ({type(error).__name__}: {error})"


def _mobile_sam(state: Mapping[str, Tensor]) -> Any:
    """Its attention caches the position biases when it enters eval mode, so the weights must be loaded before that."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # timm's deprecations, and MobileSAM's
        sam = import_module("mobile_sam.build_sam").sam_model_registry["vit_t"]()
    sam.train()
    missing, unexpected = sam.load_state_dict(state, strict=False)
    assert not unexpected and all("head" in name for name in missing), "but for a classifier's head they are the same"
    return sam
