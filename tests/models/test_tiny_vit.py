"""Our TinyViT against a plain one with the official weights, on squares and on rectangles."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn

from clickmask.models import image_encoder
from clickmask.models.checkpoints import Checkpoint, load_checkpoint
from clickmask.models.image_encoder import build_image_encoder

from .reference_tiny_vit import ConvNorm, ReferenceTinyViT

CPU = torch.device("cpu")
BOUND = 1e-5  # of embeddings that reach from -0.7 to 0.7

# Height and width; windows are 7 tokens of 8 and 16 pixels, and 14 of 16 pixels wide.
RECTANGLES = [(16, 16), (16, 240), (240, 16), (48, 112), (224, 224), (112, 336), (256, 368), (576, 336)]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return load_checkpoint("vit_t", cache_dir=tmp_path_factory.mktemp("none"))


def _official(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    start = "image_encoder."
    return {name.removeprefix(start): tensor for name, tensor in state.items() if name.startswith(start)}


def _reference(state: Mapping[str, Tensor]) -> nn.Module:
    reference = ReferenceTinyViT()
    reference.load_state_dict(_official(state), strict=True)
    return reference.requires_grad_(False).eval()


@pytest.fixture(scope="module")
def reference(checkpoint: Checkpoint) -> nn.Module:
    return _reference(checkpoint.state)


@pytest.fixture(scope="module")
def encoder(checkpoint: Checkpoint) -> image_encoder.ImageEncoder:
    return build_image_encoder(checkpoint, CPU, torch.float32)


def _picture(height: int, width: int, batch: int = 1) -> Tensor:
    """(B, H, W, 3) smooth random colours with edges, zero mean and unit variance, the same for the same size."""
    generator = torch.Generator().manual_seed(height * 1031 + width)
    coarse = torch.randn(batch, 3, height // 16 + 1, width // 16 + 1, generator=generator)
    picture = nn.functional.interpolate(coarse, (height, width), mode="bilinear") + 0.1 * torch.randn(
        batch, 3, height, width, generator=generator
    )
    picture[..., height // 3 :, width // 4 :] *= -1
    return picture.permute(0, 2, 3, 1).contiguous()


def _apart(one: Tensor, other: Tensor) -> float:
    assert one.shape == other.shape
    return float((one.float() - other.float()).abs().max())


def _plain(reference: nn.Module, picture: Tensor) -> Tensor:
    return reference(picture.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


@pytest.mark.parametrize(("height", "width"), RECTANGLES)
def test_rectangle_equals_the_plain_encoder(
    encoder: image_encoder.TinyViT, reference: nn.Module, height: int, width: int
) -> None:
    picture = _picture(height, width)
    tokens = encoder.forward_tokens(picture)
    assert tokens.shape == (1, height // 16, width // 16, 256)
    assert _apart(tokens, _plain(reference, picture)) < BOUND


def test_padded_square_equals_the_plain_encoder(encoder: image_encoder.TinyViT, reference: nn.Module) -> None:
    picture = torch.zeros(1, 1024, 1024, 3)
    picture[:, :400] = _picture(400, 1024)
    assert _apart(encoder.forward_tokens(picture), _plain(reference, picture)) < BOUND


def test_batch_equals_one_by_one(encoder: image_encoder.TinyViT) -> None:
    pictures = _picture(160, 272, batch=3)
    alone = torch.cat([encoder.forward_tokens(picture[None]) for picture in pictures])
    assert _apart(encoder.forward_tokens(pictures), alone) < BOUND


def test_forward_takes_and_gives_channels_first(encoder: image_encoder.TinyViT) -> None:
    picture = _picture(64, 96)
    embedding = encoder(picture.permute(0, 3, 1, 2))
    assert torch.equal(embedding.permute(0, 2, 3, 1), encoder.forward_tokens(picture))


def test_input_is_left_as_it_was(encoder: image_encoder.TinyViT) -> None:
    picture = _picture(64, 96)
    before = picture.clone()
    encoder.forward_tokens(picture)
    assert torch.equal(picture, before)


def test_without_the_cpu_librarys_fused_kernels_the_result_is_the_same(
    checkpoint: Checkpoint, reference: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The way of every GPU."""
    monkeypatch.setattr(image_encoder, "has_fused_kernels", lambda: False)
    plain = build_image_encoder(checkpoint, CPU, torch.float32)
    for height, width in RECTANGLES[:5]:
        picture = _picture(height, width)
        assert _apart(plain.forward_tokens(picture), _plain(reference, picture)) < BOUND


def test_bfloat16_is_the_same_embedding_to_three_digits(checkpoint: Checkpoint, encoder: image_encoder.TinyViT) -> None:
    quick = build_image_encoder(checkpoint, CPU, torch.bfloat16)
    picture = _picture(256, 368)
    exact, rounded = encoder.forward_tokens(picture), quick.forward_tokens(picture.bfloat16())
    assert rounded.dtype == torch.bfloat16
    assert float((rounded.float() - exact).square().mean().sqrt() / exact.square().mean().sqrt()) < 0.05


def test_encoder_moved_to_another_dtype_and_back_keeps_working(checkpoint: Checkpoint, reference: nn.Module) -> None:
    moved = build_image_encoder(checkpoint, CPU, torch.float32).to(torch.float64).to(torch.float32)
    picture = _picture(48, 112)
    assert _apart(moved.forward_tokens(picture), _plain(reference, picture)) < BOUND


def test_batch_norm_that_is_not_the_identity_is_folded_rightly(checkpoint: Checkpoint) -> None:
    """The embedded file has its norms folded already; the official mobile_sam.pt does not."""
    draw = torch.Generator().manual_seed(3)
    state = dict(checkpoint.state)
    norms = {name.rpartition(".")[0] for name in state if name.endswith(".bn.running_var")}
    assert len(norms) == sum(isinstance(part, ConvNorm) for part in ReferenceTinyViT().modules())
    for norm in norms:
        size = state[f"{norm}.bias"].shape
        for kind in ("bias", "running_mean"):
            state[f"{norm}.{kind}"] = state[f"{norm}.{kind}"] + 0.1 * torch.randn(size, generator=draw)
        for kind in ("weight", "running_var"):
            state[f"{norm}.{kind}"] = state[f"{norm}.{kind}"] * (0.8 + 0.4 * torch.rand(size, generator=draw))
    ours = build_image_encoder(Checkpoint(state, checkpoint.architecture, "a test"), CPU, torch.float32)
    picture = _picture(48, 112)
    exact = _plain(_reference(state), picture)
    assert _apart(exact, _plain(_reference(checkpoint.state), picture)) > 0.01
    assert _apart(ours.forward_tokens(picture), exact) < BOUND


def test_weights_are_frozen(encoder: image_encoder.TinyViT) -> None:
    assert not any(parameter.requires_grad for parameter in encoder.parameters())
    assert not encoder.forward_tokens(_picture(16, 16)).requires_grad
