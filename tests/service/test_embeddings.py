"""Embeddings saved and loaded: the same masks, and refusals of what does not belong together."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from clickmask import ClosedError, EmbeddingError, OpenImage, OutputError, Segmenter


@pytest.fixture(scope="module")
def image(strip_segmenter: Segmenter, strip: np.ndarray) -> OpenImage:
    return strip_segmenter.open(strip, name="strip.jpg")


@pytest.fixture
def saved(image: OpenImage, tmp_path: Path) -> Path:
    image.save_embedding(tmp_path / "strip.safetensors")
    return tmp_path / "strip.safetensors"


def test_loaded_embedding_gives_the_same_masks_by_the_bit(
    image: OpenImage, saved: Path, strip_segmenter: Segmenter
) -> None:
    loaded = strip_segmenter.load_embedding(saved)
    assert loaded.size == image.size and loaded.frame == image.frame
    assert np.array_equal(loaded.embedding(), image.embedding())
    for asked in (
        {"points": [(600, 30)]},
        {"points": [(600, 30), (90, 30)], "labels": [1, 0]},
        {"box": (300, 0, 900, 60)},
    ):
        one, other = image.segment(**asked), loaded.segment(**asked)
        assert np.array_equal(one.logits, other.logits)
        assert np.array_equal(one.pixels, other.pixels)
        assert (one.score, one.stability) == (other.score, other.stability)


def test_window_keeps_its_place(image: OpenImage, strip_segmenter: Segmenter, tmp_path: Path) -> None:
    window = image.window((300, 4, 700, 60))
    window.save_embedding(tmp_path / "window.safetensors")
    loaded = strip_segmenter.load_embedding(str(tmp_path / "window.safetensors"))
    assert loaded.frame == window.frame
    assert np.array_equal(loaded.click(600, 30).pixels, window.click(600, 30).pixels)


@pytest.mark.soak
def test_bfloat16_embedding_is_kept_as_it_is(strip: np.ndarray, cache_folder: Path, tmp_path: Path) -> None:
    quick = Segmenter(device="cpu", precision="bfloat16", fit="rectangle", cache_dir=cache_folder)
    image = quick.open(strip)
    image.save_embedding(tmp_path / "quick.safetensors")
    loaded = quick.load_embedding(tmp_path / "quick.safetensors")
    assert np.array_equal(loaded.click(600, 30).logits, image.click(600, 30).logits)
    assert loaded.provenance == image.provenance


@pytest.mark.soak
def test_embedding_of_other_settings_is_named_beside_those_that_decode(
    strip: np.ndarray, strip_segmenter: Segmenter, cache_folder: Path, tmp_path: Path
) -> None:
    quick = Segmenter(device="cpu", precision="bfloat16", fit="square", cache_dir=cache_folder)
    quick.open(strip).save_embedding(tmp_path / "quick.safetensors")
    loaded = strip_segmenter.load_embedding(tmp_path / "quick.safetensors", image=strip)
    assert loaded.provenance == {**strip_segmenter.provenance, "embedding": quick.provenance}
    assert loaded.window((300, 0, 700, 64)).provenance == strip_segmenter.provenance
    loaded.save_embedding(tmp_path / "again.safetensors")
    assert quick.load_embedding(tmp_path / "again.safetensors").provenance == quick.provenance


def test_without_the_image_masks_come_but_no_cutouts(saved: Path, strip_segmenter: Segmenter) -> None:
    loaded = strip_segmenter.load_embedding(saved)
    mask = loaded.click(600, 30)
    assert mask.area > 0
    for call in (mask.cutout, lambda: loaded.pixels, lambda: loaded.window((300, 0, 700, 64))):
        with pytest.raises(ClosedError, match="image="):
            call()


def test_with_the_image_everything_works(
    image: OpenImage, saved: Path, strip: np.ndarray, strip_segmenter: Segmenter, tmp_path: Path
) -> None:
    loaded = strip_segmenter.load_embedding(saved, image=strip)
    assert np.array_equal(loaded.click(600, 30).cutout(), image.click(600, 30).cutout())
    assert np.array_equal(loaded.pixels, strip)
    box = (300, 0, 700, 64)
    assert np.array_equal(loaded.window(box).embedding(), image.window(box).embedding())
    loaded.save_embedding(tmp_path / "again.safetensors")
    again = strip_segmenter.load_embedding(tmp_path / "again.safetensors", image=strip)
    assert np.array_equal(again.embedding(), image.embedding())


def test_another_image_is_refused(saved: Path, strip: np.ndarray, strip_segmenter: Segmenter) -> None:
    other = strip.copy()
    other[0, 0, 0] ^= 1
    with pytest.raises(EmbeddingError, match="another image .*strip.jpg"):
        strip_segmenter.load_embedding(saved, image=other)


def test_another_model_is_refused(saved: Path, tiny_segmenter: Segmenter) -> None:
    with pytest.raises(EmbeddingError, match="made with model vit_t"):
        tiny_segmenter.load_embedding(saved)


def _missing(path: Path) -> None:
    path.unlink()


def _cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


def _text(path: Path) -> None:
    path.write_text("not an embedding")


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("damage", [_missing, _cut_off, _text, _empty, _folder])
def test_file_that_cannot_be_read_is_named(
    saved: Path, strip_segmenter: Segmenter, damage: Callable[[Path], None]
) -> None:
    damage(saved)
    with pytest.raises(EmbeddingError, match="strip.safetensors: (cannot be read|there is no such)"):
        strip_segmenter.load_embedding(saved)


def _rewrite(path: Path, tensors: dict[str, torch.Tensor] | None = None, **changes: Any) -> None:
    """The same file with other tensors, or with other fields of its description (None: left out)."""
    with safe_open(path, framework="pt") as file:
        about = json.loads(file.metadata()["clickmask"])
        tensors = {"tokens": file.get_tensor("tokens")} if tensors is None else tensors
    about = {name: value for name, value in (about | changes).items() if value is not None}
    save_file(tensors, path, {"clickmask": json.dumps(about)})


@pytest.mark.parametrize(
    "tokens",
    [torch.zeros(4096, 255), torch.zeros(256, 64, 64), torch.zeros(4096, 256, dtype=torch.int32), torch.zeros(1)],
    ids=["narrow", "channels first", "integers", "one number"],
)
def test_tokens_of_another_shape_or_type_are_refused(
    saved: Path, strip_segmenter: Segmenter, tokens: torch.Tensor
) -> None:
    _rewrite(saved, {"tokens": tokens})
    with pytest.raises(
        EmbeddingError, match=r"expected finite tokens of shape \(4096, channels\)|of 256 channels, got 255"
    ):
        strip_segmenter.load_embedding(saved)


def test_another_family_is_refused(saved: Path, strip_segmenter: Segmenter) -> None:
    _rewrite(saved, family="sam2")
    with pytest.raises(EmbeddingError, match="of family 'sam2', expected 'sam'"):
        strip_segmenter.load_embedding(saved)


@pytest.mark.parametrize(
    "changes",
    [
        {"image": None},
        {"image": {"width": "wide", "height": 64, "sha256": "", "name": None}},
        {"image": {"width": 0, "height": 64, "sha256": "", "name": None}},
        {"image": []},
        {"window": None},
        {"window": [0, 0, 5]},
        {"window": [0, 0, 0, 0]},
        {"window": [0, 0, 2000, 64]},
        {"window": [-5, 0, 10, 10]},
        {"provenance": None},
        {"provenance": ["vit_t"]},
    ],
    ids=str,
)
def test_description_that_makes_no_sense_is_refused(
    saved: Path, strip_segmenter: Segmenter, changes: dict[str, Any]
) -> None:
    _rewrite(saved, **changes)
    with pytest.raises(EmbeddingError, match="strip.safetensors: not an embedding written by clickmask"):
        strip_segmenter.load_embedding(saved)


@pytest.mark.parametrize("metadata", [None, {"clickmask": "{"}, {"clickmask": "[]"}, {"other": "{}"}])
def test_other_safetensors_files_are_refused(
    tmp_path: Path, strip_segmenter: Segmenter, metadata: dict[str, str] | None
) -> None:
    save_file({"tokens": torch.zeros(4096, 256)}, tmp_path / "other.safetensors", metadata)
    with pytest.raises(EmbeddingError, match="other.safetensors: not an embedding written by clickmask"):
        strip_segmenter.load_embedding(tmp_path / "other.safetensors")


def test_place_that_cannot_be_written_is_refused(image: OpenImage, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(OutputError, match="file"):
        image.save_embedding(tmp_path / "file" / "strip.safetensors")
