"""A patch's attention inside the encoder against the encoder's own arithmetic, and against the equation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from clickmask.models.encoder_attention import PatchLook, Watched, _Plain, watch
from clickmask.models.frame import Frame
from clickmask.models.plain_vit import PlainViT
from clickmask.models.sam import Sam

PHOTO = np.random.default_rng(3).integers(0, 256, (200, 330, 3), np.uint8)
FRAME = Frame.whole(330, 200)


def _looks(watched: Watched, x: float, y: float) -> list[PatchLook]:
    return [block.look(x, y) for block in watched.blocks]


def test_tokens_are_the_encoders_own_and_rows_sum_to_one(sam: Sam) -> None:
    pixels = torch.from_numpy(PHOTO)
    with torch.inference_mode():
        watched = watch(sam, pixels, FRAME, None)
        looks = _looks(watched, 700.0, 300.0)
        assert torch.equal(watched.tokens, sam.encode(pixels, FRAME))
    assert [look.block for look in looks][:3] == ["stage 1, block 1", "stage 1, block 2", "stage 2, block 1"]
    assert len(looks) == 10 and {look.weights.shape for look in looks} == {(4, 7, 7), (5, 14, 14), (10, 7, 7)}
    assert looks[0].place == (37, 87) and looks[-1].place == (18, 43) and looks[-1].corner == (14, 42)
    for look in looks:
        assert torch.allclose(look.weights.sum((1, 2)), torch.ones(len(look.weights)), atol=1e-5)


def test_weights_times_values_are_what_the_block_makes_of_the_patch(sam: Sam) -> None:
    """By the block's own attention, whose output at the patch is projection(weights V) and the residual."""
    attention: Any = sam.encoder.stages[2].blocks[0].attention
    given: list[Tensor] = []
    with torch.inference_mode():
        hook = attention.register_forward_pre_hook(lambda module, words: given.append(words[0].clone()))
        sam.encode(torch.from_numpy(PHOTO), FRAME)
        hook.remove()
        looks = _looks(watch(sam, torch.from_numpy(PHOTO), FRAME, None), 700.0, 300.0)
        look, x = looks[8], given[0]
        from clickmask.models.windows import window_index

        index = window_index(*x.shape[:3], attention.window, attention.heads, x.device)
        heard = (attention(x, index) - x)[0, look.place[0], look.place[1]]
        (top, left), side = look.corner, attention.window
        part = attention.norm(x[0, top : top + side, left : left + side].float())
        values = attention.qkv(part.reshape(side**2, -1)).view(side**2, 3, attention.heads, -1)[:, 2]
        own = torch.einsum("hp,phc->hc", look.weights.flatten(1), values).flatten()
        expected = attention.proj(own[None])[0]
    assert look.block == "stage 3, block 1"
    torch.testing.assert_close(heard, expected, rtol=0, atol=1e-4)


def test_weights_are_the_equation_in_float64(sam: Sam) -> None:
    with torch.inference_mode():
        looks = _looks(watch(sam, torch.from_numpy(PHOTO), FRAME, None), 5.0, 610.0)
    for look in looks:
        query, keys, bias = (np.asarray(x, np.float64) for x in (look.query, look.keys, look.bias))
        scores = (keys @ query[..., None])[..., 0] + bias.reshape(len(bias), -1)
        shares = np.exp(scores - scores.max(-1, keepdims=True))
        shares /= shares.sum(-1, keepdims=True)
        assert np.abs(shares.reshape(bias.shape) - np.asarray(look.weights)).max() < 1e-5


class _Encoders:
    """As much of a `Sam` as a plain ViT's attention needs."""

    def __init__(self, encoder: PlainViT) -> None:
        self.encoder, self.device, self.padding = encoder, torch.device("cpu"), None

    normalise = Sam.normalise


def _small_vit() -> Any:
    from segment_anything.modeling.image_encoder import ImageEncoderViT

    torch.manual_seed(5)
    network = ImageEncoderViT(embed_dim=32, depth=3, num_heads=2, out_chans=256, norm_layer=nn.LayerNorm,
                              use_rel_pos=True, window_size=14, global_attn_indexes=(1,)).eval()  # fmt: skip
    for name, parameter in network.named_parameters():
        if "rel_pos" in name or "pos_embed" in name or "qkv" in name:
            nn.init.normal_(parameter, std=0.3)
    return _Encoders(PlainViT(network))


def test_a_plain_vits_rows_are_those_of_segment_anythings_attention() -> None:
    from segment_anything.modeling.image_encoder import add_decomposed_rel_pos

    encoders = _small_vit()
    network = encoders.encoder.network
    seen: list[Tensor] = []
    for block in network.blocks:
        block.attn.register_forward_pre_hook(lambda module, words: seen.append(words[0]))
    with torch.inference_mode():
        watched = watch(encoders, torch.from_numpy(PHOTO), FRAME, None)
        looks = _looks(watched, 700.0, 300.0)
        scaled = encoders.normalise(torch.nn.functional.interpolate(
            torch.from_numpy(PHOTO).permute(2, 0, 1)[None], (621, 1024), mode="bilinear", antialias=True
        )[0].permute(1, 2, 0))  # fmt: skip
        square = torch.nn.functional.pad(scaled, (0, 0, 0, 0, 0, 1024 - 621))
        network(square.permute(2, 0, 1)[None])
        for look, block, given, number in zip(looks, network.blocks, seen, (1 * 5 + 3, 0, 1 * 5 + 3), strict=True):
            attn, (_, height, width, _) = block.attn, given.shape
            qkv = attn.qkv(given).reshape(len(given), height * width, 3, 2, -1).permute(2, 0, 3, 1, 4)
            q, k, _ = qkv.reshape(3, len(given) * 2, height * width, -1).unbind(0)
            scores = (q * attn.scale) @ k.transpose(-2, -1)
            size = (height, width)
            scores = add_decomposed_rel_pos(scores, q, attn.rel_pos_h, attn.rel_pos_w, size, size)
            row, column = look.place[0] - look.corner[0], look.place[1] - look.corner[1]
            weights = scores.softmax(-1).view(len(given), 2, height * width, height, width)
            expected = weights[number, :, row * width + column]
            torch.testing.assert_close(look.weights, expected, rtol=0, atol=1e-5)
    assert [look.corner for look in looks] == [(14, 42), (0, 0), (14, 42)] and looks[1].weights.shape == (2, 64, 64)


def test_shares_are_passed_on_by_the_rows_of_a_block() -> None:
    """Those that `look` gives, where what goes to a window's padding is shared among its own places."""
    with torch.inference_mode():
        for block in watch(_small_vit(), torch.from_numpy(PHOTO), FRAME, None).blocks:
            assert isinstance(block, _Plain)
            share, expected = torch.zeros(64, 64), torch.zeros(64, 64)
            for row, column in ((0, 0), (3, 9), (39, 60), (63, 63)):
                share[row, column] = 1 + row
                look = block.look(column * 16.0, row * 16.0)
                (top, left), weights = look.corner, look.weights
                own = weights[:, : 64 - top, : 64 - left]
                own = (own / own.sum((1, 2), keepdim=True)).mean(0)
                expected[top : top + own.shape[0], left : left + own.shape[1]] += share[row, column] * own
            torch.testing.assert_close(block.passed_on(share), expected, rtol=1e-4, atol=1e-7)


def test_rollout_keeps_half_and_passes_half_on_in_each_block() -> None:
    with torch.inference_mode():
        watched = watch(_small_vit(), torch.from_numpy(PHOTO), FRAME, None)
        first, second, third = (block for block in watched.blocks if isinstance(block, _Plain))
        share = torch.zeros(64, 64)
        share[39, 60] = 1
        for block in (third, second, first):
            share = share / 2 + block.passed_on(share) / 2
        steps = watched.rollout(60 * 16.0 + 15, 39 * 16.0)
        assert steps is not None
        *_, found = steps
    assert abs(found.sum() - 1) < 1e-5 and found[39, 60] > 1 / 8
    torch.testing.assert_close(found, share, rtol=0, atol=1e-7)


def test_tiny_vit_has_no_rollout(sam: Sam) -> None:
    with torch.inference_mode():
        assert watch(sam, torch.from_numpy(PHOTO), FRAME, None).rollout(700.0, 300.0) is None


@pytest.mark.parametrize(("x", "y"), [(700.0, 300.0), (0.0, 0.0), (1023.0, 620.0)])
def test_the_first_layer_is_the_encoders_own(sam: Sam, x: float, y: float) -> None:
    tiny: Any = sam.encoder
    with torch.inference_mode():
        watched = watch(sam, torch.from_numpy(PHOTO), FRAME, None)
        square = torch.nn.functional.pad(sam.normalise(watched.scaled), (0, 0, 0, 0, 0, 1024 - 621))
        found = watched.first_layer(x, y)
        expected = tiny.stem1(square[None])[0, int(y) // 2, int(x) // 2]
        assert found.side == 3 and found.weights.shape == (27, 32)
        torch.testing.assert_close(torch.nn.functional.gelu(found.output), expected, rtol=0, atol=1e-5)
        vit = _small_vit()
        found = watch(vit, torch.from_numpy(PHOTO), FRAME, None).first_layer(x, y)
        expected = vit.encoder.network.patch_embed(square.permute(2, 0, 1)[None])[0, int(y) // 16, int(x) // 16]
        assert (
            found.side == 16
            and found.weights.shape == (768, 32)
            and found.corner == (int(y) // 16 * 16, int(x) // 16 * 16)
        )
        torch.testing.assert_close(found.output, expected, rtol=0, atol=1e-5)
