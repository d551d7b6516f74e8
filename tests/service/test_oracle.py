"""The same answers as `segment_anything.SamPredictor` on the same weights, on every example photo.

The photos' longer side is 1024, so both sides see the same pixels; the original's image encoder is a plain
one of the tests' own, since segment_anything has none for these weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from segment_anything import SamPredictor
from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer

from clickmask import Mask, OpenImage, Segmenter
from clickmask.models.checkpoints import load_checkpoint

from ..models.reference_tiny_vit import ReferenceTinyViT

# For each photo: a point on an object, another on the same, one beside it, and a box around it.
OBJECTS = {
    "bird_lamp": ((510, 590), (560, 490), (520, 300), (255, 445, 665, 665)),
    "brushes": ((480, 300), (450, 430), (600, 280), (375, 220, 580, 800)),
    "clock": ((680, 370), (600, 290), (400, 400), (515, 240, 845, 510)),
    "dandelion": ((300, 180), (200, 220), (600, 280), (135, 60, 465, 325)),
    "dogs": ((290, 330), (250, 380), (390, 530), (205, 235, 355, 420)),
    "fig": ((600, 400), (500, 300), (120, 500), (230, 85, 1005, 685)),
    "nuthatch": ((450, 300), (520, 340), (250, 300), (415, 200, 555, 385)),
    "peaks": ((620, 290), (800, 280), (200, 450), (330, 140, 1020, 450)),
    "stream": ((700, 430), (640, 520), (440, 500), (540, 300, 850, 670)),
}


@dataclass(frozen=True)
class Question:
    """One prompt as both sides take it; `candidates` asks for three masks. `chained` adds earlier logits."""

    points: tuple[tuple[int, int], ...] = ()
    labels: tuple[int, ...] = ()
    box: tuple[int, int, int, int] | None = None
    candidates: bool = False
    chained: bool = False


def _questions(photo: str) -> list[Question]:
    on, too, beside, box = OBJECTS[photo]
    return [
        Question((on,), (1,), candidates=True),
        Question((on, too), (1, 1)),
        Question((on, too, beside), (1, 1, 0)),
        Question(box=box),
        Question((on, beside), (1, 0), box),
        Question((on, beside), (1, 0), candidates=True),
        Question(box=box, candidates=True),
        Question((on, beside), (1, 0), chained=True),
        Question((on,), (1,), box, chained=True),
    ]


@dataclass(frozen=True)
class Answer:
    """masks: (C, H, W) bool; scores: (C,); logits: (C, 256, 256)."""

    masks: np.ndarray
    scores: np.ndarray
    logits: np.ndarray


@dataclass(frozen=True)
class Case:
    """A photo, and what the original says: its embedding (1, 256, 64, 64), its answers, and its chained logits."""

    path: Path
    embedding: np.ndarray
    chained: np.ndarray
    answers: list[Answer]

    @property
    def questions(self) -> list[Question]:
        return _questions(self.path.stem)


def _original(encoder: Any, state: dict[str, torch.Tensor]) -> SamPredictor:
    """The original predictor around an image encoder."""
    prompts = PromptEncoder(256, (64, 64), (1024, 1024), 16)
    transformer = TwoWayTransformer(depth=2, embedding_dim=256, mlp_dim=2048, num_heads=8)
    decoder = MaskDecoder(transformer_dim=256, transformer=transformer, num_multimask_outputs=3)
    sam = Sam(encoder, prompts, decoder)
    sam.load_state_dict(state, strict=True)
    return SamPredictor(sam.eval())


def _ask(predictor: SamPredictor, question: Question, chained: np.ndarray | None) -> Answer:
    return Answer(
        *predictor.predict(
            np.array(question.points) if question.points else None,
            np.array(question.labels) if question.points else None,
            None if question.box is None else np.array(question.box),
            chained[None] if question.chained and chained is not None else None,
            multimask_output=question.candidates,
        )
    )


def _interview(predictor: SamPredictor, pixels: np.ndarray, path: Path) -> Case:
    predictor.set_image(pixels)
    questions = _questions(path.stem)
    first = _ask(predictor, questions[0], None)
    chained = first.logits[first.scores.argmax()]
    answers = [first] + [_ask(predictor, question, chained) for question in questions[1:]]
    return Case(path, predictor.get_image_embedding().numpy(), chained, answers)


def _read(path: Path) -> np.ndarray:
    pixels = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
    assert pixels is not None
    return pixels


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> SamPredictor:
    state = load_checkpoint("vit_t", cache_dir=tmp_path_factory.mktemp("none")).state
    return _original(ReferenceTinyViT(), dict(state))


@pytest.fixture(scope="module")
def cases(original: SamPredictor, photos: list[Path]) -> list[Case]:
    return [_interview(original, _read(path), path) for path in photos]


def _ours(image: OpenImage, question: Question, chained: np.ndarray) -> Answer:
    """Our answer in the decoder's order."""
    asked: dict[str, Any] = {"points": question.points, "labels": question.labels or None, "box": question.box}
    if question.candidates:
        masks: list[Mask] = sorted(image.candidates(**asked), key=lambda mask: mask.index)
    else:
        masks = [image.segment(**asked, previous=chained if question.chained else None)]
    return Answer(
        np.stack([m.pixels for m in masks]), np.array([m.score for m in masks]), np.stack([m.logits for m in masks])
    )


def _ious(ours: Answer, theirs: Answer) -> list[float]:
    pairs = zip(ours.masks, theirs.masks, strict=True)
    return [float((a & b).sum() / union) if (union := (a | b).sum()) else 1.0 for a, b in pairs]


def _assert_same(ours: Answer, theirs: Answer) -> None:
    np.testing.assert_allclose(ours.logits, theirs.logits, rtol=0, atol=1e-3)
    np.testing.assert_allclose(ours.scores, theirs.scores, rtol=0, atol=1e-4)
    assert min(_ious(ours, theirs)) > 0.999


def test_every_photo_is_asked_at_least_eight_questions_with_objects_in_the_answers(cases: list[Case]) -> None:
    assert len(cases) >= 8
    for case in cases:
        assert len(case.answers) >= 8
        areas = [answer.masks.mean() for answer in case.answers]
        assert 0.002 < np.median(areas) < 0.9, case.path.stem


def test_float32_square_gives_the_original_answers(segmenter: Segmenter, cases: list[Case]) -> None:
    for case in cases:
        image = segmenter.open(case.path)
        np.testing.assert_allclose(image.embedding()[None], case.embedding, rtol=0, atol=2e-5)
        for question, theirs in zip(case.questions, case.answers, strict=True):
            _assert_same(_ours(image, question, case.chained), theirs)


def test_click_returns_the_candidate_that_the_original_scores_best(dogs: OpenImage, cases: list[Case]) -> None:
    case = next(case for case in cases if case.path.stem == "dogs")
    theirs = case.answers[0]
    mask = dogs.click(*OBJECTS["dogs"][0])
    assert mask.index == theirs.scores.argmax()
    np.testing.assert_allclose(mask.logits, theirs.logits[mask.index], rtol=0, atol=1e-3)


@pytest.mark.soak
def test_bfloat16_square_gives_nearly_the_original_masks(cache_folder: Path, cases: list[Case]) -> None:
    quick = Segmenter(device="cpu", precision="bfloat16", fit="square", refine="off", cache_dir=cache_folder)
    ious: list[float] = []
    for case in cases[::2]:  # a CPU without bfloat16 emulates it, at a fifth of the speed
        image = quick.open(case.path)
        for question, theirs in zip(case.questions, case.answers, strict=True):
            ious += _ious(_ours(image, question, case.chained), theirs)
    assert len(ious) >= 48
    assert np.mean(ious) > 0.98


@pytest.mark.parametrize("size", [(170, 256), (1500, 2252)], ids=["enlarged", "reduced"])
def test_resized_photo_gives_nearly_the_original_masks(
    segmenter: Segmenter, original: SamPredictor, photo_path: Path, size: tuple[int, int]
) -> None:
    """Our resizing is at most one grey level from the original's, so masks are not equal to the letter."""
    pixels = cv2.resize(_read(photo_path), size, interpolation=cv2.INTER_AREA)
    scale = size[0] / 682
    box = np.array(OBJECTS["dogs"][3]) * scale
    original.set_image(pixels)
    masks, _, _ = original.predict(box=box, multimask_output=False)
    mask = segmenter.open(pixels).segment(box=box).pixels
    assert mask.shape == masks[0].shape
    assert (mask & masks[0]).sum() / (mask | masks[0]).sum() > 0.99


@pytest.fixture(scope="module")
def plain_original(tiny_sam_state: dict[str, torch.Tensor]) -> SamPredictor:
    encoder = ImageEncoderViT(
        embed_dim=32,
        depth=2,
        num_heads=2,
        use_rel_pos=True,
        window_size=14,
        global_attn_indexes=(1,),
        norm_layer=lambda channels: torch.nn.LayerNorm(channels, eps=1e-6),  # pyright: ignore[reportArgumentType]
    )
    return _original(encoder, tiny_sam_state)


def test_plain_vit_gives_the_original_answers(
    tiny_segmenter: Segmenter, plain_original: SamPredictor, photo_path: Path
) -> None:
    case = _interview(plain_original, _read(photo_path), photo_path)
    image = tiny_segmenter.open(photo_path)
    for question, theirs in zip(case.questions, case.answers, strict=True):
        ours = _ours(image, question, case.chained)
        np.testing.assert_allclose(ours.logits, theirs.logits, rtol=0, atol=1e-3)
        np.testing.assert_allclose(ours.scores, theirs.scores, rtol=0, atol=1e-4)


def test_original_module_makes_the_same_segmenter_as_its_state(
    tiny_segmenter: Segmenter, plain_original: SamPredictor, cache_folder: Path
) -> None:
    given = Segmenter(plain_original.model, device="cpu", precision="float32", refine="off", cache_dir=cache_folder)
    assert given.provenance["digest"] == tiny_segmenter.provenance["digest"]
