"""A second look at the mirrored photo: where the decoder is not sure, and exactly mirrored."""

from __future__ import annotations

import numpy as np
import pytest

from clickmask import OpenImage, Prompt, Segmenter
from clickmask.models.frame import Frame
from clickmask.service.images import Picture
from clickmask.service.refine.views import LOW_SCORE, flip, mirrored

FLANK = {"points": [(330, 420), (250, 300)], "labels": [1, 0]}


def test_a_prompt_is_mirrored_within_the_window() -> None:
    frame = Frame(1000, 500, (100, 50, 301, 250))
    found = mirrored(
        Prompt(points=[(100, 60), (150.25, 70), (300.5, 80)], labels=[1, 0, 1], box=(110, 60, 200, 90)), frame
    )
    assert found.points == ((300, 60), (249.75, 70), (100, 80)) and found.labels == (1, 0, 1)
    assert found.box == (201, 60, 291, 90)


@pytest.mark.parametrize("size", [(1024, 600), (683, 1024), (3001, 4000)])
def test_logits_of_a_picture_are_flipped_on_the_picture(size: tuple[int, int]) -> None:
    frame = Frame.whole(*size)
    width = frame.scaled_size[0] / 4
    slope = np.tile((np.arange(256, dtype=np.float32) + 0.5) / width - 0.5, (256, 1))  # 0 at the picture's middle
    found, valid = flip(slope, frame), frame.valid_low_res()[0]
    inner = slice(1, valid - 1)  # a cell at the end may have no neighbour to be read from
    assert np.allclose(found[:, inner], -slope[:, inner], atol=1e-5)
    assert np.array_equal(found[:, valid:], slope[:, valid:])


def test_a_mirrored_photo_has_the_mirrored_mask(segmenter: Segmenter, dogs: OpenImage) -> None:
    looking, turned = dogs.refined("views"), segmenter.open(dogs.pixels[:, ::-1].copy())
    prompt = Prompt(**FLANK)
    theirs = turned.segment_many([mirrored(prompt, turned.frame)])[0]
    own = dogs.segment_many([prompt])[0]
    mask = looking.segment_many([prompt])[0]
    assert own.score < LOW_SCORE, "else there is no second look"
    assert np.allclose(mask.shown_logits, (own.logits + flip(theirs.logits, dogs.frame)) / 2, atol=1e-3)
    assert np.array_equal(mask.logits, own.logits) and mask.provenance["refine"] == "views"


def test_what_is_sure_or_ambiguous_is_looked_at_once(dogs: OpenImage) -> None:
    looking = dogs.with_picture(Picture(dogs.pixels.copy())).refined("views")
    sure = looking.segment(box=(180, 120, 420, 610))
    assert sure.score >= LOW_SCORE and sure.shown is None
    once, twice = (image.candidates([(300, 400)]) for image in (dogs.refined("edges"), looking))
    assert all(np.array_equal(one.pixels, other.pixels) for one, other in zip(once, twice, strict=True))
    assert looking._mirrored._value is None


def test_clicks_stay_law(dogs: OpenImage) -> None:
    draw, looking = np.random.default_rng(8), dogs.refined("views")
    for _ in range(6):
        count = int(draw.integers(2, 6))
        prompt = Prompt(points=draw.uniform((0, 0), dogs.size, (count, 2)), labels=draw.integers(0, 2, count))
        pixels = looking.segment_many([prompt])[0].pixels
        for (x, y), label in zip(prompt.points, prompt.labels or (), strict=True):
            assert bool(pixels[int(y), int(x)]) == bool(label)


def test_a_picture_one_pixel_wide_is_mirrored_too(segmenter: Segmenter) -> None:
    photo = np.random.default_rng(9).integers(0, 256, (1000, 1, 3), np.uint8)
    mask = segmenter.open(photo).refined("views").segment(points=[(0, 10), (0, 500)])
    assert mask.pixels[10, 0] and mask.pixels[500, 0]


def test_copies_of_an_image_share_the_second_encoding(dogs: OpenImage) -> None:
    image = dogs.with_picture(Picture(dogs.pixels.copy()))
    once, again = image.refined("views"), image.refined("views")
    once.segment(**FLANK)
    assert again._mirrored is once._mirrored and again._mirrored._value is not None
