"""Checkpoints written as safetensors, and described."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from clickmask.models import checkpoints
from clickmask.models.checkpoints import convert_checkpoint, describe_file, load_checkpoint
from clickmask.models.errors import CheckpointError, OutputError

State = dict[str, Tensor]


@pytest.fixture
def small(tiny_sam_state: State, tmp_path: Path) -> Path:
    torch.save({"model": tiny_sam_state}, tmp_path / "small.pth")
    return tmp_path / "small.pth"


def _metadata(path: Path) -> dict[str, str]:
    with safe_open(path, "pt") as file:
        return file.metadata()


def test_converted_file_has_the_digest_of_its_source(small: Path, tmp_path: Path) -> None:
    written = convert_checkpoint(small, tmp_path / "small.safetensors")
    before = load_checkpoint(small, cache_dir=tmp_path)
    after = load_checkpoint(written, cache_dir=tmp_path)
    assert after.digest == before.digest
    assert after.architecture == before.architecture
    assert _metadata(written)["digest"] == before.digest
    assert _metadata(written)["source"] == "small.pth"


def test_half_precision_file_is_rounded_and_names_the_digest_it_will_have(
    small: Path, tiny_sam_state: State, tmp_path: Path
) -> None:
    written = convert_checkpoint(small, tmp_path / "half.safetensors", dtype="float16")
    after = load_checkpoint(written, cache_dir=tmp_path)
    assert all(torch.equal(after.state[k], v.half().float()) for k, v in tiny_sam_state.items())
    assert _metadata(written)["digest"] == after.digest
    assert written.stat().st_size < 0.55 * small.stat().st_size


def test_checkpoint_already_read_can_be_written(tiny_sam_state: State, tmp_path: Path) -> None:
    read = load_checkpoint(tiny_sam_state, cache_dir=tmp_path)
    written = convert_checkpoint(read, tmp_path / "again.safetensors")
    assert load_checkpoint(written, cache_dir=tmp_path).digest == read.digest


def test_tensors_stored_once_under_two_names_are_written_twice(tiny_sam_state: State, tmp_path: Path) -> None:
    point = tiny_sam_state["prompt_encoder.point_embeddings.0.weight"]
    torch.save({**tiny_sam_state, "prompt_encoder.point_embeddings.1.weight": point}, tmp_path / "tied.pth")
    written = convert_checkpoint(tmp_path / "tied.pth", tmp_path / "tied.safetensors")
    state = load_checkpoint(written, cache_dir=tmp_path).state
    assert torch.equal(state["prompt_encoder.point_embeddings.1.weight"], point)


def test_input_is_never_overwritten(small: Path, tmp_path: Path) -> None:
    written = convert_checkpoint(small, tmp_path / "small.safetensors")
    (tmp_path / "link.safetensors").symlink_to(written)
    before = written.read_bytes()
    for target in (written, tmp_path / "link.safetensors"):
        with pytest.raises(OutputError, match="file to be converted"):
            convert_checkpoint(written, target, dtype="float16")
    assert written.read_bytes() == before


def test_failed_write_leaves_the_old_file_and_nothing_else(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "out" / "small.safetensors"
    target.parent.mkdir()
    target.write_bytes(b"old")

    def full(tensors: State, filename: Path, metadata: dict[str, str]) -> None:
        filename.write_bytes(b"half a file")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints, "save_file", full)
    with pytest.raises(OutputError, match="No space left"):
        convert_checkpoint(small, target)
    assert [path.name for path in target.parent.iterdir()] == ["small.safetensors"]
    assert target.read_bytes() == b"old"


@pytest.mark.parametrize(("name", "told"), [("x.pth", r"\*\.safetensors"), ("no/x.safetensors", "cannot be")])
def test_impossible_destination_is_refused(name: str, told: str, small: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=told):
        convert_checkpoint(small, tmp_path / name)


def test_unknown_dtype_is_refused(small: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="float32 or float16"):
        convert_checkpoint(small, tmp_path / "x.safetensors", dtype="int8")  # pyright: ignore[reportArgumentType]


def test_number_too_large_for_half_precision_is_refused(tiny_sam_state: State, tmp_path: Path) -> None:
    large = {**tiny_sam_state, "mask_decoder.iou_token.weight": torch.full((1, 256), 1e5)}
    torch.save(large, tmp_path / "large.pth")
    with pytest.raises(CheckpointError, match=r"iou_token\.weight holds numbers too large"):
        convert_checkpoint(tmp_path / "large.pth", tmp_path / "large.safetensors", dtype="float16")
    assert not (tmp_path / "large.safetensors").exists()


def test_report_tells_what_a_file_is(tiny_sam_state: State, tmp_path: Path) -> None:
    mixed = {**tiny_sam_state, "mask_decoder.iou_token.weight": torch.ones(1, 256, dtype=torch.float16)}
    path = tmp_path / "mixed.pth"
    torch.save({"model": {**mixed, "image_encoder.head.weight": torch.ones(3)}}, path)
    report = describe_file(path)
    assert (report.path, report.container, report.variant) == (path, "torch zip", None)
    assert report.dtypes == ("float16", "float32")
    assert report.tensors == len(tiny_sam_state)
    assert report.parameters == sum(tensor.numel() for tensor in tiny_sam_state.values())
    assert report.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert report.md5 == hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    assert not report.official


def test_report_of_the_embedded_weights(tmp_path: Path) -> None:
    report = describe_file(checkpoints.EMBEDDED)
    assert (report.variant, report.container, report.tensors) == ("vit_t", "safetensors", 408)
    assert report.parameters == 9_818_564


def test_report_of_a_pinned_file_is_official(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    row = checkpoints.VARIANTS["vit_b"]
    pinned = replace(row, sha256=hashlib.sha256(small.read_bytes()).hexdigest())
    monkeypatch.setitem(checkpoints.VARIANTS, "vit_b", pinned)
    assert describe_file(small).official


def test_unusable_file_is_refused_with_its_name(tmp_path: Path) -> None:
    torch.save({"fc.weight": torch.ones(2, 2)}, tmp_path / "resnet.pth")
    with pytest.raises(CheckpointError, match=r"resnet\.pth: it is an image classifier"):
        describe_file(tmp_path / "resnet.pth")
