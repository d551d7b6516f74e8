"""What the decoder's tokens look at: every attention of the two-way transformer.

    Attention(Q, K, V) = softmax(Q K^T / sqrt(d_k)) V        Vaswani et al., "Attention is all you need", equation 1

`transformer.py` never keeps these weights, and never makes most of the matrices that they come from: it projects the
few tokens instead of the many. Here the weights are kept, in float32, and the matrices made for whoever asks; the image
comes in parts, as there. Source of the order: Kirillov et al., "Segment Anything" (2023), appendix A.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from .frame import LOW_RES
from .mask_decoder import MaskDecoder
from .transformer import HEADS, CrossAttention, Seen, SelfAttention, Spread, TwoWayLayer, in_turn, normed

Parts = Sequence[Tensor]  # of something long, to be joined along its first axis


@dataclass(frozen=True, eq=False)
class Look:
    """One attention: N queries look at M keys, by 8 heads of d channels. All float32.

    layer: with whose weights. asked: (N, 256), from which queries are projected; offered, told: (M, 256), from which
    keys and values are; each in parts. weights: (8, N, M), each row sums to 1.
    """

    layer: CrossAttention | SelfAttention
    asked: Parts
    offered: Parts
    told: Parts
    weights: Tensor
    make_output: Callable[[], Tensor] = field(repr=False)

    @cached_property
    def output(self) -> Tensor:
        """(N, 256): all heads' weighted values side by side, through the output projection, as the decoder has it."""
        return self.make_output()

    @cached_property
    def queries(self) -> Tensor:
        """(8, N, d)."""
        return _heads(self.layer.q_proj(self.asking()))

    @cached_property
    def keys(self) -> Tensor:
        """(8, M, d)."""
        return _heads(self.layer.k_proj(torch.cat(list(self.offered))))

    @cached_property
    def values(self) -> Tensor:
        """(8, M, d)."""
        return _heads(self.layer.v_proj(torch.cat(list(self.told))))

    @cached_property
    def scores(self) -> Tensor:
        """(8, N, M): queries keys^T / sqrt(d)."""
        return self.queries @ self.keys.mT * self.queries.shape[-1] ** -0.5

    @cached_property
    def heard(self) -> Tensor:
        """(8, N, d): weights values, what each head tells each query."""
        return self.weights @ self.values

    def asking(self) -> Tensor:
        """(N, 256), from which queries are projected."""
        return torch.cat(list(self.asked))


@dataclass(frozen=True, eq=False)
class Trace:
    """One prompt's way through the decoder.

    among: tokens among themselves, in both layers. to_image: tokens at the image, in both layers and at the end.
    to_tokens: the image at the tokens, in both layers. tokens: (T, 256) float32, at the end. image: (4096, 256), at the
    end, in parts. decoder: whose way it was.
    """

    decoder: MaskDecoder
    among: tuple[Look, Look]
    to_image: tuple[Look, Look, Look]
    to_tokens: tuple[Look, Look]
    tokens: Tensor
    image: Parts

    def filter(self, number: int) -> Tensor:
        """(32,) float32: what a mask's token, 0 to 3, becomes; its product with the pixels is the mask's logits."""
        return self.decoder.filters(self.tokens[None], slice(number, number + 1))[0, 0]

    @cached_property
    def pixels(self) -> Tensor:
        """(256, 256, 32) float32: the upscaled image, made in the decoder's precision."""
        upscaling, order = self.decoder.upscaling, self.decoder.order
        parts = [upscaling(part[None].to(upscaling.first.weight.dtype))[0][order] for part in self.image]
        return torch.cat(parts).float().view(LOW_RES, LOW_RES, -1)


class _Round(NamedTuple):
    """What a round of work made of each part of the image; see `_round`."""

    image: list[Tensor]
    placed: list[Tensor]
    heard: list[Tensor]
    seen: list[Seen]
    looks: list[Tensor]


def trace(
    decoder: MaskDecoder, image: Tensor, dense: Tensor, positions: Tensor, prompts: Tensor, spread: Spread = in_turn
) -> Trace:
    """Every attention for one prompt.

    Args:
        image: (4096, 256) image embedding; dense: (1 or 4096, 256), the dense prompt; positions: (4096, 256); in any
            dtype. prompts: (N, 256) float32 prompt tokens. spread: does the work on each part of the image.
    """
    transformer = decoder.transformer
    first, second = transformer.two_layers()
    last = transformer.final_attn_token_to_image
    origin = torch.cat([decoder.own_tokens(), prompts])
    images, denses, places = (
        whole.chunk(decoder.parts) for whole in (image, dense.expand(len(image), -1), positions.float())
    )

    def begin(part: Tensor, dense: Tensor) -> tuple[Tensor, Tensor]:
        return part.float() + dense, part.new_empty(0)

    among1, tokens = _among(first, origin, origin)
    looking = first.cross_attn_token_to_image
    one = _round(begin, looking, tokens + origin, spread, images, denses, places)
    look1 = _looked(looking, tokens + origin, one)
    tokens = first.after_looking(tokens, look1.output)
    hear1 = _hearing(first, tokens + origin, tokens)
    heard_with = tokens
    among2, tokens = _among(second, tokens, origin)
    looking = second.cross_attn_token_to_image
    two = _round(hear1, looking, tokens + origin, spread, one.image, one.placed, places)
    listen1 = _listened(first, heard_with + origin, heard_with, one, two)
    look2 = _looked(looking, tokens + origin, two)
    tokens = second.after_looking(tokens, look2.output)
    hear2 = _hearing(second, tokens + origin, tokens)
    end = _round(hear2, last, tokens + origin, spread, two.image, two.placed, places)
    listen2 = _listened(second, tokens + origin, tokens, two, end)
    look3 = _looked(last, tokens + origin, end)
    tokens = transformer.norm_final_attn(tokens + look3.output)
    return Trace(decoder, (among1, among2), (look1, look2, look3), (listen1, listen2), tokens, end.image)


def _among(layer: TwoWayLayer, tokens: Tensor, origin: Tensor) -> tuple[Look, Tensor]:
    """Tokens look at tokens, which are few; and what becomes of them."""
    attention, placed = layer.self_attn, tokens if layer.first else tokens + origin
    q, k, v = _heads(attention.q_proj(placed)), _heads(attention.k_proj(placed)), _heads(attention.v_proj(tokens))
    weights = torch.softmax(q @ k.mT * q.shape[-1] ** -0.5, -1)
    output = attention.out_proj((weights @ v).transpose(0, 1).flatten(1))
    look = Look(attention, [placed], [placed], [tokens], weights, lambda: output)
    return look, layer.norm1(output if layer.first else tokens + output)


def _round(
    hear: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]],
    looking: CrossAttention,
    queries: Tensor,
    spread: Spread,
    *columns: Parts,
) -> _Round:
    """What each part of the image becomes by `hear`, with the weights by which it listens to the tokens, and what the
    tokens see in it then, with the weights by which they look: exp(score - top), not yet divided by their sum."""
    probes = looking.probes(queries[None])[0]

    def work(image: Tensor, placed: Tensor, positions: Tensor) -> tuple[Tensor, Tensor, Tensor, Seen, Tensor]:
        image, heard = hear(image, placed)
        placed = image + positions
        scores = probes @ placed.T
        top = scores.amax(-1, keepdim=True)
        weights = scores.sub_(top).exp_()
        seen = Seen(top[None], weights.sum(-1, keepdim=True)[None], (weights @ image)[None])
        return image, placed, heard, seen, weights

    return _Round(*(list(column) for column in zip(*spread(work, *columns), strict=True)))


def _hearing(layer: TwoWayLayer, placed: Tensor, tokens: Tensor) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """What a part of the image becomes by listening to tokens, and the weights of it."""
    told = layer.cross_attn_image_to_token.told(placed[None], tokens[None])

    def hear(image: Tensor, placed: Tensor) -> tuple[Tensor, Tensor]:
        scores = (told.probes[0] @ placed.T).view(HEADS, len(tokens), -1) + told.offset[0]
        weights = torch.softmax(scores, 1)  # (8, T, n)
        image = torch.addmm(image, weights.flatten(0, 1).T, told.answers[0])
        return normed(layer.norm4, image), weights

    return hear


def _looked(layer: CrossAttention, queries: Tensor, done: _Round) -> Look:
    """Few look at many: the few are projected, as `transformer.py` says."""
    output = layer.joined(done.seen, len(queries))[0]
    top = torch.stack([part.top[0] for part in done.seen]).amax(0)
    shares = [torch.exp(part.top[0] - top) for part in done.seen]
    total = sum((share * part.total[0] for share, part in zip(shares, done.seen, strict=True)), torch.zeros_like(top))
    weights = torch.cat([part * (share / total) for part, share in zip(done.looks, shares, strict=True)], -1)
    by_head = weights.view(HEADS, len(queries), -1)
    return Look(layer, [queries], done.placed, done.image, by_head, lambda: output)


def _listened(layer: TwoWayLayer, placed: Tensor, tokens: Tensor, before: _Round, after: _Round) -> Look:
    """Many look at few: the few are projected here too."""
    attention, weights = layer.cross_attn_image_to_token, torch.cat(after.heard, -1)

    def output() -> Tensor:
        return weights.flatten(0, 1).T @ attention.answers(tokens[None])[0]

    return Look(attention, before.placed, [placed], [tokens], weights.transpose(1, 2), output)


def _heads(projected: Tensor) -> Tensor:
    """(N, 8 d) -> (8, N, d)."""
    return projected.unflatten(-1, (HEADS, -1)).transpose(0, 1)
