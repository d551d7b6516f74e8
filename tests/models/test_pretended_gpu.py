"""The network on a CUDA device that is only pretended: torch's fake tensors have a device, a shape and a dtype, and no
numbers. An operator that gets tensors of two devices, or would have to look at a number, fails as on a real one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode  # pyright: ignore[reportPrivateUsage]

from clickmask.models.checkpoints import Checkpoint, load_checkpoint
from clickmask.models.frame import Frame
from clickmask.models.graphs import Outputs, Recording
from clickmask.models.point_decoder import PointDecoder
from clickmask.models.sam import PromptTensors, Sam

GPU = torch.device("cuda", 0)


def _assign(module: nn.Module, change: Callable[[Tensor], Tensor], recurse: bool = True) -> nn.Module:
    """What `nn.Module.to` does; torch's own exchanges the insides of tensors, which fake ones do not allow."""
    for child in module.children():
        child._apply(change)
    for name, tensor in module._parameters.items():
        module._parameters[name] = None if tensor is None else nn.Parameter(change(tensor.data), requires_grad=False)
    for name, tensor in module._buffers.items():
        module._buffers[name] = None if tensor is None else change(tensor)
    return module


def _record(function: Callable[..., Outputs], inputs: Sequence[Tensor], /) -> Recording:
    return Recording(inputs, lambda: function(*inputs), function(*inputs))


def _prompts() -> list[PromptTensors]:
    point, one, box = torch.rand(1, 2), torch.tensor([1]), torch.tensor([1.0, 2, 300, 400])
    click = PromptTensors.pack(point, one, None)
    return [click, click, click, PromptTensors.pack(point, one, box, torch.zeros(256, 256))]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("family", ["mobile", "plain", "hq"])
def test_all_runs_on_the_device_in_its_dtype(
    family: str,
    dtype: torch.dtype,
    checkpoint: Checkpoint,
    tiny_sam_state: dict[str, Tensor],
    hq_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sources: dict[str, Any] = {"plain": tiny_sam_state, "hq": str(hq_file)}
    weights = checkpoint if family == "mobile" else load_checkpoint(sources[family], cache_dir=tmp_path)
    monkeypatch.setattr(nn.Module, "_apply", _assign)
    with FakeTensorMode(allow_non_fake_inputs=True), torch.inference_mode():
        there = {name: torch.empty(t.shape, dtype=t.dtype, device=GPU) for name, t in weights.state.items()}
        sam = Sam(replace(weights, state=there), GPU, dtype)
        _use(sam, family)
        sam.use_graphs(_record)
        for _ in range(3):
            _use(sam, family)


def _use(sam: Sam, family: str) -> None:
    """Encode, ask prompts together, and points."""
    photos = [(torch.zeros(64, 96, 3, dtype=torch.uint8), Frame.whole(96, 64))] * 3
    images = sam.encode_each(photos)
    assert all((one.device, one.dtype, one.shape) == (GPU, sam.dtype, (4096, sam.channels)) for one in images)
    prompts = _prompts()
    for asked, multimask in (([images[0]] * 4, True), ([*images, images[0]], False)):
        for logits, scores in sam.decode_each(asked, prompts, multimask=multimask):
            assert logits.shape == (3 if multimask else 1, 256, 256)
            assert (logits.device, scores.device) == (GPU, GPU) and logits.dtype == scores.dtype == torch.float32
    if family != "hq":
        answers = PointDecoder(sam, images[0]).decode(torch.rand(5, 2), torch.isfinite)
        assert answers.logits.shape == (15, 256, 256) and {one.device for one in answers} == {GPU}
