"""Encoding one photo: clickmask against MobileSAM's own code, ONNX Runtime and OpenVINO, on the same weights.

    python benchmarks/encode.py [--rounds N] [--without onnx,openvino]

The span is from a photo that is already 1024 pixels long (uint8, decoded) to the embedding: normalising, padding,
network. The peers get the normalised, padded square ready made, which is to their advantage.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from peers import MOBILE_SAM, mobile_sam, onnx_encoder, onnxruntime_encoder, openvino_encoder
from timing import machine, side_by_side, table

from clickmask import Segmenter

PHOTOS = Path(__file__).parent.parent / "examples" / "photos"
OURS = [  # name, size (width, height), precision, fit
    ("clickmask, square", (1024, 683), "auto", "square"),
    ("clickmask, default fit, 3:2", (1024, 683), "auto", "auto"),
    ("clickmask, rectangle, 3:2", (1024, 683), "auto", "rectangle"),
    ("clickmask, default fit, 16:9", (1024, 576), "auto", "auto"),
    ("clickmask, rectangle, 16:9", (1024, 576), "auto", "rectangle"),
    ("clickmask, float32, square", (1024, 683), "float32", "square"),
    ("clickmask, float32, rectangle, 3:2", (1024, 683), "float32", "rectangle"),
]


def photo(width: int, height: int) -> np.ndarray:
    """(height, width, 3) uint8 RGB."""
    pixels = cv2.imread(str(PHOTOS / "stream.jpg"), cv2.IMREAD_COLOR_RGB)
    return cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)


def ours() -> dict[str, Callable[[], object]]:
    """clickmask in its ways, through the public API."""
    runs: dict[str, Callable[[], object]] = {}
    segmenters: dict[tuple[str, str], Segmenter] = {}
    for name, size, precision, fit in OURS:
        key = (precision, fit)
        segmenter = segmenters.setdefault(key, Segmenter(precision=precision, fit=fit, device="cpu"))
        pixels = photo(*size)
        runs[f"{name} ({segmenter.provenance['precision']})"] = lambda s=segmenter, p=pixels: s.open(p)
    return runs


def peers(without: set[str], folder: Path) -> dict[str, Callable[[], object]]:
    """The others; each takes the (1, 3, 1024, 1024) float32 square."""
    sam = mobile_sam()
    square = sam.preprocess(torch.from_numpy(photo(1024, 683)).permute(2, 0, 1)[None].float())

    def eager() -> object:
        with torch.inference_mode():
            return sam.image_encoder(square)

    runs: dict[str, Callable[[], object]] = {MOBILE_SAM: eager}
    if not {"onnx", "openvino"} <= without:
        graph = onnx_encoder(sam, folder)
        if "onnx" not in without:
            runs["ONNX Runtime, float32"] = onnxruntime_encoder(graph, square.numpy())
        if "openvino" not in without:
            for precision in ("f32", "bf16"):
                runs[f"OpenVINO, {precision}"] = openvino_encoder(graph, square.numpy(), precision)
    return runs


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--without", default="", help="peers to leave out: onnx,openvino")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        contestants = {**peers(set(options.without.split(",")), Path(folder)), **ours()}
        figures = side_by_side(contestants, options.rounds)
    sys.stdout.write(f"{machine()}\n\n{table(figures, MOBILE_SAM)}\n")


if __name__ == "__main__":
    main()
