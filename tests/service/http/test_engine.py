"""The engine: what a device that fails costs, and that it never costs a wrong answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from clickmask import Mask, OpenImage, Prompt, PromptError, Segmenter
from clickmask.models.errors import ClosedError
from clickmask.models.frame import Frame
from clickmask.service.http.engine import ENCODE, MOST_DECODED, MOST_ENCODED, Decode, Encode, Engine, decode_kind
from clickmask.service.http.errors import ApiError
from clickmask.service.http.lane import Lane, Rank
from clickmask.service.images import Picture

if TYPE_CHECKING:
    from torch import Tensor

Pictures = Sequence[tuple[Picture, Frame]]
ONE, THREE = decode_kind(multimask=False), decode_kind(multimask=True)


class _Failing(Segmenter):
    """A segmenter whose device fails as `fault` says, which is told the number of pictures before they are encoded."""

    fault: Callable[[int], None]

    def open_together(self, pictures: Pictures) -> list[OpenImage]:
        self.fault(len(pictures))
        return super().open_together(pictures)


@pytest.fixture(scope="module")
def failing(tiny_sam_state: dict[str, Tensor], cache_folder: Path) -> _Failing:
    return _Failing(tiny_sam_state, device="cpu", precision="float32", fit="square", cache_dir=cache_folder)


@pytest.fixture(scope="module")
def works() -> list[Encode]:
    """Four pictures of different sizes, of the last only a window."""
    draw = np.random.default_rng(4)
    sizes = [(48, 64), (64, 48), (64, 64), (80, 96)]
    pictures = [Picture(draw.integers(0, 255, (height, width, 3), np.uint8)) for height, width in sizes]
    encodes = [Encode(picture, Frame.whole(*picture.size)) for picture in pictures]
    encodes[-1] = replace(encodes[-1], frame=Frame(96, 80, (16, 16, 80, 64)))
    return encodes


@pytest.fixture(scope="module")
def images(tiny_segmenter: Segmenter, works: list[Encode]) -> list[OpenImage]:
    """The pictures, each encoded alone: the reference."""
    return [tiny_segmenter.open_together([(work.picture, work.frame)])[0] for work in works]


def _masks(own: list[Mask]) -> list[Mask]:
    return own


def _decodes(images: Sequence[OpenImage]) -> list[Decode]:
    prompts = [
        Prompt(points=[(20, 20)]),
        Prompt(points=[(30, 30), (20, 40)], labels=[1, 0]),
        Prompt(box=(10, 10, 40, 40)),
        Prompt(points=[(40, 40)], box=(20, 20, 60, 60), previous=np.full((256, 256), -3, np.float32)),
    ]
    return [Decode(image, prompt, _masks) for image, prompt in zip(images, prompts, strict=True)]


def _out_of_memory(most: int) -> Callable[[int], None]:
    def fault(count: int) -> None:
        if count > most:
            raise torch.OutOfMemoryError("injected")

    return fault


def _same(values: Sequence[Any], images: Sequence[OpenImage]) -> bool:
    return all(
        np.array_equal(value.embedding(), image.embedding()) for value, image in zip(values, images, strict=True)
    )


def test_where_memory_ends_at_three_pictures_all_are_encoded_in_less_and_that_is_remembered(
    failing: _Failing, works: list[Encode], images: list[OpenImage]
) -> None:
    spared: list[int] = []
    failing.fault = _out_of_memory(3)
    engine = Engine(failing, on_out_of_memory=lambda: spared.append(1))
    engine._most = {True: MOST_ENCODED, False: MOST_DECODED}  # as on a GPU
    values = engine.run(ENCODE, works)
    assert _same(values, images)
    assert len(spared) == 1 and engine.together(ENCODE) == 2
    assert engine.together(ONE) == MOST_DECODED, "decoding has its own limit"
    with pytest.raises(ClosedError):
        _ = values[0].pixels  # the store keeps pixels, within its budget


def test_one_that_does_not_fit_at_first_is_encoded_when_something_was_given_up(
    failing: _Failing, works: list[Encode], images: list[OpenImage]
) -> None:
    failing.fault = _out_of_memory(0)

    def spare() -> None:
        failing.fault = _out_of_memory(9)

    assert _same(Engine(failing, on_out_of_memory=spare).run(ENCODE, works[:1]), images[:1])


def test_where_nothing_fits_each_is_told_to_come_again(failing: _Failing, works: list[Encode]) -> None:
    spared: list[int] = []
    failing.fault = _out_of_memory(0)
    values = Engine(failing, on_out_of_memory=lambda: spared.append(1)).run(ENCODE, works)
    assert [(value.status, value.code) for value in values] == [(503, "out_of_memory")] * 4
    assert all(value.retry_after > 0 for value in values) and len(spared) == 7, "4, twice 2, four times 1"
    failing.fault = _out_of_memory(9)
    assert isinstance(Engine(failing).run(ENCODE, works[:1])[0], OpenImage), "and served when they do"


def test_memory_that_ends_while_decoding_changes_no_answer(failing: _Failing, images: list[OpenImage]) -> None:
    full = [True]

    def finish(own: list[Mask]) -> list[Mask]:
        if full:
            raise torch.OutOfMemoryError("injected")
        return own

    engine = Engine(failing, on_out_of_memory=full.clear)
    engine._most = {True: MOST_ENCODED, False: MOST_DECODED}
    values = engine.run(ONE, [replace(work, finish=finish) for work in _decodes(images)])
    alone = [engine.run(ONE, [work])[0] for work in _decodes(images)]
    assert [_iou(a[0], b[0]) >= 0.9999 for a, b in zip(values, alone, strict=True)] == [True] * 4
    assert engine.together(ONE) == 2 and engine.together(ENCODE) == MOST_ENCODED


@pytest.mark.parametrize("first", [None, torch.OutOfMemoryError("injected")])
def test_any_other_error_of_the_device_is_told_and_no_answer_given(
    failing: _Failing, works: list[Encode], first: Exception | None
) -> None:
    told: list[str] = []
    errors: list[Exception] = [] if first is None else [first]

    def fault(count: int) -> None:
        raise errors.pop() if errors else RuntimeError("CUDA error: an illegal memory access was encountered")

    failing.fault = fault
    values = Engine(failing, on_broken=told.append).run(ENCODE, works[:1] if first else works)
    assert [(value.status, value.code) for value in values] == [(503, "broken")] * len(values)
    assert told == ["RuntimeError"], "once: in halves and alone it would only fail again"
    assert "illegal" not in values[0].message


def test_an_error_that_is_not_the_devices_breaks_nothing(failing: _Failing, works: list[Encode]) -> None:
    told: list[str] = []

    def fault(count: int) -> None:
        raise RuntimeError("a mistake of ours")

    failing.fault = fault
    values = Engine(failing, on_broken=told.append).run(ENCODE, works[:2])
    assert [str(value) for value in values] == ["a mistake of ours"] * 2 and told == []


def _raise(own: list[Mask]) -> list[Mask]:
    raise KeyError("one answer cannot be written")


def test_one_bad_prompt_among_many_harms_no_neighbour(failing: _Failing, images: list[OpenImage]) -> None:
    engine, good = Engine(failing), _decodes(images)
    bad = [Decode(images[0], Prompt(points=[(9999, 1)]), _masks), Decode(images[1], Prompt(points=[(1, 1)]), _raise)]
    values = engine.run(ONE, [good[0], bad[0], good[1], bad[1], good[2]])
    assert [type(value) for value in values] == [list, PromptError, list, KeyError, list]
    alone = [engine.run(ONE, [work])[0][0] for work in good[:3]]
    assert [_iou(values[2 * n][0], alone[n]) for n in range(3)] == [1.0] * 3


@pytest.mark.parametrize(("kind", "count"), [(ONE, 1), (THREE, 3)])
def test_prompts_on_different_images_decoded_together_give_what_each_gives_alone(
    failing: _Failing, images: list[OpenImage], kind: Any, count: int
) -> None:
    engine, works = Engine(failing), _decodes(images)
    together = engine.run(kind, works)
    for work, own in zip(works, together, strict=True):
        alone = engine.run(kind, [work])[0]
        assert len(own) == len(alone) == count
        for mask, reference in zip(own, alone, strict=True):
            assert mask.frame == work.image.frame and mask.index == reference.index
            assert _iou(mask, reference) >= 0.9999 and mask.score == pytest.approx(reference.score, abs=1e-4)


def test_on_a_processor_pieces_go_alone_so_that_the_same_question_gives_the_same_bits(failing: _Failing) -> None:
    engine = Engine(failing)
    assert engine.together(ENCODE) == 1 and engine.together(ONE) == torch.get_num_threads(), "side by side, each alone"


def test_through_a_lane_whose_memory_ends_again_and_again_every_question_is_answered_rightly(
    failing: _Failing, images: list[OpenImage]
) -> None:
    calls = [0]

    def finish(own: list[Mask]) -> list[Mask]:
        calls[0] += 1
        if calls[0] in (5, 9, 14):
            raise torch.OutOfMemoryError("injected")
        return own

    engine = Engine(failing)
    engine._most = {True: MOST_ENCODED, False: MOST_DECODED}
    works = _decodes(images)

    async def scenario() -> list[Any]:
        lane = Lane(engine.run, engine.together)
        asked = [lane.submit(Rank.CLICK, f"caller {n}", ONE, replace(works[n % 4], finish=finish)) for n in range(16)]
        try:
            return [done.value for done in await asyncio.gather(*asked)]
        finally:
            await asyncio.to_thread(lane.close)

    values = asyncio.run(scenario())
    alone = [engine.run(ONE, [work])[0][0] for work in works]
    assert not any(isinstance(value, ApiError) for value in values)
    assert [n for n, value in enumerate(values) if _iou(value[0], alone[n % 4]) < 0.9999] == []
    assert calls[0] > 16 and engine.together(ONE) < MOST_DECODED


def _iou(one: Mask, other: Mask) -> float:
    union = np.count_nonzero(one.pixels | other.pixels)
    return np.count_nonzero(one.pixels & other.pixels) / union if union else 1.0
