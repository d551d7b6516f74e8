"""A patch's attention inside the encoder against the encoder's own arithmetic, and against the equation."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from clickmask.models.frame import Frame
from clickmask.models.patch_attention import patch_attention
from clickmask.models.plain_vit import PlainViT
from clickmask.models.sam import Sam

PHOTO = np.random.default_rng(3).integers(0, 256, (200, 330, 3), np.uint8)
FRAME = Frame.whole(330, 200)


def test_tokens_are_the_encoders_own_and_rows_sum_to_one(sam: Sam) -> None:
    pixels = torch.from_numpy(PHOTO)
    with torch.inference_mode():
        tokens, looks = patch_attention(sam, pixels, FRAME, None, 700.0, 300.0)
        assert torch.equal(tokens, sam.encode(pixels, FRAME))
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
        _, looks = patch_attention(sam, torch.from_numpy(PHOTO), FRAME, None, 700.0, 300.0)
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
        _, looks = patch_attention(sam, torch.from_numpy(PHOTO), FRAME, None, 5.0, 610.0)
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


def test_a_plain_vits_rows_are_those_of_segment_anythings_attention() -> None:
    from segment_anything.modeling.image_encoder import ImageEncoderViT, add_decomposed_rel_pos

    torch.manual_seed(5)
    network = ImageEncoderViT(embed_dim=32, depth=2, num_heads=2, out_chans=256, norm_layer=nn.LayerNorm,
                              use_rel_pos=True, window_size=14, global_attn_indexes=(1,)).eval()  # fmt: skip
    for name, parameter in network.named_parameters():
        if "rel_pos" in name or "pos_embed" in name:
            nn.init.normal_(parameter, std=0.3)
    seen: list[Tensor] = []
    for block in network.blocks:
        block.attn.register_forward_pre_hook(lambda module, words: seen.append(words[0]))
    encoders: Any = _Encoders(PlainViT(network))
    with torch.inference_mode():
        _, looks = patch_attention(encoders, torch.from_numpy(PHOTO), FRAME, None, 700.0, 300.0)
        scaled = encoders.normalise(torch.nn.functional.interpolate(
            torch.from_numpy(PHOTO).permute(2, 0, 1)[None], (621, 1024), mode="bilinear", antialias=True
        )[0].permute(1, 2, 0))  # fmt: skip
        square = torch.nn.functional.pad(scaled, (0, 0, 0, 0, 0, 1024 - 621))
        network(square.permute(2, 0, 1)[None])
        for look, block, given, number in zip(looks, network.blocks, seen, (1 * 5 + 3, 0), strict=True):
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
    assert [look.corner for look in looks] == [(14, 42), (0, 0)] and looks[1].weights.shape == (2, 64, 64)
