"""The decoder's attention against what segment_anything's own decoder computes, and against the equation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from clickmask.models.attention import Look, Trace, trace
from clickmask.models.checkpoints import Checkpoint
from clickmask.models.sam import PromptTensors, Sam

from .originals import original_parts

WEIGHTS, OUTPUTS = 1e-5, 1e-4


def _prompt(with_box: bool, with_mask: bool) -> PromptTensors:
    low_res = torch.linspace(-6, 6, 256 * 256).view(256, 256) if with_mask else None
    box = torch.tensor([300.0, 10.0, 990.0, 390.0]) if with_box else None
    return PromptTensors.pack(torch.tensor([[600.0, 200.0], [100.0, 350.0]]), torch.tensor([1, 0]), box, low_res)


def _traced(sam: Sam, tokens: Tensor, prompt: PromptTensors) -> Trace:
    dense = sam.no_mask[0] if prompt.low_res is None else sam.prompt_encoder.dense(prompt.low_res[None])[0]
    sparse = sam.prompt_encoder.points(prompt.coords[None], prompt.labels[None])
    with torch.inference_mode():
        return trace(sam.decoder, tokens, dense, sam.positions, sparse[0])


def _looks(found: Trace) -> list[Look]:
    """In the order in which the original computes them."""
    one, two = ([found.among[layer], found.to_image[layer], found.to_tokens[layer]] for layer in range(2))
    return [*one, *two, found.to_image[2]]


class _Watched:
    """What an original attention was given, and gave."""

    def __init__(self, module: Any) -> None:
        self.module = module
        self.given: tuple[Tensor, ...] = ()
        self.output = torch.empty(0)
        module.register_forward_hook(self._note, with_kwargs=True)

    def _note(self, module: Any, words: Any, named: dict[str, Tensor], output: Tensor) -> None:
        self.given = tuple(words) or (named["q"], named["k"], named["v"])
        self.output = output[0]

    def weights(self) -> Tensor:
        """(8, N, M): as its `forward` makes them."""
        own = self.module
        q, k = own._separate_heads(own.q_proj(self.given[0]), 8), own._separate_heads(own.k_proj(self.given[1]), 8)
        return torch.softmax(q @ k.transpose(2, 3) / q.shape[-1] ** 0.5, -1)[0]


@pytest.mark.parametrize(("with_box", "with_mask"), [(False, False), (True, False), (True, True)])
def test_every_attention_is_that_of_the_original(
    checkpoint: Checkpoint, sam: Sam, tokens: Tensor, with_box: bool, with_mask: bool
) -> None:
    original, prompt = original_parts(checkpoint), _prompt(with_box, with_mask)
    transformer = original.decoder.transformer
    watched = [
        _Watched(module)
        for layer in transformer.layers
        for module in (layer.self_attn, layer.cross_attn_token_to_image, layer.cross_attn_image_to_token)
    ]
    watched.append(_Watched(transformer.final_attn_token_to_image))
    earlier = None if prompt.low_res is None else prompt.low_res[None, None]
    box = prompt.coords[2:].reshape(1, 4) if with_box else None
    sparse, dense = original.prompts((prompt.coords[None, :2], prompt.labels[None, :2]), box, earlier)
    with torch.inference_mode():
        image = tokens.float().T.reshape(1, 256, 64, 64)
        original.decoder(image, original.prompts.get_dense_pe(), sparse, dense, multimask_output=True)
        for look, other in zip(_looks(_traced(sam, tokens, prompt)), watched, strict=True):
            assert look.weights.shape == other.weights().shape
            torch.testing.assert_close(look.weights, other.weights(), rtol=0, atol=WEIGHTS)
            torch.testing.assert_close(look.output, other.output, rtol=0, atol=OUTPUTS * 10)


def test_weights_are_the_equations_and_outputs_their_weighted_values(sam: Sam, tokens: Tensor) -> None:
    found = _traced(sam, tokens, _prompt(with_box=True, with_mask=False))
    last = sam.decoder.transformer.final_attn_token_to_image
    for look in _looks(found):
        q, k, weights = (np.asarray(x, np.float64) for x in (look.queries, look.keys, look.weights))
        scores = q @ k.transpose(0, 2, 1) / np.sqrt(q.shape[-1])
        shares = np.exp(scores - scores.max(-1, keepdims=True))
        assert np.abs(weights - shares / shares.sum(-1, keepdims=True)).max() < WEIGHTS
        assert np.abs(weights.sum(-1) - 1).max() < WEIGHTS
    look = found.to_image[2]
    heads = np.asarray(look.weights, np.float64) @ np.asarray(look.values, np.float64)
    joined = heads.transpose(1, 0, 2).reshape(len(look.output), -1)
    weight, bias = (np.asarray(x, np.float64) for x in (last.out_proj.weight, last.out_proj.bias))
    assert np.abs(joined @ weight.T + bias - np.asarray(look.output)).max() < OUTPUTS


@pytest.mark.parametrize("with_mask", [False, True])
def test_the_masks_of_the_quick_way_come_from_the_same_tokens(sam: Sam, tokens: Tensor, with_mask: bool) -> None:
    prompt = _prompt(with_box=False, with_mask=with_mask)
    found = _traced(sam, tokens, prompt)
    with torch.inference_mode():
        scores = sam.decoder.iou_prediction_head(found.tokens[0])[1:]
    ((_, quick),) = sam.decode(tokens, [prompt], multimask=True)
    torch.testing.assert_close(scores, quick, rtol=0, atol=1e-4)
