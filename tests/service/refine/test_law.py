"""Every click is respected, whatever the decoder makes of it; and nothing else changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from clickmask import ClickmaskError, OpenImage, Prompt, Segmenter
from clickmask.models.errors import PromptError, SettingsError
from clickmask.models.frame import Frame, upsample
from clickmask.service.masks import Mask
from clickmask.service.refine.law import RULES
from clickmask.service.refine.sampling import Sampler

FRAMES = [
    Frame.whole(300, 200),
    Frame.whole(1024, 683),
    Frame.whole(2100, 3000),
    Frame.whole(7, 1024),
    Frame(900, 700, (130, 50, 650, 401)),
]


def _prompt(draw: np.random.Generator, image: OpenImage, count: int) -> Prompt:
    """Points anywhere, of any labels, each in a pixel of its own."""
    width, height = image.size
    places = draw.choice(width * height, count, replace=False)
    points = [(place % width + draw.random(), place // width + draw.random()) for place in places.tolist()]
    box = (width * 0.1, height * 0.1, width * 0.8, height * 0.9) if draw.random() < 0.3 else None
    return Prompt(points=points, labels=draw.integers(0, 2, count), box=box)


def _ignored(mask: Mask) -> int:
    return sum(
        bool(mask.pixels[int(y), int(x)]) != bool(label)
        for (x, y), label in zip(mask.prompt.points, mask.prompt.labels or (), strict=True)
    )


@pytest.mark.parametrize("frame", FRAMES, ids=str)
def test_a_pixels_logit_is_found_without_making_all_of_them(frame: Frame) -> None:
    draw = np.random.default_rng(1)
    logits = draw.normal(0, 8, (256, 256)).astype(np.float32)
    x0, y0, x1, y1 = frame.window
    points = [(x0, y0), (x1 - 0.01, y1 - 0.01), *draw.uniform((x0, y0), (x1, y1), (60, 2)).tolist()]
    full = upsample(torch.from_numpy(logits)[None], frame)[0].numpy()
    expected = [full[int(y) - y0, int(x) - x0] for x, y in points]
    np.testing.assert_allclose(Sampler(frame, points).values(logits), expected, atol=5e-4)  # torch's places are float32


@pytest.mark.parametrize("count", [50, pytest.param(1000, marks=pytest.mark.soak)])
def test_of_random_prompts_on_random_pictures_every_point_is_respected(tiny_segmenter: Segmenter, count: int) -> None:
    draw, ignored = np.random.default_rng(count), 0
    for _ in range(count // 25):
        size = draw.integers(2, 1200, 2)
        pixels = draw.integers(0, 256, (*size, 3), np.uint8)
        with tiny_segmenter.open(pixels) as image:
            obeying, most = image.refined("clicks"), min(12, int(size.prod()))
            for _ in range(25):
                prompt = _prompt(draw, image, int(draw.integers(1, most + 1)))
                ignored += _ignored(image.segment_many([prompt])[0])
                assert not _ignored(obeying.segment_many([prompt])[0])
                if prompt.is_ambiguous:
                    assert not any(map(_ignored, obeying.candidates(prompt.points, prompt.labels)))
    assert ignored > count, "plain SAM ignores many: there is something to enforce"


def test_on_a_photo_every_point_is_respected(dogs: OpenImage) -> None:
    draw, obeying = np.random.default_rng(2), dogs.refined("clicks")
    prompts = [_prompt(draw, dogs, int(draw.integers(2, 8))) for _ in range(20)]
    assert sum(map(_ignored, dogs.segment_many(prompts))) > 5
    assert not sum(map(_ignored, obeying.segment_many(prompts)))


def test_answers_that_respect_all_clicks_are_the_decoders_own(dogs: OpenImage) -> None:
    prompts = [Prompt(points=[(300, 400)]), Prompt(box=(150, 100, 500, 900)), Prompt(points=[(300, 400), (320, 700)])]
    for plain, own in zip(dogs.segment_many(prompts), dogs.refined("clicks").segment_many(prompts), strict=True):
        assert not _ignored(plain)
        assert own.shown is None and own.logits.tobytes() == plain.logits.tobytes()
        assert np.array_equal(own.pixels, plain.pixels) and own.score == plain.score


def test_only_what_is_near_a_click_changes_and_the_decoders_logits_stay(dogs: OpenImage) -> None:
    draw = np.random.default_rng(4)
    for _ in range(12):
        prompt = _prompt(draw, dogs, 2)
        plain, own = (image.segment_many([prompt])[0] for image in (dogs, dogs.refined("clicks")))
        if not _ignored(plain):
            continue
        assert own.logits.tobytes() == plain.logits.tobytes() and own.shown is not None
        changed = np.argwhere(np.abs(own.shown - plain.logits) > 0.01)
        cells = np.array([(int(y / 4), int(x / 4)) for x, y in prompt.points])  # the photo's longer side is 1024
        distances = np.hypot(*(changed[:, None] - cells[None]).transpose(2, 0, 1)).min(1)
        assert distances.max() < 4 * RULES.reach


def test_a_background_click_between_two_foreground_ones_leaves_both(dogs: OpenImage) -> None:
    mask = dogs.refined("clicks").segment(points=[(290, 400), (300, 400), (310, 400)], labels=[1, 0, 1])
    assert [mask.pixels[400, x] for x in (290, 300, 310)] == [True, False, True]


def test_clicks_of_both_kinds_on_neighbouring_pixels_of_a_large_photo(tiny_segmenter: Segmenter) -> None:
    draw = np.random.default_rng(6)
    with tiny_segmenter.open(draw.integers(0, 256, (2000, 3000, 3), np.uint8)) as image:
        points = [(1500, 1000), (1501, 1000), (1500, 1001), (1501, 1001), (1502, 1003)]
        for labels in ([1, 0, 0, 1, 0], [0, 1, 1, 0, 1], [1, 0, 1, 0, 1]):
            mask = image.refined("clicks").segment(points=points, labels=labels)
            assert not _ignored(mask)


def test_points_that_contradict_each_other_are_refused_by_name(dogs: OpenImage) -> None:
    points, labels = [(5, 5), (300.2, 400.9), (300.7, 400.1)], [1, 1, 0]
    with pytest.raises(PromptError, match=r"points\[2\]: .* lies in the pixel of points\[1\], which has the other"):
        dogs.refined("clicks").segment(points=points, labels=labels)
    assert dogs.segment(points=points, labels=labels).pixels.any()  # to plain SAM it is a prompt like any other


def test_in_a_window_and_without_the_photo_clicks_are_law_as_well(
    dogs: OpenImage, segmenter: Segmenter, tmp_path: Path
) -> None:
    draw = np.random.default_rng(8)
    window = dogs.window((100, 200, 500, 600)).refined("clicks")
    dogs.save_embedding(tmp_path / "dogs.safetensors")
    alone = segmenter.load_embedding(tmp_path / "dogs.safetensors").refined("clicks")
    for _ in range(6):
        points, labels = draw.uniform((100, 200), (500, 600), (4, 2)), draw.integers(0, 2, 4)
        for image in (window, alone, dogs.refined("clicks").without_pixels()):
            assert not _ignored(image.segment(points, labels))


def test_the_photos_edges_count_where_only_a_sketch_of_it_is_left(dogs: OpenImage) -> None:
    obeying = dogs.refined("clicks")
    prompt = Prompt(points=[(300, 400), (330, 420), (120, 800)], labels=[1, 0, 1])
    kept, own = (image.segment_many([prompt])[0] for image in (obeying.without_pixels(), obeying))
    assert np.array_equal(kept.pixels, own.pixels)


def test_cleaning_leaves_what_was_clicked_on(dogs: OpenImage) -> None:
    mask = dogs.refined("clicks").segment(points=[(300, 400), (660, 20), (300, 420)], labels=[1, 1, 0])
    tidy = mask.clean(specks=1.0, holes=1.0)
    assert not _ignored(mask) and not _ignored(tidy)


def test_it_is_said_in_provenance_and_asked_for_by_name(
    segmenter: Segmenter, cache_folder: Path, dogs: OpenImage
) -> None:
    assert Segmenter(device="cpu", cache_dir=cache_folder).provenance["refine"] == "edges"
    assert segmenter.provenance["refine"] == dogs.provenance["refine"] == "off"
    assert dogs.refined("clicks").click(300, 400).provenance["refine"] == "clicks"
    with pytest.raises(SettingsError, match="refine='edge' is unknown; use auto, off, clicks, edges, views"):
        dogs.refined("edge")
    assert issubclass(SettingsError, ClickmaskError)


def test_the_subject_is_found_by_plain_answers(dogs: OpenImage) -> None:
    one, other = dogs.subject(min_confidence=0), dogs.refined("clicks").subject(min_confidence=0)
    assert one and other and np.array_equal(_pixels(one), _pixels(other))


def _pixels(found: Any) -> np.ndarray:
    return found.pixels
