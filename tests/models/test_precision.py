"""Devices by name, number formats by hardware, and the check that the quick format gives the same masks."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from clickmask.models import precision
from clickmask.models.checkpoints import Checkpoint, load_checkpoint
from clickmask.models.errors import SettingsError
from clickmask.models.facts import Facts
from clickmask.models.frame import Frame
from clickmask.models.precision import build_sam, choose_device, has_native_bfloat16
from clickmask.models.sam import PromptTensors, Sam

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return load_checkpoint("vit_t", cache_dir=tmp_path_factory.mktemp("none"))


@pytest.fixture
def facts(tmp_path: Path, checkpoint: Checkpoint) -> Facts:
    return Facts(tmp_path, checkpoint.digest, CPU)


@pytest.fixture
def native(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that multiplies bfloat16 natively."""
    monkeypatch.setattr(precision, "has_native_bfloat16", lambda device: True)


def _gpus(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


def test_auto_is_a_gpu_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    _gpus(monkeypatch, 2)
    assert choose_device("auto").type == "cuda"
    _gpus(monkeypatch, 0)
    assert choose_device("auto") == CPU
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose_device("auto").type == "mps"


def test_device_is_taken_by_name_and_number(monkeypatch: pytest.MonkeyPatch) -> None:
    _gpus(monkeypatch, 2)
    assert choose_device("cpu") == CPU
    assert choose_device("cuda") == torch.device("cuda")
    assert choose_device("cuda:1") == torch.device("cuda", 1)


@pytest.mark.parametrize("name", ["cuda:2", "mps", "cpu:1"])
def test_device_that_is_not_there_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    _gpus(monkeypatch, 2)
    with pytest.raises(SettingsError, match=f"device='{name}' is not on this machine"):
        choose_device(name)


def test_gpu_is_refused_on_a_machine_without_one(monkeypatch: pytest.MonkeyPatch) -> None:
    _gpus(monkeypatch, 0)
    with pytest.raises(SettingsError, match="device='cuda'.*use auto or cpu"):
        choose_device("cuda")


@pytest.mark.parametrize("name", ["gpu", "", "cuda:-1", "cuda:one", "meta", "xpu", "CPU", None])
def test_unknown_device_is_refused_with_those_known(name: str) -> None:
    with pytest.raises(SettingsError, match="device=.*use auto, cpu, cuda"):
        choose_device(name)


@pytest.mark.parametrize(("capability", "native"), [((7, 5), False), ((8, 0), True), ((9, 0), True)])
def test_gpus_from_sm80_have_bfloat16(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], native: bool
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert has_native_bfloat16(torch.device("cuda")) is native


@pytest.mark.parametrize(("avx512", "amx"), [(False, False), (True, False), (False, True)])
def test_cpus_with_avx512_bf16_or_amx_have_bfloat16(monkeypatch: pytest.MonkeyPatch, avx512: bool, amx: bool) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    assert has_native_bfloat16(CPU) is (avx512 or amx)


def test_mps_is_not_trusted_with_bfloat16() -> None:
    assert not has_native_bfloat16(torch.device("mps"))


@pytest.mark.parametrize("name", ["float32", pytest.param("bfloat16", marks=pytest.mark.soak)])
def test_named_precision_is_used_without_a_check(checkpoint: Checkpoint, facts: Facts, name: str) -> None:
    sam = build_sam(checkpoint, CPU, name, facts)
    assert sam.dtype == getattr(torch, name)
    assert facts.recall("bfloat16_iou") is None


@pytest.mark.parametrize("name", ["float64", "half", "", "Float32"])
def test_unknown_precision_is_refused_with_those_known(checkpoint: Checkpoint, facts: Facts, name: str) -> None:
    with pytest.raises(SettingsError, match=f"precision='{name}' is unknown; use auto, float32, bfloat16, float16"):
        build_sam(checkpoint, CPU, name, facts)


def test_float16_is_refused_on_a_cpu(checkpoint: Checkpoint, facts: Facts) -> None:
    with pytest.raises(SettingsError, match="precision='float16' is for GPUs"):
        build_sam(checkpoint, CPU, "float16", facts)


def test_auto_is_float32_where_bfloat16_is_emulated(
    checkpoint: Checkpoint, facts: Facts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "has_native_bfloat16", lambda device: False)
    assert build_sam(checkpoint, CPU, "auto", facts).dtype == torch.float32


def _no_second_check(*_: object) -> float:
    raise AssertionError("the check was to be remembered")


@pytest.mark.soak
@pytest.mark.usefixtures("native")
def test_auto_is_bfloat16_where_native_and_the_check_is_made_once(
    checkpoint: Checkpoint, facts: Facts, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert build_sam(checkpoint, CPU, "auto", facts).dtype == torch.bfloat16
    agreement = facts.recall("bfloat16_iou")
    assert agreement is not None and 0.97 < float(agreement) <= 1
    monkeypatch.setattr(precision, "self_check", _no_second_check)
    assert build_sam(checkpoint, CPU, "auto", facts).dtype == torch.bfloat16
    assert caplog.text == ""


class _BrokenWhenQuick(Sam):
    """A network whose bfloat16 form answers something else."""

    def __init__(self, checkpoint: Checkpoint, device: torch.device, dtype: torch.dtype) -> None:
        super().__init__(checkpoint, device, dtype)
        if dtype == torch.bfloat16:
            tokens = self.decoder.mask_tokens.weight
            tokens.data = -tokens  # not in place: the memory is the checkpoint's


@pytest.mark.soak
@pytest.mark.usefixtures("native")
def test_other_masks_in_bfloat16_fall_back_to_float32_with_a_warning_and_are_remembered(
    checkpoint: Checkpoint, facts: Facts, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(precision, "Sam", _BrokenWhenQuick)
    for _ in range(2):
        with caplog.at_level(logging.WARNING, "clickmask"):
            assert build_sam(checkpoint, CPU, "auto", facts).dtype == torch.float32
        (record,) = caplog.records
        assert record.levelno == logging.WARNING
        assert "using float32" in record.getMessage()
        caplog.clear()
        monkeypatch.setattr(precision, "self_check", _no_second_check)


@pytest.mark.usefixtures("native")
@pytest.mark.parametrize(
    ("agreement", "dtype"),
    [
        (0.5, torch.float32),
        pytest.param(0.95, torch.bfloat16, marks=pytest.mark.soak),
        pytest.param(1.0, torch.bfloat16, marks=pytest.mark.soak),
    ],
)
def test_remembered_agreement_decides(
    checkpoint: Checkpoint, facts: Facts, agreement: float, dtype: torch.dtype
) -> None:
    facts.remember("bfloat16_iou", torch.tensor(agreement, dtype=torch.float64))
    assert build_sam(checkpoint, CPU, "auto", facts).dtype == dtype


@pytest.mark.soak
@pytest.mark.usefixtures("native")
def test_cache_folder_that_cannot_be_written_costs_the_check_at_every_start(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks: list[Sam] = []

    def check(quick: Sam, exact: Sam) -> float:
        checks.append(quick)
        return 0.99

    monkeypatch.setattr(precision, "self_check", check)
    (tmp_path / "file").write_text("not a folder")
    facts = Facts(tmp_path / "file", checkpoint.digest, CPU)
    for _ in range(2):
        assert build_sam(checkpoint, CPU, "auto", facts).dtype == torch.bfloat16
    assert len(checks) == 2


class _NoFloat64(TorchDispatchMode):
    """Fails where an operator gives float64, which Apple's GPUs do not have."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, tuple | list) else [result]:
            assert not isinstance(tensor, torch.Tensor) or tensor.dtype != torch.float64, func
        return result


def test_nothing_in_the_network_is_float64(checkpoint: Checkpoint) -> None:
    sam = Sam(checkpoint, CPU, torch.float32)
    pixels, low_res = torch.full((64, 96, 3), 90, dtype=torch.uint8), torch.zeros(256, 256)
    prompt = PromptTensors.pack(
        torch.tensor([[300.0, 200.0]]), torch.tensor([1]), torch.tensor([9.0, 9, 99, 99]), low_res
    )
    with torch.inference_mode(), _NoFloat64():
        tokens = sam.encode(pixels, Frame.whole(96, 64))
        logits, scores = sam._decode_together([tokens], [prompt], multimask=True)
    assert logits.shape == (1, 3, 256, 256) and scores.shape == (1, 3)


def test_apples_gpus_run_in_float32_unless_told_otherwise() -> None:
    assert not has_native_bfloat16(torch.device("mps"))
