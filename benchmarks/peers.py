"""The peers that clickmask is measured against, on the same weights."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors.torch import load_file

if TYPE_CHECKING:
    from segment_anything.modeling import Sam

MOBILE_SAM = "MobileSAM's own code, torch eager, float32"
WEIGHTS = Path(__file__).parent.parent / "models" / "weights" / "mobile_sam.safetensors"


def mobile_sam() -> Sam:
    """MobileSAM's own network (package mobilesam-mirror), float32, ready to run.

    Its attention caches the position biases when it enters eval mode, so the weights must be loaded before that:
    `.eval()` first and `load_state_dict` after leaves the biases of the random initialisation in use.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # timm's and MobileSAM's own deprecations
        from mobile_sam.build_sam import sam_model_registry

        sam = sam_model_registry["vit_t"]()
    sam.train()
    missing, unexpected = sam.load_state_dict(load_file(WEIGHTS), strict=False)
    if unexpected or any("head" not in name for name in missing):
        raise RuntimeError(f"the weights do not fit MobileSAM: missing {missing}, unexpected {unexpected}")
    return sam.eval()


def onnx_encoder(sam: Sam, folder: Path) -> Path:
    """MobileSAM's encoder exported to ONNX by torch, (1, 3, 1024, 1024) float32 in."""
    path = folder / "encoder.onnx"
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter's own
        torch.onnx.export(
            sam.image_encoder, (torch.zeros(1, 3, 1024, 1024),), path, input_names=["x"], dynamo=True, verbose=False
        )
    return path


def onnxruntime_encoder(graph: Path, square: np.ndarray) -> Callable[[], object]:
    """The graph under ONNX Runtime, on as many threads as torch uses."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"x": square})


def openvino_encoder(graph: Path, square: np.ndarray, precision: str) -> Callable[[], object]:
    """The graph under OpenVINO with `precision` ("f32" or "bf16") as its hint."""
    import openvino

    settings = {
        "INFERENCE_PRECISION_HINT": precision,
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "PERFORMANCE_HINT": "LATENCY",
    }
    compiled = openvino.Core().compile_model(str(graph), "CPU", settings)
    return lambda: compiled(square)
