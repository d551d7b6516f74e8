"""What network a set of tensors is, from names and shapes alone; anything else is refused by name.

Weights are accepted only whole: a tensor that is missing, left over or of another shape would give
wrong masks without a word.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from .errors import CheckpointError
from .families import is_hq, refuse_other_families
from .layout import (
    GLOBAL_POSITIONS,
    GRID,
    LOCAL_POSITIONS,
    MASK_TOKENS,
    PROMPT_DIM,
    TINY_WIDTHS,
    Shape,
    hq_layout,
    tiny_vit_layout,
    vit_layout,
)
from .variants import VARIANTS, Kind

_POSITIONS = "image_encoder.pos_embed"
_SHOWN = 3  # names given in a message; the rest is counted


@dataclass(frozen=True)
class Architecture:
    """The size of a SAM network; `variant` is the row of the table it equals, if any.

    Fields mean what they mean in `Variant`. A fine-tuned vit_b is still "vit_b": sizes decide, not values. is_hq: it is
    HQ-SAM (`hq.py`), which is no variant.
    """

    kind: Kind
    embed_dim: int
    depth: int
    heads: int
    global_attention: tuple[int, ...]
    variant: str | None = None
    is_hq: bool = False

    @property
    def title(self) -> str:
        """A name to show: that of the variant, or the sizes."""
        own = f"SAM ViT of its own size (width {self.embed_dim}, {self.depth} blocks, {self.heads} heads)"
        if self.is_hq:
            size = _named(self.kind, self.embed_dim, self.depth, self.heads, self.global_attention).variant
            return f"HQ-{own}" if size is None else f"HQ-SAM ({size})"
        return own if self.variant is None else VARIANTS[self.variant].title


def recognise(state: Mapping[str, Tensor]) -> Architecture:
    """Tell which SAM network `state` (official names -> tensors) holds.

    A plain ViT may have any width and depth; image grid (64 x 64), prompt width (256) and mask tokens
    (4) must be SAM's. TinyViT must be MobileSAM's. Raises `CheckpointError` saying what differs.
    """
    refuse_other_families(state)
    _check_prompt_sizes(state)
    if _POSITIONS in state:
        architecture = _vit_size(state)
        layout = vit_layout(
            architecture.embed_dim, architecture.depth, architecture.heads, architecture.global_attention
        )
        if is_hq(state):
            architecture = _hq(architecture)
            layout |= hq_layout(architecture.embed_dim)
    else:
        architecture = _tiny_size(state)
        layout = tiny_vit_layout()
    _compare(state, layout, architecture.title)
    return architecture


def _hq(architecture: Architecture) -> Architecture:
    if not architecture.global_attention:
        raise CheckpointError("it is HQ-SAM without a block of global attention, from which its features come.")
    return replace(architecture, variant=None, is_hq=True)


def _check_prompt_sizes(state: Mapping[str, Tensor]) -> None:
    tokens = _shape(state, "mask_decoder.mask_tokens.weight", 2)
    if tokens[0] != MASK_TOKENS:
        raise CheckpointError(f"it has {tokens[0]} mask tokens; SAM has {MASK_TOKENS}.")
    width = _shape(state, "prompt_encoder.no_mask_embed.weight", 2)[1]
    if width != PROMPT_DIM or tokens[1] != PROMPT_DIM:
        raise CheckpointError(f"its prompts are {width} numbers wide; SAM's are {PROMPT_DIM}.")


def _vit_size(state: Mapping[str, Tensor]) -> Architecture:
    _, rows, columns, width = _shape(state, _POSITIONS, 4)
    if (rows, columns) != (GRID, GRID):
        raise CheckpointError(
            f"its image grid is {rows} x {columns}; SAM's is {GRID} x {GRID}, for images of 1024 x 1024."
        )
    depth = _count_blocks(state)
    if depth == 0:
        raise CheckpointError("it has no encoder blocks (image_encoder.blocks.0...).")
    positions = [_shape(state, f"image_encoder.blocks.{i}.attn.rel_pos_h", 2) for i in range(depth)]
    head_width = positions[0][1]
    if head_width == 0 or width % head_width:
        raise CheckpointError(f"its width {width} is not a multiple of its head width {head_width}.")
    everywhere = tuple(index for index, shape in enumerate(positions) if _is_global(index, shape))
    return _named("vit", width, depth, width // head_width, everywhere)


def _count_blocks(state: Mapping[str, Tensor]) -> int:
    """The number of encoder blocks; a gap in the numbers shows up as missing tensors."""
    start = "image_encoder.blocks."
    found = {name.removeprefix(start).split(".")[0] for name in state if name.startswith(start)}
    return max((int(index) + 1 for index in found if index.isdecimal() and len(index) < 4), default=0)


def _is_global(index: int, positions: Shape) -> bool:
    if positions[0] in (GLOBAL_POSITIONS, LOCAL_POSITIONS):
        return positions[0] == GLOBAL_POSITIONS
    raise CheckpointError(
        f"block {index} has {positions[0]} relative positions; SAM's have {LOCAL_POSITIONS} "
        f"(windows of 14) or {GLOBAL_POSITIONS} (the whole image)."
    )


def _tiny_size(state: Mapping[str, Tensor]) -> Architecture:
    ends = [f"image_encoder.layers.{stage}.downsample.conv3.c.weight" for stage in range(3)]
    names = ["image_encoder.patch_embed.seq.2.c.weight", *ends]
    widths = tuple(_shape(state, name, 4)[0] for name in names)
    if widths != TINY_WIDTHS:
        raise CheckpointError(
            f"its TinyViT has stages of widths {widths}; only MobileSAM's {TINY_WIDTHS} is known here."
        )
    row = VARIANTS["vit_t"]
    return _named(row.kind, row.embed_dim, row.depth, row.heads, row.global_attention)


def _named(kind: Kind, width: int, depth: int, heads: int, everywhere: tuple[int, ...]) -> Architecture:
    """An `Architecture` that knows its row of the table."""
    for row in VARIANTS.values():
        sizes = (row.kind, row.embed_dim, row.depth, row.heads, row.global_attention)
        if sizes == (kind, width, depth, heads, everywhere):
            return Architecture(kind, width, depth, heads, everywhere, row.name)
    return Architecture(kind, width, depth, heads, everywhere)


def _compare(state: Mapping[str, Tensor], layout: Mapping[str, Shape], title: str) -> None:
    """Refuse any tensor that is missing, of another shape, or left over."""
    missing = [name for name in layout if name not in state]
    if missing:
        raise CheckpointError(f"{_some(missing)} of {title} missing ({len(missing)} of {len(layout)}).")
    wrong = [
        f"{name} is {tuple(state[name].shape)}, not {shape}"
        for name, shape in layout.items()
        if tuple(state[name].shape) != shape
    ]
    if wrong:
        raise CheckpointError(f"{_count(wrong)} of other shapes than {title}'s: {_some(wrong)}.")
    extra = [name for name in state if name not in layout]
    if extra:
        raise CheckpointError(
            f"{_count(extra)} without a place in {title}: {_some(extra)}. An adapter or another "
            "network was added; merge or remove it first."
        )


def _count(names: Sequence[str]) -> str:
    return "1 tensor is" if len(names) == 1 else f"{len(names)} tensors are"


def _some(names: Iterable[str]) -> str:
    """The first few, and how many more."""
    every = list(names)
    rest = f" and {len(every) - _SHOWN} more" if len(every) > _SHOWN else ""
    return ", ".join(every[:_SHOWN]) + rest


def _shape(state: Mapping[str, Tensor], name: str, axes: int) -> Shape:
    """The shape of a tensor that must be there with that many axes."""
    if name not in state:
        raise CheckpointError(f"the tensor {name} is missing.")
    shape = tuple(state[name].shape)
    if len(shape) != axes:
        raise CheckpointError(f"{name} is {shape}; SAM's has {axes} axes.")
    return shape
