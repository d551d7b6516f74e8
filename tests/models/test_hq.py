"""HQ-SAM against its original (package segment-anything-hq), on small random weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor
from typer.testing import CliRunner

from clickmask import EmbeddingError, Mask, SamPredictor, Segmenter, SettingsError, sam_model_registry
from clickmask.models.checkpoints import load_checkpoint
from clickmask.models.errors import CheckpointError
from clickmask.models.frame import Frame
from clickmask.models.recognise import recognise
from clickmask.models.sam import PromptTensors, Sam
from clickmask.service.cli.app import app
from clickmask.service.images import read_picture

LOGITS, SCORES = 1e-3, 1e-4
PHOTO = np.random.default_rng(4).integers(0, 256, (96, 160, 3), np.uint8)


@pytest.fixture(scope="module")
def sam(hq_file: Path) -> Sam:
    return Sam(load_checkpoint(str(hq_file), cache_dir=hq_file.parent), torch.device("cpu"), torch.float32)


@pytest.fixture(autouse=True)
def _no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


def _square() -> Tensor:
    """The photo as the network sees it, (1, 3, 1024, 1024)."""
    from clickmask.models.padding import pad
    from clickmask.models.sam import resize

    scaled = resize(torch.from_numpy(PHOTO), Frame.whole(160, 96).scaled_size)
    return pad(Sam.normalise(_Cpu(), scaled)[None], 1024, 1024).permute(0, 3, 1, 2)  # type: ignore[arg-type]


class _Cpu:
    device = torch.device("cpu")


@pytest.mark.parametrize("multimask", [False, True])
@pytest.mark.parametrize("with_mask", [False, True])
def test_masks_and_scores_are_the_originals(hq_original: Any, sam: Sam, multimask: bool, with_mask: bool) -> None:
    coords, labels = torch.tensor([[600.0, 200.0], [100.0, 350.0]]), torch.tensor([1, 0])
    earlier = torch.linspace(-6, 6, 256 * 256).view(256, 256) if with_mask else None
    prompt = PromptTensors.pack(coords, labels, None, earlier)
    tokens = sam.encode(torch.from_numpy(PHOTO), Frame.whole(160, 96))
    ((logits, scores),) = sam.decode(tokens, [prompt], multimask=multimask)
    embedding, early = hq_original.image_encoder(_square())
    masks = None if earlier is None else earlier[None, None]
    sparse, dense = hq_original.prompt_encoder((coords[None], labels[None]), None, masks)
    expected, score = hq_original.mask_decoder(
        image_embeddings=embedding,
        image_pe=hq_original.prompt_encoder.get_dense_pe(),
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
        multimask_output=multimask,
        hq_token_only=False,
        interm_embeddings=early,
    )
    best = int(scores.argmax())  # of several the original gives the best alone
    assert len(logits) == (3 if multimask else 1) and tokens.shape == (4096, 768)
    torch.testing.assert_close(scores[best], score[0, 0], rtol=0, atol=SCORES)
    torch.testing.assert_close(logits[best], expected[0, 0], rtol=0, atol=LOGITS)


def test_the_file_is_known_for_what_it_is(hq_file: Path) -> None:
    architecture = load_checkpoint(str(hq_file), cache_dir=hq_file.parent).architecture
    assert (
        architecture.is_hq and architecture.variant is None and architecture.title.startswith("HQ-SAM ViT of its own")
    )
    state = torch.load(hq_file, weights_only=True)
    state.pop("mask_decoder.hf_mlp.layers.0.weight")
    with pytest.raises(CheckpointError, match=r"hf_mlp.*missing"):
        recognise(state)


def test_it_goes_the_way_of_every_model(hq_file: Path, tmp_path: Path) -> None:
    """Clicks, boxes, chains, windows and saved embeddings, with masks of three candidates."""
    segmenter = Segmenter(str(hq_file), device="cpu", cache_dir=tmp_path)
    image = segmenter.open(PHOTO)
    assert image.embedding().shape == (256, 64, 64) and "HQ-SAM" in segmenter.provenance["model"]
    three = image.candidates([(80, 40)])
    assert len({mask.logits.tobytes() for mask in three}) == 3
    thing = image.start()
    thing.add(80, 40)
    assert isinstance(thing.add(30, 30, label=0), Mask)
    assert image.segment(box=(10, 10, 90, 70)).pixels.shape == (96, 160)
    assert image.window((40, 20, 120, 80)).click(80, 40).pixels.shape == (96, 160)
    image.save_embedding(tmp_path / "a.safetensors")
    again = segmenter.load_embedding(tmp_path / "a.safetensors", image=PHOTO)
    assert np.array_equal(again.click(80, 40).logits, image.click(80, 40).logits)
    far = segmenter.open_encoded(read_picture(PHOTO), image.frame, image.encoded())
    assert np.array_equal(far.click(80, 40).logits, image.click(80, 40).logits)
    with pytest.raises(EmbeddingError, match=r"expected an embedding of \(768, 64, 64\), got \(256, 64, 64\)"):
        segmenter.open_encoded(read_picture(PHOTO), image.frame, image.embedding())
    assert segmenter.embedding_bytes == 3 * Segmenter(cache_dir=tmp_path).embedding_bytes
    assert image.encoder_attention().rollout(80, 40).shape == (64, 64)


def test_a_batch_that_it_cannot_do_ends_before_the_first_photo(hq_file: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    assert cv2.imwrite(str(tmp_path / "photos" / "a.png"), PHOTO)
    for what in ("--everything", "--subject"):
        words = [
            "batch",
            str(tmp_path / "photos"),
            str(tmp_path / what),
            what,
            "--model",
            str(hq_file),
            "--device",
            "cpu",
        ]
        told = CliRunner().invoke(app, words)
        assert told.exit_code == 2 and f"{what[2:]}: HQ-SAM has masks for clicks and boxes alone" in told.stderr


def test_bfloat16_gives_nearly_the_same(hq_file: Path, tmp_path: Path) -> None:
    ways = [Segmenter(str(hq_file), device="cpu", precision=way, cache_dir=tmp_path) for way in ("float32", "bfloat16")]
    exact, quick = (way.open(PHOTO).segment(box=(10, 10, 90, 70)).logits.ravel() for way in ways)
    assert exact @ quick / np.linalg.norm(exact) / np.linalg.norm(quick) > 0.995


def test_what_it_does_not_do_is_refused_by_name(hq_file: Path, hq_original: Any, tmp_path: Path) -> None:
    segmenter = Segmenter(str(hq_file), device="cpu", cache_dir=tmp_path)
    image = segmenter.open(PHOTO)
    for what, call in (
        ("everything", image.everything),
        ("subject", image.subject),
        ("attention", lambda: image.attention([(80, 40)])),
    ):
        with pytest.raises(SettingsError, match=f"{what}: HQ-SAM has masks for clicks and boxes alone"):
            call()
    with pytest.raises(SettingsError, match="the drop-in classes are SAM's, and this is HQ-SAM: ask it by Segmenter"):
        SamPredictor(segmenter)
    with pytest.raises(CheckpointError, match="clickmask.Segmenter, which runs it"):
        sam_model_registry["vit_b"](str(hq_file))
    with pytest.raises(CheckpointError, match="give it to Segmenter"):
        SamPredictor(hq_original)
    plain = Segmenter(device="cpu", cache_dir=tmp_path)
    plain.open(PHOTO).save_embedding(tmp_path / "plain.safetensors")
    with pytest.raises(EmbeddingError, match="made with model .*not with this one.*encode the image again"):
        segmenter.load_embedding(tmp_path / "plain.safetensors")
