"""Prompts become the embeddings that segment_anything's own encoder gives on the same weights."""

from __future__ import annotations

import pytest
import torch
from segment_anything.modeling import PromptEncoder as Original
from torch import Tensor

from clickmask.models.checkpoints import load_checkpoint
from clickmask.models.frame import MODEL_SIDE
from clickmask.models.prompt_encoder import PromptEncoder
from clickmask.models.sam import PromptTensors


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tensor]:
    state = load_checkpoint("vit_t", cache_dir=tmp_path_factory.mktemp("none")).state
    start = "prompt_encoder."
    return {name.removeprefix(start): tensor for name, tensor in state.items() if name.startswith(start)}


@pytest.fixture(scope="module")
def ours(state: dict[str, Tensor]) -> PromptEncoder:
    encoder = PromptEncoder()
    encoder.load_state_dict(state, strict=True)
    return encoder.requires_grad_(False).eval()


@pytest.fixture(scope="module")
def original(state: dict[str, Tensor]) -> Original:
    encoder = Original(256, (64, 64), (MODEL_SIDE, MODEL_SIDE), 16)
    encoder.load_state_dict(state, strict=True)
    return encoder.requires_grad_(False).eval()


def _near(one: Tensor, other: Tensor) -> None:
    torch.testing.assert_close(one, other, rtol=0, atol=2e-5)


POINTS = torch.tensor([[0.0, 0.0], [1023.9, 500.25], [3.5, 1000.0]])
BOX = torch.tensor([10.0, 20.5, 900.0, 683.0])


@pytest.mark.parametrize("labels", [[1, 1, 1], [0, 0, 0], [1, 0, 1]])
def test_points_alone_equal_the_original_with_its_padding_point(
    ours: PromptEncoder, original: Original, labels: list[int]
) -> None:
    packed = PromptTensors.pack(POINTS, torch.tensor(labels), None)
    theirs, _ = original((POINTS[None], torch.tensor([labels])), None, None)
    _near(ours.points(packed.coords[None], packed.labels[None]), theirs)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_box_with_points_equals_the_original(ours: PromptEncoder, original: Original, count: int) -> None:
    points, labels = POINTS[:count], torch.tensor([1, 0, 1])[:count]
    packed = PromptTensors.pack(points, labels, BOX)
    theirs, _ = original((points[None], labels[None]) if count else None, BOX[None], None)
    _near(ours.points(packed.coords[None], packed.labels[None]), theirs)


def test_no_points_and_no_box_give_no_tokens(ours: PromptEncoder, original: Original) -> None:
    packed = PromptTensors.pack(POINTS[:0], torch.tensor([], dtype=torch.int64), None)
    assert ours.points(packed.coords[None], packed.labels[None]).shape == (1, 0, 256)
    theirs, _ = original(None, None, torch.zeros(1, 1, 256, 256))
    assert theirs.shape == (1, 0, 256)


def test_position_of_a_padding_point_does_not_matter(ours: PromptEncoder) -> None:
    labels = torch.tensor([[-1]])
    near, far = (ours.points(torch.full((1, 1, 2), at), labels) for at in (0.0, 700.0))
    assert torch.equal(near, far)


def test_earlier_masks_equal_the_original(ours: PromptEncoder, original: Original) -> None:
    logits = 8 * torch.randn(2, 256, 256, generator=torch.Generator().manual_seed(1))
    _, theirs = original(None, None, logits[:, None])
    _near(ours.dense(logits), theirs.flatten(2).transpose(1, 2))


def test_positions_of_the_image_equal_the_original(ours: PromptEncoder, original: Original) -> None:
    _near(ours.image_positions(), original.get_dense_pe()[0].flatten(1).T)


def test_half_a_pixel_is_added_to_coordinates(ours: PromptEncoder) -> None:
    """The middle of an 16 x 16 patch is the position of its token: (7.5 + 0.5) / 1024 = 0.5 / 64."""
    at = torch.tensor([[[7.5, 7.5], [16 * 63 + 7.5, 7.5], [7.5, 16 * 2 + 7.5]]])
    positions = ours.points(at, torch.ones(1, 3, dtype=torch.int64)) - ours.point_embeddings[1].weight
    _near(positions[0], ours.image_positions()[[0, 63, 2 * 64]])
