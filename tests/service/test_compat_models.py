"""`sam_model_registry`: modules that segment_anything and MobileSAM know, filled by the safe reader."""

from __future__ import annotations

import copy
import inspect
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import segment_anything
import torch
from safetensors.torch import load_file
from torch import Tensor

from clickmask import CheckpointError, SamPredictor, sam_model_registry
from clickmask.models.checkpoints import EMBEDDED
from clickmask.models.layout import tiny_vit_layout


@pytest.fixture
def embedded() -> dict[str, Tensor]:
    return load_file(EMBEDDED)


def test_the_names_are_those_of_the_originals_and_vit_t() -> None:
    assert sam_model_registry.keys() == {*segment_anything.sam_model_registry, "vit_t"}


@pytest.mark.parametrize("name", ["default", "vit_t", "vit_b", "vit_l", "vit_h"])
def test_a_builder_takes_a_checkpoint_by_position_or_name(name: str) -> None:
    (parameter,) = inspect.signature(sam_model_registry[name]).parameters.values()
    assert (parameter.name, parameter.default) == ("checkpoint", None)
    assert parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD


def test_vit_t_without_a_checkpoint_is_the_embedded_model(embedded: dict[str, Tensor]) -> None:
    sam = sam_model_registry["vit_t"]()
    state = sam.state_dict()
    assert isinstance(sam, segment_anything.modeling.Sam)
    assert not sam.training and sam.device == torch.device("cpu")
    assert {name: tuple(tensor.shape) for name, tensor in state.items()} == tiny_vit_layout()
    assert all(torch.equal(state[name], tensor) for name, tensor in embedded.items())


def test_vit_b_without_a_checkpoint_begins_at_random() -> None:
    sam = sam_model_registry["vit_b"]()
    theirs = segment_anything.sam_model_registry["vit_b"]()
    assert repr(sam) == repr(theirs)
    assert not sam.training and all(parameter.requires_grad for parameter in sam.parameters())
    shapes = [{name: tensor.shape for name, tensor in one.state_dict().items()} for one in (sam, theirs)]
    assert shapes[0] == shapes[1]
    assert float(sam.mask_decoder.iou_token.weight.detach().std()) > 0.5


def test_a_checkpoint_of_another_size_is_refused_by_both_names(tmp_path: Path, embedded: dict[str, Tensor]) -> None:
    path = tmp_path / "mobile.pth"
    torch.save(embedded, path)
    with pytest.raises(
        CheckpointError, match=r"mobile\.pth.*MobileSAM.*vit_t.*ViT-B.*vit_b.*registry\['vit_t'\]"
    ) as one:
        sam_model_registry["vit_b"](checkpoint=str(path))
    assert isinstance(one.value, RuntimeError)


def test_a_checkpoint_of_no_official_size_is_refused(tmp_path: Path, tiny_sam_state: dict[str, Tensor]) -> None:
    torch.save(tiny_sam_state, tmp_path / "own.pth")
    with pytest.raises(CheckpointError, match="width 32, 2 blocks.*vit_h"):
        sam_model_registry["default"](tmp_path / "own.pth")


def test_a_missing_checkpoint_is_also_a_file_not_found_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere") as caught:
        sam_model_registry["vit_b"](tmp_path / "nowhere.pth")
    assert isinstance(caught.value, CheckpointError)


def test_a_name_is_a_path_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match="vit_b"):
        sam_model_registry["vit_b"]("vit_b")


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "evil.pth"
    path.write_bytes(pickle.dumps({"x": print}))
    with pytest.raises(CheckpointError, match="unsafe"):
        sam_model_registry["vit_t"](path)


def test_vit_t_takes_the_official_file_with_its_unused_tensors(tmp_path: Path, embedded: dict[str, Tensor]) -> None:
    official = {name: tensor * 0.5 for name, tensor in embedded.items()}
    official["image_encoder.head.weight"] = torch.zeros(1000, 320)
    official["image_encoder.norm_head.bias"] = torch.zeros(320)
    official["image_encoder.patch_embed.seq.0.bn.num_batches_tracked"] = torch.tensor(7)
    torch.save(official, tmp_path / "mobile_sam.pt")
    sam = sam_model_registry["vit_t"]()
    result = sam.load_state_dict(torch.load(tmp_path / "mobile_sam.pt"))
    assert not result.missing_keys and not result.unexpected_keys
    for one in (sam, sam_model_registry["vit_t"](tmp_path / "mobile_sam.pt")):
        assert all(torch.equal(tensor, official[name]) for name, tensor in one.state_dict().items())


def test_vit_t_still_refuses_tensors_that_do_not_fit(embedded: dict[str, Tensor]) -> None:
    sam = sam_model_registry["vit_t"]()
    with pytest.raises(RuntimeError, match="Unexpected key.*adapter"):
        sam.load_state_dict({**embedded, "image_encoder.adapter.weight": torch.zeros(1)})
    with pytest.raises(RuntimeError, match="Missing key"):
        sam.load_state_dict({name: tensor for name, tensor in embedded.items() if "neck" not in name})


def test_the_encoder_of_vit_t_sees_every_change_of_its_weights() -> None:
    encoder: Any = sam_model_registry["vit_t"]().image_encoder
    picture = torch.randn(2, 3, 128, 256, generator=torch.Generator().manual_seed(2))
    first = encoder(picture)
    assert first.shape == (2, 256, 8, 16) and not first.requires_grad
    twin = copy.deepcopy(encoder)
    with torch.no_grad():
        encoder.neck.get_submodule("3").weight.mul_(2)
        encoder.neck.get_submodule("3").bias.mul_(2)
    assert torch.allclose(encoder(picture), 2 * first, atol=1e-5)
    encoder.load_state_dict(twin.state_dict())
    assert torch.equal(encoder(picture), first)
    assert torch.equal(twin(picture), first)


def test_the_module_of_vit_t_can_be_called(photo: np.ndarray) -> None:
    sam: Any = sam_model_registry["vit_t"]()
    predictor = SamPredictor(sam)
    predictor.set_image(photo)
    scaled = torch.as_tensor(predictor.transform.apply_image(photo)).permute(2, 0, 1)
    box = torch.tensor([[200.0, 300.0, 600.0, 900.0]])
    (answer,) = sam([{"image": scaled, "original_size": photo.shape[:2], "boxes": box}], multimask_output=True)
    masks, scores, low_res = predictor.predict_torch(None, None, box)
    assert answer["masks"].shape == masks.shape
    assert torch.allclose(answer["low_res_logits"], low_res, atol=1e-3)
    assert torch.allclose(answer["iou_predictions"], scores, atol=1e-4)
