"""The encoders of all sizes beside segment_anything: photos a second, agreement, memory; one command, no network.

    python benchmarks/big_models.py [--models vit_b,vit_h] [--device auto] [--weights vit_h=FILE] [--compile]

Without a file the weights of vit_b, l and h are drawn at random, from a seed: speed does not depend on them, and the
agreement is then of embeddings alone. The span is from a decoded photo of 1024 x 683 in memory (uint8) to its
embedding, the peer's resizing and padding included. With --compile the peer runs under autocast and torch.compile too.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from encode import photo
from peers import mobile_sam
from segment_anything import SamPredictor, sam_model_registry
from timing import machine, side_by_side

from clickmask import Segmenter
from clickmask.models.frame import Frame
from clickmask.service.images import read_picture

SIZE = (1024, 683)
BATCH = 8
BOXES = [(x, y, x + 260, y + 260) for x in (60, 340, 640) for y in (40, 360)]


def original(name: str, file: Path | None) -> Any:
    """segment_anything's own network, float32."""
    if name == "vit_t":
        return mobile_sam()
    torch.manual_seed(0)
    sam = sam_model_registry[name](None if file is None else str(file))
    if file is None:
        for key, tensor in sam.state_dict().items():
            if "rel_pos" in key or "pos_embed" in key:
                tensor.normal_(std=0.02)
    return sam.eval()


def contestants(name: str, file: Path | None, device: str, wants_compiled: bool) -> dict[str, Callable[[], object]]:
    """Ours in its ways, and the original's."""
    sam = original(name, file)
    segmenters = {
        way: Segmenter("vit_t" if name == "vit_t" else sam, device=device, precision=way, fit="square")
        for way in ("auto", "float32")
    }
    pixels = photo(*SIZE)
    place = segmenters["auto"].provenance["device"]
    peer = SamPredictor(sam.to(place))
    runs: dict[str, Callable[[], object]] = {
        f"{name}: segment_anything, float32": _done(lambda: peer.set_image(pixels))
    }
    if wants_compiled:
        runs[f"{name}: the same, autocast and torch.compile"] = _done(partial(_compiled(sam, place), pixels))
    for way, segmenter in segmenters.items():
        title = f"{name}: clickmask, {segmenter.provenance['precision']}"
        runs.setdefault(title, _done(lambda s=segmenter: s.open(pixels)))
        if place != "cpu" and way == "auto":
            runs[f"{title}, {BATCH} together"] = _together(segmenter, pixels)
    ways = {"": segmenters["auto"]}
    if place == "cuda":
        ways[", graphs"] = Segmenter("vit_t" if name == "vit_t" else sam, device=device, fit="square", graphs=True)
        runs |= _replayed(name, ways[", graphs"], pixels)
    for words, segmenter in ways.items():
        image = segmenter.open(pixels).refined("off")
        runs[f"{name}: a click{words}"] = _done(lambda i=image: i.click(512, 300).logits)
        runs[f"{name}: a click with its pixels{words}"] = _done(lambda i=image: i.click(512, 300).pixels)
    _tell_agreement(name, segmenters["auto"], peer, pixels)
    return runs


def _replayed(name: str, segmenter: Segmenter, pixels: np.ndarray) -> dict[str, Callable[[], object]]:
    """Started as CUDA graphs: one photo, and several."""
    title = f"{name}: clickmask, {segmenter.provenance['precision']}, graphs"
    return {
        title: _done(lambda: segmenter.open(pixels)),
        f"{title}, {BATCH} together": _together(segmenter, pixels),
    }


def _together(segmenter: Segmenter, pixels: np.ndarray) -> Callable[[], object]:
    pictures = [(read_picture(np.roll(pixels, 7 * n, axis=1)), Frame.whole(*SIZE)) for n in range(BATCH)]
    return _done(lambda: segmenter.open_together(pictures))


def _compiled(sam: Any, place: str) -> Callable[[np.ndarray], object]:
    encoder = torch.compile(sam.image_encoder)
    peer = SamPredictor(sam)

    def run(pixels: np.ndarray) -> object:
        resized = torch.as_tensor(peer.transform.apply_image(pixels), device=place).permute(2, 0, 1)[None]
        with torch.inference_mode(), torch.autocast(place.partition(":")[0], torch.bfloat16):
            return encoder(sam.preprocess(resized))

    return run


def _tell_agreement(name: str, segmenter: Segmenter, peer: SamPredictor, pixels: np.ndarray) -> None:
    """Of embeddings, as the cosine, and of the masks of boxes, as the mean IoU."""
    image = segmenter.open(pixels).refined("off")
    peer.set_image(pixels)
    ours, theirs = image.embedding().ravel(), peer.get_image_embedding().cpu().numpy().ravel()
    cosine = float(ours @ theirs / np.linalg.norm(ours) / np.linalg.norm(theirs))
    pairs = [
        (image.segment(box=box).pixels, peer.predict(box=np.array(box), multimask_output=False)[0][0]) for box in BOXES
    ]
    overlap = np.mean([(a & b).sum() / max(1, (a | b).sum()) for a, b in pairs])
    sys.stdout.write(
        f"{name}: embeddings' cosine {cosine:.5f}, mean IoU of {len(BOXES)} boxes' masks {overlap:.4f}\n\n"
    )


def _done(run: Callable[[], object]) -> Callable[[], object]:
    """With a GPU's work waited for."""

    def wait() -> object:
        value = run()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return value

    return wait


def main() -> None:
    """Print a table a model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default="vit_t,vit_b,vit_h")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--weights", action="append", default=[], metavar="NAME=FILE")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    files = {name: Path(file) for name, _, file in (one.partition("=") for one in options.weights)}
    sys.stdout.write(f"{machine()}\n\n")
    for name in options.models.split(","):
        runs = contestants(name, files.get(name), options.device, options.compile)
        seconds = side_by_side(runs, options.rounds, warmup=3 if torch.cuda.is_available() else 1)
        peer = next(iter(seconds.values()))
        sys.stdout.write("| what | ms a photo | photos a second | times the peer |\n|---|---|---|---|\n")
        for title, whole in seconds.items():
            each = whole / BATCH if title.endswith("together") else whole
            times = "" if ": a click" in title else f"{peer / each:.2f}"
            sys.stdout.write(f"| {title} | {1000 * each:.1f} | {1 / each:.2f} | {times} |\n")
        if torch.cuda.is_available():
            sys.stdout.write(f"\npeak memory {torch.cuda.max_memory_allocated() / 1e9:.2f} GB\n")
        sys.stdout.write("\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
