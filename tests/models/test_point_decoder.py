"""`PointDecoder` beside `Sam.decode`, one point at a time, on the embedded weights and a photo."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor

from clickmask.models.checkpoints import Checkpoint
from clickmask.models.crew import crew
from clickmask.models.point_decoder import CANDIDATES, Answers, PointDecoder, Wanted
from clickmask.models.sam import PromptTensors, Sam

LOGITS, SCORES = 1e-3, 1e-4  # bounds in float32
POINTS = torch.tensor([[600.0, 200.0], [900.5, 40.25], [100.0, 350.0], [450.5, 220.0], [0.0, 0.0], [1024.0, 400.0]])


@pytest.fixture(scope="module")
def decoder(sam: Sam, tokens: Tensor) -> PointDecoder:
    return PointDecoder(sam, tokens)


@pytest.fixture
def threads() -> Iterator[None]:
    """Puts torch's number of threads back."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def _all(scores: Tensor) -> Tensor:
    return torch.ones_like(scores, dtype=torch.bool)


def _stock(sam: Sam, tokens: Tensor, points: Tensor) -> list[tuple[Tensor, Tensor]]:
    ones, none = torch.ones(1, dtype=torch.int64), None
    prompts = [PromptTensors.pack(point[None], ones, none) for point in points]
    return sam.decode(tokens, prompts, multimask=True)


def _decode(decoder: PointDecoder, points: Tensor, wanted: Wanted = _all) -> Answers:
    """As a search does it: by a thread of the crew, which computes alone."""
    return crew().map(decoder.decode, [points], [wanted])[0]


def _assert_equal(ours: Answers, other: Answers) -> None:
    assert all(torch.equal(one, two) for one, two in zip(ours, other, strict=True))


def test_every_point_gets_what_sam_decode_gives_it_in_order(sam: Sam, tokens: Tensor, decoder: PointDecoder) -> None:
    answers = _decode(decoder, POINTS)
    assert answers.point.tolist() == [n for n in range(len(POINTS)) for _ in range(CANDIDATES)]
    assert answers.candidate.tolist() == list(range(CANDIDATES)) * len(POINTS)
    assert answers.logits.dtype == answers.scores.dtype == torch.float32
    for number, (logits, scores) in enumerate(_stock(sam, tokens, POINTS)):
        torch.testing.assert_close(answers.scores[number], scores, rtol=0, atol=SCORES)
        torch.testing.assert_close(answers.logits[answers.point == number], logits, rtol=0, atol=LOGITS)


def test_points_as_float64_are_the_same_points(decoder: PointDecoder) -> None:
    _assert_equal(_decode(decoder, POINTS.double()), _decode(decoder, POINTS))


def test_bfloat16_gives_nearly_the_masks_of_float32(checkpoint: Checkpoint, tokens: Tensor, sam: Sam) -> None:
    quick = PointDecoder(Sam(checkpoint, torch.device("cpu"), torch.bfloat16), tokens.bfloat16())
    answers = _decode(quick, POINTS[:4])
    ious: list[float] = []
    for number, (logits, scores) in enumerate(_stock(sam, tokens, POINTS[:4])):
        torch.testing.assert_close(answers.scores[number], scores, rtol=0, atol=0.03)
        for one, other in zip(answers.logits[answers.point == number] > 0, logits > 0, strict=True):
            ious.append(float((one & other).sum() / (one | other).sum()))
    assert min(ious) > 0.9 and sum(ious) / len(ious) > 0.97


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_only_masks_that_are_wanted_are_made(checkpoint: Checkpoint, tokens: Tensor, dtype: torch.dtype) -> None:
    decoder = PointDecoder(Sam(checkpoint, torch.device("cpu"), dtype), tokens.to(dtype))
    everything = _decode(decoder, POINTS)
    asked: list[Tensor] = []

    def wanted(scores: Tensor) -> Tensor:
        asked.append(scores)
        mask = torch.zeros_like(scores, dtype=torch.bool)
        mask[1, 2] = mask[3, 0] = mask[3, 2] = mask[5, 1] = True
        return mask

    some = _decode(decoder, POINTS, wanted)
    assert len(asked) == 1 and torch.equal(asked[0], everything.scores)
    assert torch.equal(some.scores, everything.scores)
    assert list(zip(some.point.tolist(), some.candidate.tolist(), strict=True)) == [(1, 2), (3, 0), (3, 2), (5, 1)]
    expected = everything.logits[some.point * CANDIDATES + some.candidate]
    # Fewer filters at once: the same sums, in another order.
    torch.testing.assert_close(some.logits, expected, rtol=0, atol=1e-4 if dtype == torch.float32 else 0.2)


def test_where_nothing_is_wanted_scores_are_given_and_no_masks(decoder: PointDecoder) -> None:
    answers = _decode(decoder, POINTS, lambda scores: scores > 2)
    assert answers.scores.shape == (len(POINTS), CANDIDATES)
    assert answers.logits.shape == (0, 256, 256) and len(answers.point) == len(answers.candidate) == 0


@pytest.mark.parametrize("count", [1, 2, 12])
def test_few_or_many_points_at_once_give_nearly_the_same(sam: Sam, decoder: PointDecoder, count: int) -> None:
    points = torch.rand(count, 2, generator=torch.Generator().manual_seed(3)) * torch.tensor([1024.0, 400.0])
    together = _decode(decoder, points, lambda scores: scores > 0.9)
    for number, point in enumerate(points):
        alone = _decode(decoder, point[None], lambda scores: scores > 0.9)
        torch.testing.assert_close(together.scores[number], alone.scores[0], rtol=0, atol=SCORES)
        mine = together.point == number
        assert torch.equal(together.candidate[mine], alone.candidate)
        torch.testing.assert_close(together.logits[mine], alone.logits, rtol=0, atol=LOGITS)


def test_the_points_of_a_gpu_go_together_and_get_nearly_the_same(
    checkpoint: Checkpoint, decoder: PointDecoder, tokens: Tensor
) -> None:
    """The way of a GPU, on a CPU: all points in one go, the image in one part, every mask made."""
    together = PointDecoder(Sam(checkpoint, torch.device("cpu"), torch.float32, together=True), tokens)
    ours, expected = _decode(together, POINTS, lambda scores: scores > 2), _decode(decoder, POINTS)
    assert torch.equal(ours.point, expected.point) and torch.equal(ours.candidate, expected.candidate)
    torch.testing.assert_close(ours.scores, expected.scores, rtol=0, atol=SCORES)
    torch.testing.assert_close(ours.logits, expected.logits, rtol=0, atol=LOGITS)


def test_the_same_call_gives_the_same_bits_also_in_many_threads(sam: Sam, tokens: Tensor) -> None:
    decoder = PointDecoder(sam, tokens)
    first = _decode(decoder, POINTS)
    with ThreadPoolExecutor(4) as pool:
        for other in pool.map(lambda _: _decode(decoder, POINTS), range(6)):
            _assert_equal(other, first)
    _assert_equal(_decode(PointDecoder(sam, tokens), POINTS), first)


def test_the_number_of_threads_changes_no_bit(sam: Sam, tokens: Tensor, threads: None) -> None:
    answers: list[Answers] = []
    for count in (1, 2, 3):
        torch.set_num_threads(count)
        assert crew().size == count
        answers.append(_decode(PointDecoder(sam, tokens), POINTS))
    _assert_equal(answers[1], answers[0])
    _assert_equal(answers[2], answers[0])


def test_tokens_and_points_are_left_as_they_were(sam: Sam, tokens: Tensor) -> None:
    image, points = tokens.clone(), POINTS.clone()
    _decode(PointDecoder(sam, tokens), points)
    assert torch.equal(image, tokens) and torch.equal(points, POINTS)


def test_neither_gradients_nor_autocast_reach_in(decoder: PointDecoder) -> None:
    expected = _decode(decoder, POINTS[:1])
    with torch.enable_grad(), torch.autocast("cpu", torch.bfloat16):
        answers = _decode(decoder, POINTS[:1])
    _assert_equal(answers, expected)
    assert not answers.logits.requires_grad
