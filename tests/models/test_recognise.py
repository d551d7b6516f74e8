"""What network a state dict is, and why others are refused."""

from __future__ import annotations

import re

import pytest
import torch
from torch import Tensor

from clickmask.models.errors import CheckpointError
from clickmask.models.layout import tiny_vit_layout, vit_layout
from clickmask.models.recognise import recognise
from clickmask.models.variants import VARIANTS

State = dict[str, Tensor]


def _empty(layout: dict[str, tuple[int, ...]]) -> State:
    """Tensors of those shapes that take no memory."""
    return {name: torch.empty(shape, device="meta") for name, shape in layout.items()}


def _named(*names: str) -> State:
    return {name: torch.zeros(2, 2) for name in names}


@pytest.fixture
def vit() -> State:
    return _empty(vit_layout(48, 3, 4, (1,)))


@pytest.mark.parametrize("name", ["vit_b", "vit_l", "vit_h"])
def test_official_sizes_are_recognised(name: str) -> None:
    row = VARIANTS[name]
    found = recognise(_empty(vit_layout(row.embed_dim, row.depth, row.heads, row.global_attention)))
    assert found.variant == name
    assert found.title == row.title
    assert (found.embed_dim, found.depth, found.heads) == (row.embed_dim, row.depth, row.heads)
    assert found.global_attention == row.global_attention


def test_mobile_sam_is_recognised() -> None:
    found = recognise(_empty(tiny_vit_layout()))
    assert (found.kind, found.variant) == ("tiny_vit", "vit_t")


def test_vit_of_its_own_size_is_recognised_without_a_name(vit: State) -> None:
    found = recognise(vit)
    assert (found.embed_dim, found.depth, found.heads, found.global_attention) == (48, 3, 4, (1,))
    assert found.variant is None
    assert "48" in found.title and "3 blocks" in found.title


def test_vit_b_with_another_choice_of_global_blocks_is_not_called_vit_b() -> None:
    row = VARIANTS["vit_b"]
    found = recognise(_empty(vit_layout(row.embed_dim, row.depth, row.heads, (2, 5, 8, 10))))
    assert found.variant is None


@pytest.mark.parametrize(
    ("names", "family"),
    [
        (("image_encoder.trunk.patch_embed.proj.weight", "memory_attention.layers.0.norm1.weight"), "SAM 2"),
        (("sam_mask_decoder.iou_token.weight", "sam_prompt_encoder.no_mask_embed.weight"), "SAM 2"),
        (("vision_encoder.layers.0.attn.qkv.weight",), "Hugging Face"),
        (("image_encoder.features.0.0.c.weight", "mask_decoder.iou_token.weight"), "RepViT"),
        (("image_encoder.pos_embed", "prompt_encoder.bbox_top_left_embeddings.weight"), "EfficientSAM"),
        (("image_encoder.backbone.stages.0.weight", "mask_decoder.iou_token.weight"), "EfficientViT-SAM"),
        (("layer1.0.conv1.weight", "fc.weight"), "classifier"),
        (("blocks.0.attn.qkv.weight", "head.weight"), "classifier"),
    ],
)
def test_other_family_is_refused_by_name(names: tuple[str, ...], family: str) -> None:
    with pytest.raises(CheckpointError, match=family):
        recognise(_named(*names))


@pytest.mark.parametrize(
    "name",
    [
        "mask_decoder.hf_token.weight",
        "mask_decoder.compress_vit_feat.0.weight",
        "mask_decoder.embedding_encoder.0.weight",
    ],
)
def test_parts_of_hq_sam_are_not_taken_for_sam(vit: State, name: str) -> None:
    with pytest.raises(CheckpointError, match=r"HQ-SAM .* missing"):
        recognise({**vit, **_named(name)})


def test_light_hq_sam_is_refused_by_name() -> None:
    names = ("image_encoder.patch_embed.seq.0.c.weight", "mask_decoder.hf_token.weight")
    with pytest.raises(CheckpointError, match="Light HQ-SAM"):
        recognise(_named(*names))


def test_strange_weights_are_told_what_was_expected_and_found() -> None:
    with pytest.raises(CheckpointError, match=r"image_encoder\.pos_embed.*found lstm\.w"):
        recognise(_named("lstm.w"))


@pytest.mark.parametrize(
    ("kept", "absent"),
    [
        (("image_encoder.",), "the prompt encoder and the mask decoder missing"),
        (("mask_decoder.",), "the image encoder and the prompt encoder missing"),
        (("prompt_encoder.", "mask_decoder."), "the image encoder missing"),
    ],
)
def test_half_a_sam_is_told_which_half_is_missing(vit: State, kept: tuple[str, ...], absent: str) -> None:
    with pytest.raises(CheckpointError, match=absent):
        recognise({name: tensor for name, tensor in vit.items() if name.startswith(kept)})


@pytest.mark.parametrize(
    ("part", "told"), [("image_encoder.", "image encoder alone"), ("mask_decoder.", "mask decoder alone")]
)
def test_part_saved_without_its_prefix_is_told_what_it_is(vit: State, part: str, told: str) -> None:
    bare = {name.removeprefix(part): tensor for name, tensor in vit.items() if name.startswith(part)}
    with pytest.raises(CheckpointError, match=told):
        recognise(bare)


def test_missing_tensors_are_named_and_counted(vit: State) -> None:
    for index in range(4):
        del vit[f"prompt_encoder.point_embeddings.{index}.weight"]
    message = r"point_embeddings\.0\.weight.*and 1 more.*missing \(4 of "
    with pytest.raises(CheckpointError, match=message):
        recognise(vit)


def test_missing_block_is_noticed(vit: State) -> None:
    cut = {name: tensor for name, tensor in vit.items() if ".blocks.1." not in name}
    with pytest.raises(CheckpointError, match=r"image_encoder\.blocks\.1\.attn\.rel_pos_h is missing"):
        recognise(cut)


def test_left_over_tensors_are_refused_as_an_adapter(vit: State) -> None:
    with pytest.raises(CheckpointError, match=r"without a place.*lora_A.*adapter"):
        recognise({**vit, **_named("image_encoder.blocks.0.attn.lora_A")})


@pytest.mark.parametrize(
    ("name", "shape", "told"),
    [
        ("image_encoder.pos_embed", (1, 16, 16, 48), "image grid is 16 x 16"),
        ("image_encoder.pos_embed", (1, 4097, 48), "has 4 axes"),
        ("mask_decoder.mask_tokens.weight", (7, 256), "7 mask tokens"),
        ("prompt_encoder.no_mask_embed.weight", (1, 128), "128 numbers wide"),
        ("image_encoder.blocks.1.attn.rel_pos_h", (63, 12), "block 1 has 63 relative positions"),
        ("image_encoder.blocks.0.attn.rel_pos_h", (27, 13), "not a multiple"),
        ("image_encoder.neck.0.weight", (256, 47, 1, 1), r"neck.0.weight is \(256, 47, 1, 1\)"),
    ],
)
def test_other_size_is_told_with_the_numbers(vit: State, name: str, shape: tuple[int, ...], told: str) -> None:
    vit[name] = torch.empty(shape, device="meta")
    with pytest.raises(CheckpointError, match=told):
        recognise(vit)


def test_larger_tiny_vit_is_refused_with_the_widths_found() -> None:
    state = _empty(tiny_vit_layout())
    state["image_encoder.layers.2.downsample.conv3.c.weight"] = torch.empty(448, 448, 1, 1, device="meta")
    with pytest.raises(CheckpointError, match=re.escape("(64, 128, 160, 448)")):
        recognise(state)
