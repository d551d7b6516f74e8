"""Prompts on open images, answered together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ..models.errors import PromptError, WeightsError
from ..models.sam import plain_arithmetic
from .masks import Mask
from .prompts import Prompt, to_tensors
from .refine.law import check_pixels, obey
from .refine.views import LOW_SCORE, flip, mirrored

if TYPE_CHECKING:
    from .open_image import OpenImage

Questions = Sequence[tuple["OpenImage", Prompt]]


@plain_arithmetic
def ask_together(questions: Questions, *, multimask: bool) -> list[list[Mask]]:
    """Masks for prompts on any images of one segmenter, best predicted IoU first; on a GPU in few passes."""
    if not questions:
        return []
    tokens = [image._open_tokens() for image, _ in questions]
    for image, prompt in questions:
        if image._network.obeys:
            check_pixels(prompt)
    tensors = [to_tensors(prompt, image.frame) for image, prompt in questions]
    answers = _on_host(questions[0][0]._network.sam.decode_each(tokens, tensors, multimask=multimask))
    return [
        _masks(image, prompt, logits, scores)
        for (image, prompt), (logits, scores) in zip(questions, answers, strict=True)
    ]


def _on_host(answers: list[tuple[Tensor, Tensor]]) -> list[tuple[Tensor, Tensor]]:
    """Logits and scores where numpy sees them: from a device all in one go, since each is waited for."""
    if answers[0][0].device.type == "cpu":
        return answers
    logits, scores = (torch.stack(column).cpu() for column in zip(*answers, strict=True))
    return list(zip(logits, scores, strict=True))


def _masks(image: OpenImage, prompt: Prompt, logits: Tensor, scores: Tensor) -> list[Mask]:
    arrays, numbers = logits.numpy(), scores.tolist()
    if not np.isfinite(numbers).all():
        raise WeightsError("the model answers with no numbers (NaN): its weights, or `previous`, are unusable")
    order = sorted(range(len(numbers)), key=lambda n: -numbers[n])
    prompt, network, source = prompt.without_chain(), image._network, image._source
    masks = [Mask(arrays[n], numbers[n], n, image.frame, prompt, image.provenance, source) for n in order]
    if network.looks_twice and len(masks) == 1:  # of three candidates those of two views are not the same three
        masks = [_second_look(image, mask) for mask in masks]
    if network.sharpens:
        masks = [replace(mask, is_sharp=True, photo=source.get()) for mask in masks]
    return [obey(mask, image.colours) for mask in masks] if network.obeys else masks


def _second_look(image: OpenImage, mask: Mask) -> Mask:
    if mask.score >= LOW_SCORE:
        return mask
    frame = image.frame
    prompt = to_tensors(mirrored(mask.prompt, frame), frame)
    ((logits, _),) = image._network.sam.decode_each([image._mirrored_tokens()], [prompt], multimask=False)
    return replace(mask, shown=(mask.logits + flip(logits[0].cpu().numpy(), frame)) / 2)


def segment_each(image: OpenImage, prompts: Sequence[Prompt]) -> list[Mask]:
    """One mask for each prompt: of an ambiguous one's three candidates the best. Raises PromptError."""
    for number, prompt in enumerate(prompts):
        if not isinstance(prompt, Prompt):
            raise PromptError(f"prompts[{number}]: expected a Prompt, got {type(prompt).__name__}")
    ambiguous = [n for n, prompt in enumerate(prompts) if prompt.is_ambiguous]
    clear = [n for n, prompt in enumerate(prompts) if not prompt.is_ambiguous]
    masks: dict[int, Mask] = {}
    for numbers, multimask in ((ambiguous, True), (clear, False)):
        answers = image._decode([prompts[n] for n in numbers], multimask=multimask)
        masks.update((n, answer[0]) for n, answer in zip(numbers, answers, strict=True))
    return [masks[n] for n in range(len(prompts))]
