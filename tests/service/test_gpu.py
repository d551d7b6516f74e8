"""What only a GPU can show: the CPU's answers, whatever goes together there. Skipped where there is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from clickmask import Mask, Prompt, Segmenter

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

PHOTO = Path(__file__).resolve().parents[2] / "examples" / "photos" / "dogs.jpg"
PROMPTS = [
    Prompt(points=[(290, 300)]),
    Prompt(points=[(370, 560)]),
    Prompt(points=[(290, 300), (370, 560)]),
    Prompt(box=(100, 100, 500, 800)),
    Prompt(points=[(290, 300), (60, 60)], labels=[1, 0], box=(180, 200, 420, 700)),
]


def _iou(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


@pytest.fixture(scope="module")
def expected() -> list[Mask]:
    return Segmenter(device="cpu", precision="float32", fit="square").open(PHOTO).segment_many(PROMPTS)


@pytest.mark.parametrize(("precision", "least"), [("float32", 0.999), ("bfloat16", 0.97), ("auto", 0.97)])
def test_masks_are_the_cpus(expected: list[Mask], precision: str, least: float) -> None:
    image = Segmenter(device="cuda", precision=precision).open(PHOTO)
    together = image.segment_many(PROMPTS)
    assert min(_iou(a.pixels, b.pixels) for a, b in zip(together, expected, strict=True)) > least
    alone = [image.segment_many([prompt])[0] for prompt in PROMPTS]
    assert min(_iou(a.pixels, b.pixels) for a, b in zip(together, alone, strict=True)) > 0.999


@pytest.mark.parametrize("graphs", [False, True])
def test_same_call_gives_the_same_bits(graphs: bool) -> None:
    image = Segmenter(device="cuda", graphs=graphs).open(PHOTO)
    for _ in range(2 if graphs else 0):  # a shape is recorded when it comes again
        image.segment_many(PROMPTS)
    first = [mask.logits for mask in image.segment_many(PROMPTS)]
    for _ in range(200):
        again = [mask.logits for mask in image.segment_many(PROMPTS)]
        assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))


def test_recorded_network_gives_the_same_masks_however_often_it_is_asked() -> None:
    plain, recorded = (Segmenter(device="cuda", graphs=graphs) for graphs in (False, True))
    photos = sorted(PHOTO.parent.glob("*.jpg"))[:3]
    for _ in range(3):
        for photo in photos:
            one, other = plain.open(photo), recorded.open(photo)
            np.testing.assert_allclose(one.embedding(), other.embedding(), atol=1e-3)
            width, height = one.size
            prompts = [Prompt(points=[(width / 2, height / 2)]), Prompt(box=(9, 9, width / 2, height / 2))]
            pairs = zip(one.segment_many(prompts), other.segment_many(prompts), strict=True)
            assert min(_iou(a.pixels, b.pixels) for a, b in pairs) > 0.99


def test_pictures_encoded_together_give_what_each_alone_gives() -> None:
    segmenter = Segmenter(device="cuda", precision="float32")
    photos = sorted(PHOTO.parent.glob("*.jpg"))[:3]
    for one, image in zip(photos, segmenter.open_many(photos), strict=True):
        np.testing.assert_allclose(image.embedding(), segmenter.open(one).embedding(), atol=1e-3)


@pytest.mark.parametrize("graphs", [False, True])
def test_everything_finds_what_the_cpu_finds(graphs: bool) -> None:
    cpu = Segmenter(device="cpu", precision="float32", fit="square").open(PHOTO).everything(points_per_side=12)
    image = Segmenter(device="cuda", precision="float32", graphs=graphs).open(PHOTO)
    for _ in range(2 if graphs else 0):  # a shape is recorded when it comes again
        image.everything(points_per_side=12)
    gpu = image.everything(points_per_side=12)
    assert len(cpu) == len(gpu) > 5
    assert min(max(_iou(a.pixels, b.pixels) for b in cpu) for a in gpu) > 0.99
    assert gpu.peak_memory is not None and 0 < gpu.peak_memory < 8e9


def test_with_little_memory_everything_goes_in_smaller_portions() -> None:
    image = Segmenter(device="cuda").open(PHOTO)
    expected = image.everything(points_per_side=8)
    given = image.everything(points_per_side=8, max_memory=300_000_000)
    assert [mask.area for mask in given] == pytest.approx([mask.area for mask in expected], rel=0.01)
