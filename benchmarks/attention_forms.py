"""Attention of the plain ViTs, by every form and back end that runs here: time and error for each shape.

    python benchmarks/attention_forms.py [--device auto] [--batch 1 8] [--rounds 9]

A block's queries, keys and values, drawn at random, with relative positions; in bfloat16 where the device has it.
Windows of 14 x 14 and the whole grid of 64 x 64; heads of 64 channels (ViT-B and L) and of 80 (ViT-H). The error is
relative, to float32. What does not run is named with the reason. `models/plain_vit.py` takes one form on a CPU, and one
elsewhere.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial
from itertools import product

import torch
from timing import machine, side_by_side
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from clickmask.models.plain_vit import Form, augmented, in_chunks
from clickmask.models.precision import choose_device, has_native_bfloat16

BACK_ENDS = (SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.CUDNN_ATTENTION)
WINDOWS, HEADS = 25, {64: 12, 80: 16}


def plain(q: Tensor, k: Tensor, v: Tensor, by_row: Tensor, by_column: Tensor) -> Tensor:
    """As segment_anything has it: a matrix of all scores."""
    scores = q * q.shape[-1] ** -0.5 @ k.mT
    grid = scores.unflatten(-1, (by_row.shape[-1], by_column.shape[-1]))
    scores = (grid + by_row[..., :, None] + by_column[..., None, :]).flatten(-2)
    return scores.softmax(-1) @ v


def masked(q: Tensor, k: Tensor, v: Tensor, by_row: Tensor, by_column: Tensor) -> Tensor:
    """torch's fused attention, with relative positions as a mask that is added."""
    bias = (by_row[..., :, None] + by_column[..., None, :]).flatten(-2)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=bias)


def as_wide_values(q: Tensor, k: Tensor, v: Tensor, by_row: Tensor, by_column: Tensor) -> Tensor:
    """`augmented`, with values as wide as keys, which more back ends take."""
    width = -(-(q.shape[-1] + by_row.shape[-1] + by_column.shape[-1]) // 8) * 8
    return augmented(q, k, F.pad(v, (0, width - v.shape[-1])), by_row, by_column)[..., : v.shape[-1]]


def flexible() -> Form:
    """torch's FlexAttention, compiled: relative positions are looked up within the kernel."""
    from torch.nn.attention.flex_attention import flex_attention

    compiled = torch.compile(flex_attention)

    def form(q: Tensor, k: Tensor, v: Tensor, by_row: Tensor, by_column: Tensor) -> Tensor:
        columns = by_column.shape[-1]

        def place(score: Tensor, image: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
            return score + by_row[image, head, query, key // columns] + by_column[image, head, query, key % columns]

        return compiled(q, k, v, score_mod=place)  # pyright: ignore[reportReturnType]

    return form


def forms(device: torch.device) -> dict[str, Form]:
    """Every form by its name."""
    found: dict[str, Form] = {"as segment_anything": plain, "fused, mask": masked, "chunks (a CPU's)": in_chunks}
    ours = {"augmented": augmented, "augmented, wide values": as_wide_values}
    if device.type != "cuda":
        return found | ours
    for (name, form), back_end in product(ours.items(), BACK_ENDS):
        found[f"{name}, {back_end.name.partition('_')[0].lower()}"] = partial(_by, back_end, form)
    return {**found, **ours, "flex": flexible()}


def _by(back_end: SDPBackend, form: Form, *tensors: Tensor) -> Tensor:
    with sdpa_kernel(back_end):
        return form(*tensors)


def tensors(side: int, channels: int, batch: int, device: torch.device, dtype: torch.dtype) -> list[Tensor]:
    """Queries, keys, values, and the queries' products with rows and columns."""
    random = torch.Generator(device).manual_seed(side + channels)
    images = batch * (WINDOWS if side == 14 else 1)
    shapes = [(images, HEADS[channels], side**2, last) for last in (channels, channels, channels, side, side)]
    return [torch.randn(shape, device=device, generator=random).to(dtype) for shape in shapes]


def measure(side: int, channels: int, batch: int, device: torch.device, rounds: int) -> None:
    """Print one shape's rows."""
    dtype = torch.bfloat16 if has_native_bfloat16(device) else torch.float32
    given = tensors(side, channels, batch, device, dtype)
    exact = in_chunks(*(tensor.float().cpu() for tensor in given))
    runs, errors = dict[str, Callable[[], object]](), dict[str, float]()
    for name, form in forms(device).items():
        try:
            difference = form(*given).float().cpu() - exact
        except Exception as error:  # a back end's own: whatever it says, it does not run here
            sys.stdout.write(
                f"| {side} x {side}, {channels}, {batch} | {name} | {str(error).splitlines()[0][:60]} | |\n"
            )
            continue
        errors[name] = float(difference.norm() / exact.norm())
        runs[name] = partial(_done, form, given)
    for name, seconds in side_by_side(runs, rounds).items():
        row = f"{side} x {side}, {channels}, {batch} | {name} | {1000 * seconds:.3g} | {errors[name]:.4f}"
        sys.stdout.write(f"| {row} |\n")
    sys.stdout.flush()


def _done(form: Form, given: list[Tensor]) -> None:
    form(*given)
    if given[0].is_cuda:
        torch.cuda.synchronize()


@torch.inference_mode()
def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--batch", type=int, nargs="+", default=[1])
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    sys.stdout.write(f"{machine()}\n\n| grid, channels of a head, photos | form | ms | error |\n|---|---|---|---|\n")
    for side, channels, batch in product((14, 64), HEADS, options.batch):
        measure(side, channels, batch, choose_device(options.device), options.rounds)


if __name__ == "__main__":
    main()
