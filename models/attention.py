"""What the decoder's tokens look at: every attention of the two-way transformer, computed as it is written down.

    Attention(Q, K, V) = softmax(Q K^T / sqrt(d_k)) V        Vaswani et al., "Attention is all you need", equation 1

`transformer.py` never keeps these weights, and never makes most of the matrices that they come from: it projects the
few tokens instead of the many. Here all are kept, in float32, and the matrices made for whoever asks.
Source of the order: Kirillov et al., "Segment Anything" (2023), appendix A.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from .mask_decoder import MaskDecoder
from .transformer import HEADS, CrossAttention, SelfAttention, TwoWayLayer


@dataclass(frozen=True, eq=False)
class Look:
    """One attention: N queries look at M keys, by 8 heads of d channels. All float32.

    layer: with whose weights. asked: (N, 256), from which queries are projected; offered, told: (M, 256), from which
    keys and values are. weights: (8, N, M), each row sums to 1; output: (N, 256), all heads' weighted values side by
    side, through the output projection.
    """

    layer: CrossAttention | SelfAttention
    asked: Tensor
    offered: Tensor
    told: Tensor
    weights: Tensor
    output: Tensor

    @cached_property
    def queries(self) -> Tensor:
        """(8, N, d)."""
        return _heads(self.layer.q_proj(self.asked))

    @cached_property
    def keys(self) -> Tensor:
        """(8, M, d)."""
        return _heads(self.layer.k_proj(self.offered))

    @cached_property
    def values(self) -> Tensor:
        """(8, M, d)."""
        return _heads(self.layer.v_proj(self.told))


@dataclass(frozen=True, eq=False)
class Trace:
    """One prompt's way through the decoder.

    among: tokens among themselves, in both layers. to_image: tokens at the image, in both layers and at the end.
    to_tokens: the image at the tokens, in both layers. tokens: (T, 256) float32, at the end.
    """

    among: tuple[Look, Look]
    to_image: tuple[Look, Look, Look]
    to_tokens: tuple[Look, Look]
    tokens: Tensor


def trace(decoder: MaskDecoder, image: Tensor, dense: Tensor, positions: Tensor, prompts: Tensor) -> Trace:
    """Every attention for one prompt.

    Args:
        image: (4096, 256) image embedding; dense: (1 or 4096, 256), the dense prompt; positions: (4096, 256); in any
            dtype. prompts: (N, 256) float32 prompt tokens.
    """
    transformer = decoder.transformer
    origin = torch.cat([decoder.own_tokens(), prompts])
    positions, tokens = positions.float(), origin
    image = image.float() + dense.float()
    among, to_image, to_tokens = list[Look](), list[Look](), list[Look]()
    for layer in transformer.two_layers():
        among.append(_among(layer, tokens, origin))
        tokens = layer.norm1(among[-1].output if layer.first else tokens + among[-1].output)
        to_image.append(_at_image(layer.cross_attn_token_to_image, tokens + origin, image + positions, image))
        tokens = layer.after_looking(tokens, to_image[-1].output)
        to_tokens.append(_at_tokens(layer.cross_attn_image_to_token, image + positions, tokens + origin, tokens))
        image = layer.norm4(image + to_tokens[-1].output)
    last = _at_image(transformer.final_attn_token_to_image, tokens + origin, image + positions, image)
    tokens = transformer.norm_final_attn(tokens + last.output)
    return Trace((among[0], among[1]), (to_image[0], to_image[1], last), (to_tokens[0], to_tokens[1]), tokens)


def _among(layer: TwoWayLayer, tokens: Tensor, origin: Tensor) -> Look:
    """Tokens look at tokens, which are few."""
    attention, placed = layer.self_attn, tokens if layer.first else tokens + origin
    q, k, v = _heads(attention.q_proj(placed)), _heads(attention.k_proj(placed)), _heads(attention.v_proj(tokens))
    weights = torch.softmax(q @ k.mT * q.shape[-1] ** -0.5, -1)
    output = attention.out_proj((weights @ v).transpose(0, 1).flatten(1))
    return Look(attention, placed, placed, tokens, weights, output)


def _at_image(layer: CrossAttention, tokens: Tensor, placed: Tensor, image: Tensor) -> Look:
    """Few look at many: the few are projected, as `transformer.py` says."""
    weights = torch.softmax(layer.probes(tokens[None])[0] @ placed.T, -1)  # (8 T, 4096); a key bias changes nothing
    seen = (weights @ image).view(HEADS, len(tokens), -1) @ layer.v_proj.weight.unflatten(0, (HEADS, -1)).mT
    output = layer.out_proj(seen.transpose(0, 1).flatten(1) + layer.v_proj.bias)
    return Look(layer, tokens, placed, image, weights.view(HEADS, len(tokens), -1), output)


def _at_tokens(layer: CrossAttention, placed: Tensor, keys: Tensor, tokens: Tensor) -> Look:
    """Many look at few: the few are projected here too."""
    said = layer.told(keys[None], tokens[None])
    scores = (said.probes[0] @ placed.T).view(HEADS, len(tokens), -1) + said.offset[0]
    weights = torch.softmax(scores, 1)  # (8, T, 4096)
    output = weights.flatten(0, 1).T @ said.answers[0]
    return Look(layer, placed, keys, tokens, weights.transpose(1, 2), output)


def _heads(projected: Tensor) -> Tensor:
    """(N, 8 d) -> (8, N, d)."""
    return projected.unflatten(-1, (HEADS, -1)).transpose(0, 1)
