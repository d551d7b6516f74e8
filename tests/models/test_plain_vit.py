"""ViT-B, L and H: our forward against segment_anything's own modules, on random weights."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from segment_anything.modeling.image_encoder import Attention, ImageEncoderViT, window_partition, window_unpartition
from torch import Tensor, nn

from clickmask.models.plain_vit import Form, PlainViT, attention, augmented, from_windows, in_chunks, to_windows

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"))]


@pytest.fixture(autouse=True)
def _no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


def _attention(side: int, channels: int, device: str) -> Attention:
    torch.manual_seed(side + channels)
    layer = Attention(2 * channels, num_heads=2, use_rel_pos=True, input_size=(side, side))
    nn.init.normal_(layer.rel_pos_h, std=0.2)
    nn.init.normal_(layer.rel_pos_w, std=0.2)
    return layer.to(device)


@pytest.mark.parametrize("form", [augmented, in_chunks])
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("channels", [64, 80])
@pytest.mark.parametrize("side", [14, 64])
def test_each_form_of_attention_is_segment_anythings(
    side: int, channels: int, batch: int, device: str, form: Form
) -> None:
    """float32 to 1e-4; bfloat16 to 2 % of the output's size, which is what its 8 bits of mantissa leave."""
    layer = _attention(side, channels, device)
    x = torch.randn(batch, side, side, 2 * channels, device=device)
    expected = layer(x)
    assert (layer.proj(attention(layer, layer.qkv(x), form)) - expected).abs().max() < 1e-4
    layer, x = layer.bfloat16(), x.bfloat16()
    given = layer.proj(attention(layer, layer.qkv(x), form)).float()
    assert (given - expected).norm() < 0.02 * expected.norm()


def test_relative_positions_matter() -> None:
    layer = _attention(14, 64, "cpu")
    x = torch.randn(1, 14, 14, 128)
    before = attention(layer, layer.qkv(x))
    layer.rel_pos_w.zero_()
    assert (attention(layer, layer.qkv(x)) - before).abs().max() > 0.01


def test_table_of_another_size_is_scaled_as_segment_anything_scales_it() -> None:
    layer = _attention(20, 64, "cpu")
    x = torch.randn(1, 14, 14, 128)
    torch.testing.assert_close(layer.proj(attention(layer, layer.qkv(x))), layer(x), atol=1e-4, rtol=0)


def test_windows_are_segment_anythings_and_filled_with_the_padding() -> None:
    rows, padding = torch.randn(2, 64, 64, 6), torch.randn(6)
    windows = to_windows(rows, padding, 14)
    shifted, padded = window_partition(rows - padding, 14)
    torch.testing.assert_close(windows, shifted + padding)
    assert torch.equal(from_windows(windows, 2, 14), window_unpartition(windows, 14, padded, (64, 64)))


@pytest.mark.parametrize("device", DEVICES)
def test_encoder_is_segment_anythings(device: str) -> None:
    torch.manual_seed(0)
    network = ImageEncoderViT(
        embed_dim=128, depth=2, num_heads=2, window_size=14, global_attn_indexes=(1,), use_rel_pos=True
    )
    for name, tensor in network.named_parameters():
        if "rel_pos" in name or "pos_embed" in name:
            tensor.normal_(std=0.2)
    network = network.to(device).eval()
    pixels = torch.randn(2, 1024, 1024, 3, device=device)
    expected: Tensor = network(pixels.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    # On a GPU the convolutions of both multiply in TF32 (10 bits of mantissa), torch's default there.
    exact = 2e-4 if device == "cpu" else 2e-3
    torch.testing.assert_close(PlainViT(network).forward_tokens(pixels), expected, atol=exact, rtol=0)
