"""Masks for many single points on one image: the decoder of `mask_decoder.py`, with what the points share done once.

Before the first layer all points see the same image, so its keys, values and queries are projected once, and a point's
scores are products of 16 channels instead of 256. Predicted IoU needs the tokens alone ("Segment Anything", section 3:
a head on the IoU token), so the image of a point without a promising candidate is never upscaled.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from .frame import LOW_RES
from .graphs import BATCHES, filled
from .mask_decoder import MASK_TOKENS, MULTI
from .prompt_encoder import FOREGROUND, PADDING
from .sam import Sam, plain_arithmetic
from .transformer import HEAD_CHANNELS, HEADS, Seen, Told, add_product, look, normed

CANDIDATES = MASK_TOKENS - 1  # that a point has
Parts = list[tuple[Tensor, Tensor]]  # of an image, and the same with positions
Wanted = Callable[[Tensor], Tensor]  # (B, 3) predicted IoU -> (B, 3) bool: whose masks are of interest


class Answers(NamedTuple):
    """What some points gave.

    scores: (B, 3) float32 predicted IoU. point, candidate: (K,) int64 each: of which of those the logits are.
    logits: (K, 256, 256) float32 low-res logits.
    """

    scores: Tensor
    point: Tensor
    candidate: Tensor
    logits: Tensor


class PointDecoder:
    """Decodes foreground points, each on its own, on one image. Calls change nothing, so threads may share it.

    On a CPU `decode` is a job for the crew (`crew.py`): elsewhere the last bits depend on torch's number of threads.

    Args:
        sam: the network. tokens: (4096, 256), the image, as `Sam.encode` gives it. may_record: where the network is
            recorded (`graphs.py`); what is recorded keeps its working memory.
    """

    @plain_arithmetic
    def __init__(self, sam: Sam, tokens: Tensor, *, may_record: bool = True) -> None:
        self._sam, self._decoder, self._may_record = sam, sam.decoder, may_record
        self._first, self._second = sam.decoder.transformer.two_layers()
        self._last = sam.decoder.transformer.final_attn_token_to_image
        self._tokens, self._parts = tokens, sam.decoder.parts  # in turn: a part of one point's image fits a CPU's cache
        self._each = not sam.together  # points go one by one where that avoids copies, together where it avoids calls
        image = tokens + sam.no_mask[0]
        placed = image + sam.positions
        looking, listening = self._first.cross_attn_token_to_image, self._first.cross_attn_image_to_token
        self._image, self._positions = image.chunk(self._parts), sam.positions.chunk(self._parts)
        self._keys = _by_head(looking.k_proj, placed).mT.contiguous()  # (8, 16, 4096)
        self._values = _by_head(looking.v_proj, image).contiguous()  # (8, 4096, 16)
        self._queries = _by_head(listening.q_proj, placed).mT.contiguous()  # (8, 16, 4096)

    @plain_arithmetic
    def decode(self, points: Tensor, wanted: Wanted) -> Answers:
        """The candidates of (B, 2) x y points, model frame, and the masks of those that are wanted.

        On a GPU, where asking would mean waiting, all masks are given.
        """
        if self._each:
            return self._wanted_masks(*self._looked(points.float()), wanted)
        scores, logits = self._every_mask(points.float().to(self._sam.device))
        return Answers(scores, *_all(scores), logits)

    def _every_mask(self, points: Tensor) -> tuple[Tensor, Tensor]:
        graphs, count = self._sam.graphs, len(points)
        if graphs is None or not self._may_record or not 0 < count <= BATCHES[0]:
            return self.every_mask(points)
        recorded = graphs.of("points", partial(_every_mask, self._sam))
        full = torch.cat([points, points[-1:].expand(filled(count) - count, -1)])  # few shapes
        scores, logits = recorded(self._tokens, full)
        return scores[:count], logits[: CANDIDATES * count]

    def every_mask(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 2) x y points on the device -> (B, 3) predicted IoU and (3 B, 256, 256) low-res logits."""
        tokens, images = self._looked(points)
        filters = self._decoder.filters(tokens, MULTI).to(self._sam.dtype)
        logits = self._decoder.multiplied(filters, [self._decoder.upscaling(part) for part, _ in images[0]])
        return self._scores_of(tokens), logits.flatten(0, 1)

    def _looked(self, points: Tensor) -> tuple[Tensor, list[Parts]]:
        """The tokens after the last look, and the image of each group of points."""
        origin = self._origin(points)
        tokens = self._first.among_themselves(origin, origin)
        tokens = self._first.after_looking(tokens, self._first_look(tokens + origin))
        told = self._weights_and_answers(tokens + origin, tokens)
        tokens = self._second.among_themselves(tokens, origin)
        probes = self._second.cross_attn_token_to_image.probes(tokens + origin)
        images, seen = self._second_look(*told, probes)
        tokens = self._second.having_seen(tokens, seen)
        told = self._second.cross_attn_image_to_token.told(tokens + origin, tokens)
        images, seen = self._last_look(images, told, self._last.probes(tokens + origin))
        looked = self._last.joined(seen, tokens.shape[1])
        return self._decoder.transformer.norm_final_attn(tokens + looked), images

    def _origin(self, points: Tensor) -> Tensor:
        """(B, 2) -> (B, 7, 256) float32: the decoder's own five, the point, and the padding of a prompt without box."""
        count = len(points)
        coords = torch.stack([points, torch.zeros_like(points)], 1)
        labels = torch.full((count, 2), PADDING, device=points.device)
        labels[:, 0].fill_(FOREGROUND)
        prompts = self._sam.prompt_encoder.points(coords, labels)
        return torch.cat([self._decoder.own_tokens().expand(count, -1, -1), prompts], 1)

    def _first_look(self, queries: Tensor) -> Tensor:
        """(B, 7, 256) -> (B, 7, 256) float32: what tokens see in the image that all share."""
        attention = self._first.cross_attn_token_to_image
        scores = self._scores(attention.q_proj, queries, self._keys)
        seen = torch.softmax(scores, -1) @ self._values  # (8, B * 7, 16)
        seen = seen.view(HEADS, *queries.shape[:2], HEAD_CHANNELS).permute(1, 2, 0, 3).flatten(2)
        return attention.out_proj(seen.float())

    def _weights_and_answers(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """What the shared image hears: weights (B, 56, 4096) and answers (B, 56, 256) in its dtype."""
        attention = self._first.cross_attn_image_to_token
        scores = self._scores(attention.k_proj, keys, self._queries)
        weights = torch.softmax(scores.view(HEADS, *keys.shape[:2], -1), 2)  # among a point's tokens
        return weights.transpose(0, 1).flatten(1, 2), attention.answers(values).to(weights.dtype)

    def _scores(self, projection: torch.nn.Linear, tokens: Tensor, image: Tensor) -> Tensor:
        """(B, 7, 256) float32 tokens against the shared image (8, 16, 4096) -> (8, B * 7, 4096)."""
        heads = _by_head(projection, tokens.flatten(0, 1)) * HEAD_CHANNELS**-0.5
        return heads.to(image.dtype) @ image

    def _second_look(self, weights: Tensor, answers: Tensor, probes: Tensor) -> tuple[list[Parts], list[Seen]]:
        """The image of each group of points after the first layer, in parts, and what their tokens see in it."""

        def hear(rows: slice, part: int) -> Tensor:
            size = weights.shape[-1] // self._parts
            columns = slice(part * size, (part + 1) * size)
            image = add_product(self._image[part][None], weights[rows, :, columns], answers[rows])
            return normed(self._first.norm4, image)

        return self._round(probes, hear)

    def _last_look(self, images: list[Parts], told: Told, probes: Tensor) -> tuple[list[Parts], list[Seen]]:
        """The same after the second layer."""
        groups = dict(zip((rows.start for rows in self._groups(len(probes))), images, strict=True))

        def hear(rows: slice, part: int) -> Tensor:
            image, placed = groups[rows.start][part]
            return self._second.having_heard(Told(*(one[rows] for one in told)), placed, image)

        return self._round(probes, hear)

    def _round(self, probes: Tensor, hear: Callable[[slice, int], Tensor]) -> tuple[list[Parts], list[Seen]]:
        """What each part of each group's image becomes by hearing, and what probes see in it."""
        images, seen = list[Parts](), list[list[Seen]]()
        for rows in self._groups(len(probes)):
            images.append([])
            seen.append([])
            for part, place in enumerate(self._positions):
                image = hear(rows, part)
                placed = image + place
                images[-1].append((image, placed))
                seen[-1].append(look(probes[rows], placed, image))
        return images, [Seen(*map(torch.cat, zip(*column, strict=True))) for column in zip(*seen, strict=True)]

    def _groups(self, count: int) -> list[slice]:
        return [slice(n, n + 1) for n in range(count)] if self._each else [slice(0, count)]

    def _scores_of(self, tokens: Tensor) -> Tensor:
        return self._decoder.iou_prediction_head(tokens[:, 0])[:, MULTI]

    def _wanted_masks(self, tokens: Tensor, images: list[Parts], wanted: Wanted) -> Answers:
        scores = self._scores_of(tokens)
        filters = self._decoder.filters(tokens, MULTI).to(self._sam.dtype)
        point, candidate = wanted(scores).nonzero().T
        logits = [torch.empty(0, LOW_RES, LOW_RES)]
        for number in point.unique().tolist():
            pixels = [self._decoder.upscaling(part) for part, _ in images[number]]
            own = filters[number, candidate[point == number]]
            logits.append(self._decoder.multiplied(own[None], pixels)[0])
        return Answers(scores, point, candidate, torch.cat(logits))


def _every_mask(sam: Sam, tokens: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    """Of points on one image, with what they share made anew: it is little."""
    return PointDecoder(sam, tokens).every_mask(points)


def _by_head(projection: torch.nn.Linear, rows: Tensor) -> Tensor:
    """(N, 256) -> (8, N, 16) in the dtype of the rows; a projection's weights are float32."""
    weight, bias = projection.weight.to(rows.dtype), projection.bias.to(rows.dtype)
    return F.linear(rows, weight, bias).unflatten(-1, (HEADS, -1)).transpose(0, 1)


def _all(scores: Tensor) -> tuple[Tensor, Tensor]:
    """Every point's every candidate, in order; without a question to the device."""
    numbers = torch.arange(scores.numel(), device=scores.device)
    return numbers // CANDIDATES, numbers % CANDIDATES
