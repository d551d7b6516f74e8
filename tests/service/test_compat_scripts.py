"""Scripts written for segment_anything, run twice: as they are, and with the import line changed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import segment_anything
import torch

from clickmask import sam_model_registry

CLICKS = """
import numpy as np
from segment_anything import SamPredictor

predictor = SamPredictor(sam)
predictor.set_image(image)

input_point = np.array([[250, 375]])
input_label = np.array([1])
masks, scores, logits = predictor.predict(
    point_coords=input_point,
    point_labels=input_label,
    multimask_output=True,
)
assert masks.shape == (3, *image.shape[:2])
for i, (mask, score) in enumerate(zip(masks, scores)):
    results[f"candidate {i}, {score:.3f}"] = mask

mask_input = logits[np.argmax(scores), :, :]  # Choose the model's best mask
input_point = np.array([[250, 375], [562, 312]])
masks, _, _ = predictor.predict(
    point_coords=input_point,
    point_labels=np.array([1, 0]),
    mask_input=mask_input[None, :, :],
    multimask_output=False,
)
results["refined"] = masks[0]

input_box = np.array([45, 120, 330, 900])
masks, _, _ = predictor.predict(
    point_coords=None,
    point_labels=None,
    box=input_box[None, :],
    multimask_output=False,
)
results["box"] = masks[0]
"""

BOXES = """
import torch
from segment_anything import SamPredictor

predictor = SamPredictor(sam)
predictor.set_image(image[..., ::-1], image_format="BGR")

input_boxes = torch.tensor([
    [75, 275, 580, 850],
    [45, 120, 330, 600],
    [300, 300, 600, 700],
], device=predictor.device)
transformed_boxes = predictor.transform.apply_boxes_torch(input_boxes, image.shape[:2])
masks, scores, _ = predictor.predict_torch(
    point_coords=None,
    point_labels=None,
    boxes=transformed_boxes,
    multimask_output=False,
)
assert masks.shape == (3, 1, *image.shape[:2])
for i, mask in enumerate(masks):
    results[f"box {i}, {scores[i].item():.3f}"] = mask.cpu().numpy()[0]

points = torch.tensor([[[250, 375]], [[400, 600]]], device=predictor.device)
masks, _, _ = predictor.predict_torch(
    predictor.transform.apply_coords_torch(points, predictor.original_size),
    torch.ones(2, 1, device=predictor.model.device),
)
results["points"] = masks.flatten(0, 2).cpu().numpy()
"""

FROM_DISK = """
import numpy as np
import torch
from segment_anything import sam_model_registry, SamPredictor

sam_checkpoint = checkpoint
model_type = "vit_b"
device = "cuda" if torch.cuda.is_available() else "cpu"

sam = sam_model_registry[model_type](checkpoint=sam_checkpoint)
sam.to(device=device)
sam.eval()
predictor = SamPredictor(sam)
predictor.set_image(image)
embedding = predictor.get_image_embedding().cpu().numpy()
assert embedding.shape == (1, 256, 64, 64)

masks, scores, logits = predictor.predict(
    point_coords=np.array([[250, 375]]),
    point_labels=np.array([1]),
    return_logits=True,
)
results["foreground"] = masks[int(np.argmax(scores))] > predictor.model.mask_threshold

other = SamPredictor(sam)
other.features = torch.from_numpy(embedding).to(device)
other.original_size, other.input_size = predictor.original_size, predictor.input_size
other.is_image_set = True
results["restored"] = other.predict(mask_input=logits[:1], multimask_output=False)[0][0]
"""


@pytest.fixture(scope="module")
def image(photo_path: Path) -> np.ndarray:
    pixels = cv2.imread(str(photo_path), cv2.IMREAD_COLOR_RGB)
    assert pixels is not None
    return pixels


@pytest.fixture(scope="module")
def vit_b(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A checkpoint of vit_b's true size, with random weights, as torch.save writes it."""
    path = tmp_path_factory.mktemp("checkpoints") / "sam_vit_b.pth"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(11)
        sam = segment_anything.sam_model_registry["vit_b"]()
    torch.save(sam.state_dict(), path)
    yield str(path)
    path.unlink()  # 375 MB


def _run(script: str, module: str, given: dict[str, Any]) -> dict[str, np.ndarray]:
    results: dict[str, np.ndarray] = {}
    exec(script.replace("from segment_anything import", f"from {module} import"), {**given, "results": results})
    return results


def _check_same(script: str, given: dict[str, Any]) -> None:
    theirs, ours = (_run(script, module, given) for module in ("segment_anything", "clickmask"))
    assert theirs.keys() == ours.keys() and theirs
    for name, mask in theirs.items():
        other = ours[name]
        assert mask.dtype == other.dtype == bool and mask.shape == other.shape
        assert mask.any() and not mask.all()
        assert (mask & other).sum() > 0.999 * (mask | other).sum(), name


@pytest.mark.parametrize("script", [CLICKS, BOXES], ids=["clicks", "boxes"])
def test_a_script_answers_the_same(script: str, image: np.ndarray) -> None:
    _check_same(script, {"sam": sam_model_registry["vit_t"](), "image": image})


@pytest.mark.soak  # twice the whole ViT-B; small ones answer in the suite
def test_a_script_that_reads_vit_b_from_disk_answers_the_same(image: np.ndarray, vit_b: str) -> None:
    _check_same(FROM_DISK, {"checkpoint": vit_b, "image": image})
