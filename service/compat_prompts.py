"""The prompts of `SamPredictor.predict_torch`: checked as segment_anything's arithmetic would, and given our shape."""

from __future__ import annotations

import torch
from torch import Tensor

from ..models.errors import PredictorArgumentError
from ..models.frame import LOW_RES
from ..models.prompt_encoder import BACKGROUND, BOX_BOTTOM_RIGHT, BOX_TOP_LEFT, FOREGROUND, PADDING, UNKNOWN
from ..models.sam import PromptTensors


class PromptShapeError(PredictorArgumentError, RuntimeError, IndexError):
    """Prompts whose shapes do not fit together; in segment_anything torch raises RuntimeError or IndexError."""


def to_prompts(
    points: Tensor | None, labels: Tensor | None, boxes: Tensor | None, masks: Tensor | None, device: torch.device
) -> list[PromptTensors]:
    """One prompt for each row of the tensors of `predict_torch`; nothing at all is one prompt, too.

    Raises:
        PromptShapeError: the tensors disagree, or hold no prompt.
    """
    count = next((len(given) for given in (points, boxes) if given is not None), 1)
    coords, kinds = [torch.zeros(count, 0, 2, device=device)], [torch.zeros(count, 0, dtype=torch.int64, device=device)]
    if points is not None:
        places = _places(points, labels, device)
        coords.append(places[0])
        kinds.append(places[1])
        if boxes is None:
            coords.append(coords[0].new_zeros(count, 1, 2))
            kinds.append(kinds[0].new_full((count, 1), PADDING))
    if boxes is not None:
        coords.append(_corners(boxes, count, device))
        kinds.append(kinds[0].new_tensor([BOX_TOP_LEFT, BOX_BOTTOM_RIGHT]).expand(count, 2))
    return _rows(torch.cat(coords, dim=1), torch.cat(kinds, dim=1), _earlier(masks, device))


def _places(points: Tensor, labels: Tensor | None, device: torch.device) -> tuple[Tensor, Tensor]:
    """(B, N, 2) float32 and (B, N) int64; a label SAM does not know adds nothing to the place."""
    shape = tuple(labels.shape)  # pyright: ignore[reportOptionalMemberAccess]  # as it fails in segment_anything
    if points.dim() != 3 or points.shape[2] != 2 or shape != points.shape[:2]:
        raise PromptShapeError(f"expected points (B, N, 2) and labels (B, N), got {tuple(points.shape)} and {shape}.")
    labels = torch.as_tensor(labels, device=device)
    kinds = torch.full(shape, UNKNOWN, device=device)
    for known in (PADDING, BACKGROUND, FOREGROUND):
        kinds[labels == known] = known
    return points.to(device, torch.float32), kinds


def _corners(boxes: Tensor, count: int, device: torch.device) -> Tensor:
    """(B, 4) or (B, 1, 4) -> (B, 2, 2) float32."""
    if boxes.shape[-1] != 4 or boxes.numel() != 4 * count:
        raise PromptShapeError(f"expected boxes ({count}, 4), one for each prompt, got {tuple(boxes.shape)}.")
    return boxes.to(device, torch.float32).reshape(count, 2, 2)


def _earlier(masks: Tensor | None, device: torch.device) -> Tensor | None:
    """(B, 1, 256, 256) -> (B, 256, 256) float32."""
    if masks is None:
        return None
    shape = tuple(masks.shape)
    if shape[-3:] != (1, LOW_RES, LOW_RES) or len(shape) > 4:
        raise PromptShapeError(f"expected mask_input (B, 1, {LOW_RES}, {LOW_RES}), got {shape}.")
    return masks.to(device, torch.float32).reshape(-1, LOW_RES, LOW_RES)


def _rows(coords: Tensor, kinds: Tensor, masks: Tensor | None) -> list[PromptTensors]:
    """One prompt a row; a single mask serves all points, a single row of points all masks."""
    count = max(len(coords), 0 if masks is None else len(masks))
    if not len(coords) or (masks is not None and (len(masks) not in (1, count) or len(coords) not in (1, count))):
        given = "none" if masks is None else len(masks)
        raise PromptShapeError(
            f"there must be a prompt, and a mask for each: got {len(coords)} prompts, masks {given}."
        )
    if masks is not None:
        masks = masks.expand(count, -1, -1)
    coords, kinds = coords.expand(count, -1, -1), kinds.expand(count, -1)
    return [PromptTensors(coords[n], kinds[n], None if masks is None else masks[n]) for n in range(count)]
