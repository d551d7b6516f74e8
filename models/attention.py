"""What the decoder's tokens look at: every attention of the two-way transformer, computed as it is written down.

    Attention(Q, K, V) = softmax(Q K^T / sqrt(d_k)) V        Vaswani et al., "Attention is all you need", equation 1

`transformer.py` never makes most of these matrices: it projects the few tokens instead of the many. Here they are made
one by one, in float32, from the same weights, for whoever wants to see them. The masks are the same.
Source of the order: Kirillov et al., "Segment Anything" (2023), appendix A.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .mask_decoder import MaskDecoder
from .transformer import HEADS, CrossAttention, SelfAttention, TwoWayLayer


@dataclass(frozen=True, eq=False)
class Look:
    """One attention: N queries look at M keys, by 8 heads of d channels. All float32.

    queries: (8, N, d); keys, values: (8, M, d); weights: (8, N, M), each row sums to 1; output: (N, 256), all heads'
    weighted values side by side, through the output projection.
    """

    queries: Tensor
    keys: Tensor
    values: Tensor
    weights: Tensor
    output: Tensor


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
        to_image.append(attend(layer.cross_attn_token_to_image, tokens + origin, image + positions, image))
        tokens = layer.after_looking(tokens, to_image[-1].output)
        to_tokens.append(attend(layer.cross_attn_image_to_token, image + positions, tokens + origin, tokens))
        image = layer.norm4(image + to_tokens[-1].output)
    last = attend(transformer.final_attn_token_to_image, tokens + origin, image + positions, image)
    tokens = transformer.norm_final_attn(tokens + last.output)
    return Trace((among[0], among[1]), (to_image[0], to_image[1], last), (to_tokens[0], to_tokens[1]), tokens)


def _among(layer: TwoWayLayer, tokens: Tensor, origin: Tensor) -> Look:
    placed = tokens if layer.first else tokens + origin
    return attend(layer.self_attn, placed, placed, tokens)


def attend(layer: CrossAttention | SelfAttention, queries: Tensor, keys: Tensor, values: Tensor) -> Look:
    """(N, 256) queries, (M, 256) keys and values, before their projections."""
    q, k, v = (
        projection(x).unflatten(-1, (HEADS, -1)).transpose(0, 1)
        for projection, x in ((layer.q_proj, queries), (layer.k_proj, keys), (layer.v_proj, values))
    )
    weights = torch.softmax(q @ k.mT * q.shape[-1] ** -0.5, -1)
    output = layer.out_proj((weights @ v).transpose(0, 1).flatten(1))
    return Look(q, k, v, weights, output)
