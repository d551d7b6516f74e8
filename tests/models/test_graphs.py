"""Recording for a GPU: when it happens, and that the network can be recorded. Here torch.fx does the recording: it too
keeps what was done with tensors, and nothing of the Python around it. What only CUDA can show is skipped without it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

from clickmask.models import graphs, image_encoder, plain_vit, sam
from clickmask.models.checkpoints import Checkpoint, load_checkpoint
from clickmask.models.frame import Frame
from clickmask.models.graphs import Graphs, Outputs, Record, Recorded, Recording, filled, portions
from clickmask.models.point_decoder import PointDecoder
from clickmask.models.sam import PromptTensors, Sam

CPU = torch.device("cpu")
ASKING = ("_local_scalar_dense", "lift_fresh", "nonzero", "aten.item")  # operators for which the host waits


def record_as_fx(function: Callable[..., Outputs], inputs: Sequence[Tensor], /) -> Recording:
    recorded = make_fx(lambda given: function(*given))(list(inputs))
    asking = [str(node.target) for node in recorded.graph.nodes if any(name in str(node.target) for name in ASKING)]
    assert not asking, "the host would have to wait for the device"
    outputs = tuple(torch.empty_like(value) for value in function(*inputs))

    def replay() -> None:
        for place, value in zip(outputs, recorded(list(inputs)), strict=True):
            place.copy_(value)

    return Recording(inputs, replay, outputs)


class _Counted:
    """A function, and how often its Python ran."""

    def __init__(self) -> None:
        self.runs = 0

    def __call__(self, a: Tensor, b: Tensor) -> Outputs:
        self.runs += 1
        return a * 2 + b, (a - b).sum()


def _recorded(function: Callable[..., Outputs], record: Record = record_as_fx) -> Recorded:
    return Graphs(CPU, record).of("it", function)


def test_a_shape_is_recorded_when_it_comes_again_and_then_replayed_on_other_numbers() -> None:
    counted = _Counted()
    recorded, runs = _recorded(counted), list[int]()
    for number in range(5):
        a, b = torch.full((2, 3), float(number)), torch.arange(3.0)
        first, second = recorded(a, b)
        assert torch.equal(first, a * 2 + b) and torch.equal(second, (a - b).sum())
        runs.append(counted.runs)
    assert runs == [1, 3, 3, 3, 3]
    recorded(torch.zeros(4, 3), torch.zeros(3))
    assert counted.runs == 4


def test_answers_are_not_overwritten_by_the_next_ones() -> None:
    recorded, b = _recorded(_Counted()), torch.zeros(3)
    answers = [recorded(torch.full((1, 3), float(number)), b)[0] for number in range(5)]
    assert [answer[0, 0].item() for answer in answers] == [0, 2, 4, 6, 8]


def test_arguments_of_another_dtype_are_another_shape() -> None:
    recorded, b = _recorded(_Counted()), torch.zeros(3)
    for _ in range(3):
        recorded(torch.ones(3), b)
    assert recorded(torch.ones(3, dtype=torch.float64), b)[0].dtype == torch.float64


def test_where_recording_fails_it_goes_on_as_before_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    asked = list[int]()

    def record(function: Any, inputs: Any, /) -> Any:
        asked.append(1)
        raise torch.OutOfMemoryError

    recorded = _recorded(_Counted(), record)
    for number in range(4):
        assert recorded(torch.full((3,), float(number)), torch.zeros(3))[0][0] == 2 * number
    assert len(asked) == 1
    assert "no more CUDA graphs: recording" in caplog.text


def test_when_memory_runs_out_all_recordings_go_and_no_more_are_made(caplog: pytest.LogCaptureFixture) -> None:
    graphs, counted = Graphs(CPU, record_as_fx), _Counted()
    recorded = graphs.of("it", counted)
    for _ in range(3):
        recorded(torch.ones(2), torch.ones(2))
    before = counted.runs
    graphs.give_up()
    for _ in range(3):
        assert recorded(torch.ones(2), torch.ones(2))[0][0] == 3
    assert counted.runs == before + 3 and "memory ran out" in caplog.text


def test_only_so_many_shapes_are_recorded_and_those_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphs, "MOST_SHAPES", 2)
    counted = _Counted()
    recorded = _recorded(counted)
    for size in (1, 2, 3):
        for _ in range(3):
            recorded(torch.ones(size), torch.ones(size))
    before = counted.runs
    for size in (1, 2):
        recorded(torch.ones(size), torch.ones(size))
    assert counted.runs == before
    recorded(torch.ones(3), torch.ones(3))
    assert counted.runs == before + 1


def test_threads_get_their_own_answers() -> None:
    recorded = _recorded(_Counted())

    def ask(number: int) -> bool:
        a = torch.full((64, 64), float(number))
        return all(torch.equal(recorded(a, torch.ones(64))[0], 2 * a + 1) for _ in range(20))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(16)))


def test_batches_are_few_and_none_too_small() -> None:
    assert [filled(count) for count in (1, 2, 3, 5, 33, 128)] == [1, 2, 4, 8, 64, 128]
    assert [portions(count) for count in (1, 3, 7, 8, 200)] == [[1], [2, 1], [4, 2, 1], [8], [128, 64, 8]]


def _network(checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> Sam:
    """As it is on a GPU: no packed weights, torch's fused attention, many at once."""
    monkeypatch.setattr(plain_vit, "in_chunks", plain_vit.augmented)
    for module in (image_encoder, sam):
        monkeypatch.setattr(module, "has_fused_kernels", lambda: False)
    return Sam(checkpoint, CPU, torch.float32, together=True)


def _prompts(seed: int) -> list[PromptTensors]:
    """Three clicks, which go together as four; a click with a box; one on an earlier mask."""
    random = torch.Generator().manual_seed(seed)
    places, one = 640 * torch.rand(5, 2, generator=random), torch.tensor([1])
    box, earlier = torch.cat([places[3] / 2, places[3] / 2 + 200]), torch.randn(256, 256, generator=random)
    clicks = [PromptTensors.pack(place[None], one, None) for place in places[:3]]
    return [*clicks, PromptTensors.pack(places[4:], one, box), PromptTensors.pack(places[:1], one, None, earlier)]


def test_a_recorded_network_gives_the_same_answers(
    tiny_sam_state: dict[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _compare(load_checkpoint(tiny_sam_state, cache_dir=tmp_path), monkeypatch, 3, _prompts)


@pytest.mark.parametrize("family", ["mobile", "hq"])
def test_so_do_other_families(
    family: str, checkpoint: Checkpoint, hq_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = checkpoint if family == "mobile" else load_checkpoint(str(hq_file), cache_dir=hq_file.parent)
    _compare(weights, monkeypatch, 1, lambda seed: _prompts(seed)[:1])


@torch.inference_mode()
def test_points_of_a_search_are_recorded_too(
    tiny_sam_state: dict[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = load_checkpoint(tiny_sam_state, cache_dir=tmp_path)
    plain, recorded = (_network(checkpoint, monkeypatch) for _ in range(2))
    recorded.use_graphs(record_as_fx)
    for number in range(4):
        random = torch.Generator().manual_seed(number)
        tokens, points = torch.randn(4096, 256, generator=random), 1024 * torch.rand(4, 2, generator=random)
        one, other = (PointDecoder(network, tokens).decode(points, torch.isfinite) for network in (plain, recorded))
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
        fewer = PointDecoder(recorded, tokens).decode(points[:3], torch.isfinite)  # filled up, and cut again
        torch.testing.assert_close(fewer.logits, one.logits[:9], rtol=0, atol=1e-3)
        assert fewer.scores.shape == (3, 3) and len(fewer.point) == 9
        prompt = PromptTensors.pack(points[1:2], torch.tensor([1]), None)
        ((logits, scores),) = plain.decode(tokens, [prompt], multimask=True)
        torch.testing.assert_close(one.logits[3:6], logits, rtol=0, atol=1e-3)
        torch.testing.assert_close(one.scores[1], scores, rtol=0, atol=1e-4)


@torch.inference_mode()
def _compare(
    checkpoint: Checkpoint,
    monkeypatch: pytest.MonkeyPatch,
    count: int,
    prompts_of: Callable[[int], list[PromptTensors]],
) -> None:
    """Run as it is, recorded, and replayed, on `count` other photos each time."""
    plain, recorded = (_network(checkpoint, monkeypatch) for _ in range(2))
    recorded.use_graphs(record_as_fx)
    frame = Frame.whole(96, 64)
    for number in range(3):
        photos = torch.randint(0, 256, (count, 64, 96, 3), generator=torch.Generator().manual_seed(number)).byte()
        given = recorded.encode_each([(photo, frame) for photo in photos])
        expected = [  # three go as two and one
            *plain.encode_each([(photo, frame) for photo in photos[:2]]),
            *plain.encode_each([(photo, frame) for photo in photos[2:]]),
        ]
        assert all(torch.equal(a, b) for a, b in zip(given, expected, strict=True))
        prompts = prompts_of(number)
        for images, multimask in (([given[0]] * len(prompts), True), (given[:3], False)):
            asked = prompts[: len(images)]
            answers = recorded.decode_each(images, asked, multimask=multimask)
            others = plain.decode_each(images, asked, multimask=multimask)
            for (logits, scores), (logits_too, scores_too) in zip(answers, others, strict=True):
                # A batch that is filled up is another shape, whose products may end in other bits.
                torch.testing.assert_close(logits, logits_too, rtol=0, atol=1e-3)
                torch.testing.assert_close(scores, scores_too, rtol=0, atol=1e-5)


def test_prompts_of_many_points_are_not_recorded(
    tiny_sam_state: dict[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = _network(load_checkpoint(tiny_sam_state, cache_dir=tmp_path), monkeypatch)
    tokens = torch.zeros(4096, 256)
    long = PromptTensors.pack(torch.rand(40, 2), torch.ones(40, dtype=torch.int64), None)
    expected = network.decode(tokens, [long], multimask=False)[0]

    def record(function: Any, inputs: Any, /) -> Any:
        raise AssertionError

    network.use_graphs(record)
    for _ in range(3):
        assert torch.equal(network.decode(tokens, [long], multimask=False)[0][0], expected[0])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_cuda_replays_what_it_recorded_on_other_numbers() -> None:
    device = torch.device("cuda")
    recorded = Graphs(device).of("it", _Counted())
    for number in range(6):
        a, b = torch.full((64, 64), float(number)), torch.arange(64.0)
        first, second = recorded(a, b)
        assert first.is_cuda and torch.equal(first.cpu(), a * 2 + b)
        torch.testing.assert_close(second.cpu(), (a - b).sum())
