"""The table of variants: its numbers against the original code, and what a misspelt name is told."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from segment_anything import sam_model_registry

from clickmask.models.errors import ClickmaskError, UnknownVariantError
from clickmask.models.layout import count_numbers, tiny_vit_layout, vit_layout
from clickmask.models.variants import VARIANTS, Variant, get_variant


def _layout(variant: Variant) -> dict[str, tuple[int, ...]]:
    if variant.kind == "tiny_vit":
        return tiny_vit_layout()
    return vit_layout(variant.embed_dim, variant.depth, variant.heads, variant.global_attention)


@pytest.mark.parametrize("name", ["vit_b", "vit_l", "vit_h"])
def test_layout_has_the_names_and_shapes_of_segment_anything(name: str) -> None:
    with torch.device("meta"):
        original = sam_model_registry[name]()
    shapes = {key: tuple(tensor.shape) for key, tensor in original.state_dict().items()}
    assert _layout(VARIANTS[name]) == shapes


@pytest.mark.parametrize("name", ["vit_b", "vit_l", "vit_h"])
def test_global_blocks_are_those_of_segment_anything(name: str) -> None:
    with torch.device("meta"):
        blocks: Any = sam_model_registry[name]().image_encoder.blocks
    everywhere = tuple(index for index, block in enumerate(blocks) if block.window_size == 0)
    assert VARIANTS[name].global_attention == everywhere
    assert {block.attn.num_heads for block in blocks} == {VARIANTS[name].heads}


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=list(VARIANTS))
def test_parameters_are_counted_from_the_layout(variant: Variant) -> None:
    assert variant.parameters == count_numbers(_layout(variant))


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=list(VARIANTS))
def test_each_row_is_filed_under_its_name_and_pins_a_whole_sha256(variant: Variant) -> None:
    assert VARIANTS[variant.name] is variant
    assert re.fullmatch(r"[0-9a-f]{64}", variant.sha256)
    assert variant.url.startswith("https://") and variant.url.endswith("/" + variant.file_name)


@pytest.mark.parametrize("name", ["vit_b", "vit_l", "vit_h"])
def test_md5_prefix_is_the_one_in_the_official_file_name(name: str) -> None:
    row = VARIANTS[name]
    assert row.file_name == f"sam_{name}_{row.md5_prefix}.pth"


def test_known_name_gives_its_row() -> None:
    assert get_variant("vit_l") is VARIANTS["vit_l"]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("ViT-B", "vit_b"),
        ("vit-b", "vit_b"),
        ("VIT_H", "vit_h"),
        ("b", "vit_b"),
        ("base", "vit_b"),
        ("large", "vit_l"),
        ("default", "vit_h"),
        ("sam_vit_l", "vit_l"),
        ("sam_vit_b_01ec64", "vit_b"),
        ("mobile-sam", "vit_t"),
        ("vitt", "vit_t"),
        ("mobilsam", "vit_t"),
    ],
)
def test_near_name_is_suggested_but_not_taken(typed: str, meant: str) -> None:
    with pytest.raises(UnknownVariantError, match=f"Did you mean '{meant}'"):
        get_variant(typed)


@pytest.mark.parametrize("typed", ["resnet50", "", "yolo"])
def test_far_name_lists_the_known_ones_without_a_guess(typed: str) -> None:
    with pytest.raises(UnknownVariantError) as caught:
        get_variant(typed)
    message = str(caught.value)
    assert "Did you mean" not in message
    assert all(name in message for name in VARIANTS)


def test_unknown_variant_is_a_clickmask_error_and_a_value_error() -> None:
    with pytest.raises(ClickmaskError) as caught:
        get_variant("vit_x")
    assert isinstance(caught.value, ValueError)
