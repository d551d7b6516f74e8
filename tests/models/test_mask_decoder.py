"""The decoder against segment_anything's own on the same weights and image tokens, alone and in batches."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor

import clickmask.models.sam as models_sam
from clickmask.models.checkpoints import Checkpoint
from clickmask.models.crew import Crew
from clickmask.models.sam import PromptTensors, Sam

from .originals import Original, original_parts

LOGITS, SCORES = 1e-3, 1e-4  # bounds against the original, and of a batch against one by one


@pytest.fixture(scope="module")
def original(checkpoint: Checkpoint) -> Original:
    return original_parts(checkpoint)


def _ask(original: Original, tokens: Tensor, prompt: PromptTensors, multimask: bool) -> tuple[Tensor, Tensor]:
    """The original's low-res logits (C, 256, 256) and scores (C,) for points without a box, or a box alone."""
    points = box = None
    if (prompt.labels >= 2).any():
        box = prompt.coords[-2:].reshape(1, 4)
        count = len(prompt.labels) - 2
    else:
        count = len(prompt.labels) - 1
    if count > 0:
        points = prompt.coords[None, :count], prompt.labels[None, :count]
    earlier = None if prompt.low_res is None else prompt.low_res[None, None]
    sparse, dense = original.prompts(points, box, earlier)
    logits, scores = original.decoder(
        image_embeddings=tokens.T.reshape(1, 256, 64, 64),
        image_pe=original.prompts.get_dense_pe(),
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
        multimask_output=multimask,
    )
    return logits[0], scores[0]


def _points(*points: tuple[float, float], labels: list[int] | None = None, low_res: Tensor | None = None):
    labels = labels or [1] * len(points)
    return PromptTensors.pack(torch.tensor(points), torch.tensor(labels), None, low_res)


def _box(*sides: float, low_res: Tensor | None = None) -> PromptTensors:
    nothing = torch.zeros(0, 2)
    return PromptTensors.pack(nothing, nothing.new_zeros(0, dtype=torch.int64), torch.tensor(sides), low_res)


def _earlier(seed: int) -> Tensor:
    """(256, 256): smooth logits with an object or two."""
    coarse = 8 * torch.randn(1, 1, 8, 8, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, (256, 256), mode="bicubic")[0, 0].contiguous()


def _prompts() -> list[PromptTensors]:
    """Ragged: points, boxes, both, earlier masks, and one earlier mask alone, which has no tokens at all."""
    nothing = torch.zeros(0, 2)
    return [
        _points((600.0, 200.0)),
        _box(300.0, 10.0, 1000.0, 390.0),
        _points((600.0, 200.0), (100.0, 350.0), labels=[1, 0]),
        _points((900.5, 40.25)),
        _points((650.0, 230.0), low_res=_earlier(1)),
        PromptTensors.pack(torch.tensor([[500.0, 100.0]]), torch.tensor([0]), torch.tensor([300.0, 10, 990, 390])),
        _points((600.0, 210.0), low_res=_earlier(2)),
        PromptTensors.pack(nothing, nothing.new_zeros(0, dtype=torch.int64), None, _earlier(3)),
        _box(520.0, 90.0, 720.0, 310.0, low_res=_earlier(4)),
        _points((10.0, 10.0), (20.0, 300.0), (1000.0, 399.0), labels=[0, 0, 1]),
        _box(0.0, 0.0, 1024.0, 400.0),
    ]


def _assert_near(one: tuple[Tensor, Tensor], other: tuple[Tensor, Tensor]) -> None:
    torch.testing.assert_close(one[0], other[0], rtol=0, atol=LOGITS)
    torch.testing.assert_close(one[1], other[1], rtol=0, atol=SCORES)


@pytest.mark.parametrize("multimask", [False, True])
def test_ragged_prompts_equal_the_original_one_by_one(
    sam: Sam, original: Original, tokens: Tensor, multimask: bool
) -> None:
    prompts = _prompts()
    for prompt, ours in zip(prompts, sam.decode(tokens, prompts, multimask=multimask), strict=True):
        assert ours[0].shape == (3 if multimask else 1, 256, 256)
        _assert_near(ours, _ask(original, tokens, prompt, multimask))


@pytest.mark.parametrize("multimask", [False, True])
@pytest.mark.parametrize("earlier", [False, True], ids=["shared image", "own masks"])
def test_batch_equals_one_by_one(sam: Sam, tokens: Tensor, multimask: bool, earlier: bool) -> None:
    """The way of a GPU: several prompts of one token count in one call."""
    places = [(600.0, 200.0), (900.0, 40.0), (100.0, 350.0), (450.5, 220.0)]
    batch = [_points(place, low_res=_earlier(n) if earlier else None) for n, place in enumerate(places)]
    logits, scores = sam._decode_together([tokens] * len(batch), batch, multimask)
    assert logits.shape == (4, 3 if multimask else 1, 256, 256)
    for prompt, *together in zip(batch, logits, scores, strict=True):
        alone_logits, alone_scores = sam._decode_together([tokens], [prompt], multimask)
        _assert_near((together[0], together[1]), (alone_logits[0], alone_scores[0]))


def test_answers_do_not_depend_on_order_or_neighbours_by_one_bit(sam: Sam, tokens: Tensor) -> None:
    prompts = _prompts()
    forth = sam.decode(tokens, prompts, multimask=True)
    back = sam.decode(tokens, prompts[::-1], multimask=True)[::-1]
    alone = [sam.decode(tokens, [prompt], multimask=True)[0] for prompt in prompts]
    for answers in zip(forth, back, alone, strict=True):
        for logits, scores in answers[1:]:
            assert torch.equal(logits, answers[0][0])
            assert torch.equal(scores, answers[0][1])


def test_bfloat16_image_side_gives_nearly_the_same_masks(checkpoint: Checkpoint, sam: Sam, tokens: Tensor) -> None:
    quick = Sam(checkpoint, torch.device("cpu"), torch.bfloat16)
    prompts = _prompts()[:3]
    rounded = quick.decode(tokens.bfloat16(), prompts, multimask=False)
    for (ours, _), (exact, _) in zip(rounded, sam.decode(tokens, prompts, multimask=False), strict=True):
        assert ours.dtype == torch.float32
        one, other = ours > 0, exact > 0
        assert (one & other).sum() / (one | other).sum() > 0.98


def test_tokens_are_left_as_they_were(sam: Sam, tokens: Tensor) -> None:
    before = tokens.clone()
    sam.decode(tokens, _prompts()[:5], multimask=True)
    assert torch.equal(tokens, before)


def test_answers_do_not_depend_on_the_number_of_threads_by_one_bit(
    sam: Sam, tokens: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    single = Crew(2)  # its threads compute alone, as a crew of one is for threads that do
    answers = []
    for ours in map(Crew, (1, 2, 5)):
        monkeypatch.setattr(models_sam, "crew", partial(lambda own: own, ours))
        answers += single.map(lambda prompts: sam.decode(tokens, prompts, multimask=True), [_prompts()])
    for other in answers[1:]:
        for (logits, scores), (expected, their_scores) in zip(other, answers[0], strict=True):
            assert torch.equal(logits, expected) and torch.equal(scores, their_scores)
