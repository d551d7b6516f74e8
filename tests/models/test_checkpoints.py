"""Reading checkpoints: every container and wrapper gives the same tensors; every bad file its reason."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer
from torch import Tensor

from clickmask.models.checkpoints import Checkpoint, load_checkpoint, read_state
from clickmask.models.errors import CheckpointError, UnknownVariantError, WeightsError

State = dict[str, Tensor]


class _RunsCode:
    """Unpickled the unsafe way, it makes a folder."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.canary),)


def _load(source: object, cache: Path) -> Checkpoint:
    return load_checkpoint(source, cache_dir=cache)  # pyright: ignore[reportArgumentType]


def _save_zip(state: object, path: Path) -> None:
    torch.save(state, path)


def _save_legacy(state: object, path: Path) -> None:
    torch.save(state, path, _use_new_zipfile_serialization=False)


def _same(found: Checkpoint, state: State) -> bool:
    return found.state.keys() == state.keys() and all(torch.equal(found.state[k], state[k]) for k in state)


@pytest.fixture(scope="module")
def saved(tiny_sam_state: State, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("saved") / "small.pth"
    torch.save(tiny_sam_state, path)
    return path


@pytest.mark.parametrize("save", [_save_zip, _save_legacy, save_file])
@pytest.mark.parametrize("suffix", [".pth", ".pt", ".bin", ".safetensors"])
def test_container_is_told_by_its_bytes_whatever_the_suffix(
    save: object, suffix: str, tiny_sam_state: State, tmp_path: Path
) -> None:
    path = tmp_path / f"small{suffix}"
    assert callable(save)
    save(tiny_sam_state, path)
    found = _load(path, tmp_path)
    assert _same(found, tiny_sam_state)
    assert found.source == str(path)
    assert (found.architecture.embed_dim, found.architecture.depth) == (32, 2)
    assert (found.architecture.heads, found.architecture.global_attention) == (2, (1,))


@pytest.mark.parametrize("key", ["model", "state_dict", "model_state_dict"])
def test_wrapper_is_looked_into(key: str, tiny_sam_state: State, tmp_path: Path) -> None:
    torch.save({key: OrderedDict(tiny_sam_state), "epoch": 3, "optimizer": {"lr": 0.1}}, tmp_path / "w.pth")
    assert _same(_load(tmp_path / "w.pth", tmp_path), tiny_sam_state)


@pytest.mark.parametrize("prefix", ["module.", "sam.", "model.", "module._orig_mod.", "model.sam."])
def test_prefix_shared_by_all_names_is_stripped(prefix: str, tiny_sam_state: State, tmp_path: Path) -> None:
    prefixed = {prefix + name: tensor for name, tensor in tiny_sam_state.items()}
    assert _same(_load({"state_dict": prefixed}, tmp_path), tiny_sam_state)


def test_prefix_of_some_names_only_is_not_stripped(tiny_sam_state: State, tmp_path: Path) -> None:
    name, *_ = tiny_sam_state
    odd = {(f"sam.{key}" if key == name else key): tensor for key, tensor in tiny_sam_state.items()}
    with pytest.raises(CheckpointError, match="missing"):
        _load(odd, tmp_path)


def test_tensors_that_sam_never_uses_are_dropped(tiny_sam_state: State, tmp_path: Path) -> None:
    more = {
        "image_encoder.head.weight": torch.ones(10, 320),
        "image_encoder.norm_head.bias": torch.ones(320),
        "image_encoder.layers.1.blocks.0.attn.attention_bias_idxs": torch.ones(2, 2, dtype=torch.int64),
        "image_encoder.patch_embed.seq.0.bn.num_batches_tracked": torch.tensor(5),
        "pixel_mean": torch.tensor([123.675, 116.28, 103.53]).view(3, 1, 1),
        "pixel_std": torch.tensor([58.395, 57.12, 57.375]).view(3, 1, 1),
    }
    assert _same(_load({**tiny_sam_state, **more}, tmp_path), tiny_sam_state)


def test_other_image_normalisation_is_refused(tiny_sam_state: State, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"pixel_mean is \[0.0, 0.0, 0.0\]"):
        _load({**tiny_sam_state, "pixel_mean": torch.zeros(3, 1, 1)}, tmp_path)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_float_types_are_read_as_float32(dtype: torch.dtype, tiny_sam_state: State, tmp_path: Path) -> None:
    stored = {name: tensor.to(dtype) for name, tensor in tiny_sam_state.items()}
    torch.save(stored, tmp_path / "half.pth")
    found = _load(tmp_path / "half.pth", tmp_path)
    assert _same(found, {name: tensor.float() for name, tensor in stored.items()})
    assert {tensor.dtype for tensor in found.state.values()} == {torch.float32}


def test_strided_tensors_come_out_contiguous(tiny_sam_state: State, tmp_path: Path) -> None:
    name = "mask_decoder.transformer.layers.0.mlp.lin1.weight"
    turned = {**tiny_sam_state, name: tiny_sam_state[name].t().contiguous().t()}
    torch.save(turned, tmp_path / "turned.pth")
    assert not turned[name].is_contiguous()
    found = _load(tmp_path / "turned.pth", tmp_path)
    assert found.state[name].is_contiguous()
    assert _same(found, tiny_sam_state)


def test_digest_is_that_of_the_numbers_not_of_the_container(saved: Path, tiny_sam_state: State, tmp_path: Path) -> None:
    backwards = dict(reversed(tiny_sam_state.items()))
    save_file(tiny_sam_state, tmp_path / "small.safetensors")
    digests = {_load(source, tmp_path).digest for source in (saved, backwards, tmp_path / "small.safetensors")}
    assert len(digests) == 1
    changed = {**tiny_sam_state, "mask_decoder.iou_token.weight": torch.zeros(1, 256)}
    assert _load(changed, tmp_path).digest not in digests


def test_embedded_weights_are_mobile_sam(tmp_path: Path) -> None:
    found = _load("vit_t", tmp_path / "none")
    assert (found.architecture.variant, found.source) == ("vit_t", "vit_t")
    assert not (tmp_path / "none").exists()


def test_module_gives_its_weights_and_later_training_does_not_change_them(
    tiny_sam_state: State, tmp_path: Path
) -> None:
    encoder = ImageEncoderViT(
        embed_dim=32, depth=2, num_heads=2, use_rel_pos=True, window_size=14, global_attn_indexes=(1,)
    )
    decoder = MaskDecoder(transformer_dim=256, transformer=TwoWayTransformer(2, 256, 8, 2048))
    sam = Sam(encoder, PromptEncoder(256, (64, 64), (1024, 1024), 16), decoder)
    sam.load_state_dict(tiny_sam_state)
    found = _load(sam, tmp_path)
    torch.nn.init.zeros_(sam.mask_decoder.iou_token.weight)
    assert found.source == "a Sam module"
    assert _same(found, tiny_sam_state)


def test_module_with_another_image_normalisation_is_refused(tiny_sam_state: State, tmp_path: Path) -> None:
    class Odd(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("pixel_std", torch.ones(3, 1, 1), persistent=False)

        def state_dict(self) -> State:  # pyright: ignore[reportIncompatibleMethodOverride]
            return tiny_sam_state

    with pytest.raises(CheckpointError, match="a Odd module: its pixel_std"):
        _load(Odd(), tmp_path)


@pytest.mark.parametrize("source", [None, 3, b"vit_t", [1.0]])
def test_other_sources_are_told_what_is_accepted(source: object, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"vit_t, vit_b.*state dict.*Sam"):
        _load(source, tmp_path)


def test_string_that_is_neither_name_nor_path_is_an_unknown_variant(tmp_path: Path) -> None:
    with pytest.raises(UnknownVariantError, match="vit_b"):
        _load("vit-b", tmp_path)


@pytest.mark.parametrize("source", ["no.pth", "folder/vit_b", "~/no-such.pt", "a\0b.pt"])
def test_string_that_looks_like_a_path_is_a_missing_file(source: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such file|no name of a file"):
        _load(source, tmp_path)


def test_bare_name_that_exists_is_a_file(
    saved: Path, tiny_sam_state: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").write_bytes(saved.read_bytes())
    monkeypatch.chdir(tmp_path)
    assert _same(_load("mine", tmp_path), tiny_sam_state)


def test_file_that_asks_to_run_code_is_refused_and_not_run(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    for name, save in {"a.pth": _save_zip, "b.pth": _save_legacy}.items():
        save({"model": _RunsCode(canary)}, tmp_path / name)
        with pytest.raises(CheckpointError, match=r"unsafe.*posix\.mkdir.*not run|unsafe.*nt\.mkdir.*not run"):
            _load(tmp_path / name, tmp_path)
    (tmp_path / "c.pth").write_bytes(pickle.dumps(_RunsCode(canary)))
    with pytest.raises(CheckpointError, match="unsafe"):
        _load(tmp_path / "c.pth", tmp_path)
    assert not canary.exists()
    pickle.loads((tmp_path / "c.pth").read_bytes())
    assert canary.exists(), "the canary would not have shown a thing"


@pytest.mark.parametrize("save", [_save_zip, _save_legacy, save_file])
@pytest.mark.parametrize("share", [0.0005, 0.5, 0.9999])
def test_truncated_file_is_refused(save: object, share: float, tiny_sam_state: State, tmp_path: Path) -> None:
    path = tmp_path / "cut.pth"
    assert callable(save)
    save(tiny_sam_state, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(CheckpointError, match=r"cut\.pth.*(cut short|damaged)"):
        _load(path, tmp_path)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "empty"),
        (b"<!DOCTYPE html><html><body>Sign in</body></html>", "HTML page.*download failed"),
        (b"\n  <html lang=en>", "HTML page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", "Git LFS pointer"),
        ("Gewichte für später, ganz einfach\n".encode(), "text file"),
        (b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03", "neither a PyTorch"),
    ],
)
def test_file_of_another_kind_is_named(content: bytes, told: str, tmp_path: Path) -> None:
    (tmp_path / "weights.pth").write_bytes(content)
    with pytest.raises(CheckpointError, match=rf"weights\.pth.*{told}"):
        read_state(tmp_path / "weights.pth")


def test_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is a folder"):
        _load(tmp_path, tmp_path)


def test_zip_of_other_things_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "sam.pth", "w") as archive:
        archive.writestr("sam_vit_b.pth", b"weights")
    with pytest.raises(CheckpointError, match=r"zip of other things \(sam_vit_b\.pth\)"):
        _load(tmp_path / "sam.pth", tmp_path)


@pytest.mark.parametrize("content", [[torch.zeros(2)], {"epoch": 3}, {"model": {}}, torch.zeros(2)])
def test_checkpoint_without_named_tensors_is_refused(content: object, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "odd.pth")
    with pytest.raises(CheckpointError, match="named tensors"):
        _load(tmp_path / "odd.pth", tmp_path)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_number_that_is_not_finite_is_refused_with_its_tensor(
    value: float, tiny_sam_state: State, tmp_path: Path
) -> None:
    broken = tiny_sam_state["image_encoder.neck.2.weight"].clone()
    broken[5, 6, 1, 2] = value
    with pytest.raises(CheckpointError, match=r"neck\.2\.weight holds numbers that are not finite"):
        _load({**tiny_sam_state, "image_encoder.neck.2.weight": broken}, tmp_path)


@pytest.mark.parametrize(
    ("tensor", "told"),
    [
        (torch.zeros(1, 256, dtype=torch.int8), "holds int8"),
        (torch.zeros(1, 256).to_sparse(), "float32, float16 or bfloat16 weights are needed"),
        (torch.zeros(1, 256, device="meta"), "weights are needed"),
        (torch.zeros(1).expand(1, 256), "claims 256 numbers"),
    ],
)
def test_tensor_that_is_no_plain_weight_is_refused(
    tensor: Tensor, told: str, tiny_sam_state: State, tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match=rf"iou_token\.weight.*{told}"):
        _load({**tiny_sam_state, "mask_decoder.iou_token.weight": tensor}, tmp_path)
