"""Which device and which number format, and whether the quick format can be trusted here.

bfloat16 is used where the hardware multiplies it natively; elsewhere it is emulated and slower than float32. Before
it is used for the first time with some weights on some machine, a small picture with a clear object is segmented in
both formats: a broken kernel or unusual weights show as another mask.
"""

from __future__ import annotations

import logging

import torch
from torch import Tensor

from .checkpoints import Checkpoint
from .errors import SettingsError
from .facts import Facts
from .frame import MODEL_SIDE, Frame
from .padding import recall_padding
from .sam import PromptTensors, Sam, plain_arithmetic
from .tiny_vit import TinyViT

log = logging.getLogger("clickmask")

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
LEAST_IOU = 0.95


def choose_device(name: str) -> torch.device:
    """A device from "auto", "cpu", "cuda", "cuda:N" or "mps".

    Raises:
        SettingsError: the name is unknown, or this machine has no such device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError) as error:
        raise SettingsError(f"device={name!r} is not a device; use auto, cpu, cuda, cuda:1 or mps") from error
    if device.type not in ("cpu", "cuda", "mps"):
        raise SettingsError(f"device={name!r} is not supported; use auto, cpu, cuda, cuda:1 or mps")
    count = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    if (device.index or 0) >= count[device.type]:
        raise SettingsError(f"device={name!r} is not on this machine ({count[device.type]} found); use auto or cpu")
    return device


def has_native_bfloat16(device: torch.device) -> bool:
    """Whether the hardware multiplies bfloat16: CUDA from sm80, CPUs with AVX-512 BF16 or AMX."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type != "cpu":
        return False
    # torch has no public name for these; its own inductor and quantisation code ask in the same way.
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()  # pyright: ignore[reportPrivateUsage]


@plain_arithmetic
def build_sam(checkpoint: Checkpoint, device: torch.device, precision: str, facts: Facts) -> Sam:
    """The network in the asked precision; "auto" is bfloat16 where it is native and passes the self-check.

    Raises:
        SettingsError: an unknown precision, or float16 on a CPU.
    """
    sam = (
        _checked(checkpoint, device, facts)
        if precision == "auto"
        else Sam(checkpoint, device, _dtype(precision, device))
    )
    if isinstance(sam.encoder, TinyViT) and device.type == "cpu":
        sam.padding = recall_padding(sam.encoder, torch.empty(0, device=device, dtype=sam.dtype), facts)
    return sam


def _checked(checkpoint: Checkpoint, device: torch.device, facts: Facts) -> Sam:
    """bfloat16 if it is native and agrees with float32, else float32."""
    if not has_native_bfloat16(device):
        return Sam(checkpoint, device, torch.float32)
    quick = Sam(checkpoint, device, torch.bfloat16)
    agreement = facts.recall("bfloat16_iou")
    if agreement is None:
        exact = Sam(checkpoint, device, torch.float32)
        agreement = torch.tensor(self_check(quick, exact))
        facts.remember("bfloat16_iou", agreement)
    if float(agreement) >= LEAST_IOU:
        return quick
    log.warning(
        "bfloat16 gives other masks than float32 here (IoU %.3f, expected at least %.2f): using float32",
        float(agreement),
        LEAST_IOU,
    )
    return Sam(checkpoint, device, torch.float32)


def _dtype(precision: str, device: torch.device) -> torch.dtype:
    if precision not in PRECISIONS:
        raise SettingsError(f"precision={precision!r} is unknown; use auto, {', '.join(PRECISIONS)}")
    if precision == "float16" and device.type == "cpu":
        raise SettingsError("precision='float16' is for GPUs; on a CPU use auto, float32 or bfloat16")
    return PRECISIONS[precision]


@plain_arithmetic
def self_check(quick: Sam, exact: Sam) -> float:
    """Least IoU of the masks that two networks give for a click on, and a box around, a clear object."""
    frame = Frame.whole(MODEL_SIDE, MODEL_SIDE)
    prompts = [_click(400, 520), _box(180, 300, 620, 740)]
    masks = [_masks(sam, sam.encode(_clear_object(), frame), prompts) for sam in (quick, exact)]
    return min(_iou(a, b) for a, b in zip(*masks, strict=True))


def _masks(sam: Sam, tokens: Tensor, prompts: list[PromptTensors]) -> list[Tensor]:
    answers = sam.decode(tokens, prompts, multimask=False)
    return [(logits[0] > 0).cpu() for logits, _ in answers]


def _iou(one: Tensor, other: Tensor) -> float:
    union = int((one | other).sum())
    return int((one & other).sum()) / union if union else 0.0  # the object is there: nothing found is wrong


def _click(x: float, y: float) -> PromptTensors:
    return PromptTensors.pack(torch.tensor([[x, y]]), torch.tensor([1]), None)


def _box(x0: float, y0: float, x1: float, y1: float) -> PromptTensors:
    none = torch.zeros(0, 2)
    return PromptTensors.pack(none, none.new_zeros(0, dtype=torch.int64), torch.tensor([x0, y0, x1, y1]))


def _clear_object() -> Tensor:
    """(1024, 1024, 3) uint8: an orange disc, shaded like a ball, on a blue-grey ground that fades."""
    y, x = torch.meshgrid(torch.arange(MODEL_SIDE), torch.arange(MODEL_SIDE), indexing="ij")
    ground = torch.stack([60 + y / 20, 80 + x / 20, 110 + (x + y) / 30], dim=-1)
    distance = ((x - 400) ** 2 + (y - 520) ** 2).float().sqrt()
    light = (1.1 - ((x - 330) ** 2 + (y - 440) ** 2).float().sqrt() / 500)[..., None]
    disc = torch.tensor([250.0, 150.0, 40.0]) * light
    return torch.where((distance < 210)[..., None], disc, ground).clamp(0, 255).to(torch.uint8)
