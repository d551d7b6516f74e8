"""The subjects of real photos, by the embedded model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from clickmask import ClosedError, NoSubject, OpenImage, Segmenter, SettingsError, SubjectMask


@pytest.fixture(scope="module")
def fig(segmenter: Segmenter, photos: list[Path]) -> OpenImage:
    """A fig in a bowl, alone on a dark table."""
    return segmenter.open(next(path for path in photos if path.stem == "fig"))


@pytest.fixture(scope="module")
def bowl(fig: OpenImage) -> SubjectMask:
    found = fig.subject()
    assert isinstance(found, SubjectMask)
    return found


def test_a_bowl_on_a_table_is_the_subject(fig: OpenImage, bowl: SubjectMask) -> None:
    by_hand = fig.segment(points=[(590, 403), (850, 450)], labels=[1, 1], box=(230, 80, 1015, 690))
    shared, either = (bowl.pixels & by_hand.pixels).sum(), (bowl.pixels | by_hand.pixels).sum()
    assert shared / either > 0.95
    assert 0.8 < bowl.confidence <= bowl.score <= 1.1


def test_the_subject_is_a_mask_like_any_other(bowl: SubjectMask, tmp_path: Path) -> None:
    assert bowl.pixels.shape == (bowl.frame.height, bowl.frame.width)
    assert bowl.clean(specks=0.01).confidence == bowl.confidence
    bowl.save(tmp_path / "bowl.png", format="cutout")
    assert (tmp_path / "bowl.png").stat().st_size > 10_000


def test_the_same_photo_has_the_same_subject(fig: OpenImage, bowl: SubjectMask) -> None:
    again = fig.subject()
    assert isinstance(again, SubjectMask)
    assert np.array_equal(again.logits, bowl.logits) and again.confidence == bowl.confidence


def test_of_two_dogs_neither_is_the_subject(dogs: OpenImage) -> None:
    found = dogs.subject()
    assert isinstance(found, NoSubject) and not found
    assert found.reason == "several things stand out alike" and found.confidence < 0.5
    assert found.guess is not None and found.guess.confidence == found.confidence


def test_a_black_picture_has_no_subject(strip_segmenter: Segmenter) -> None:
    assert not strip_segmenter.open(np.zeros((16, 256, 3), np.uint8)).subject()


@pytest.mark.parametrize("shape", [(1, 50, 3), (40, 1, 3), (1, 1, 3)])
def test_the_thinnest_pictures_are_answered(shape: tuple[int, int, int], strip_segmenter: Segmenter) -> None:
    noise = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    found = strip_segmenter.open(noise).subject(min_confidence=0)
    assert isinstance(found, NoSubject) or found.pixels.shape == shape[:2]


def test_a_window_has_its_own_subject_which_lies_in_it(strip_segmenter: Segmenter, strip: np.ndarray) -> None:
    found = strip_segmenter.open(strip).window((200, 0, 900, 64)).subject(min_confidence=0)
    assert isinstance(found, SubjectMask) and found.box is not None
    assert found.box[0] >= 200 and found.box[2] <= 900


def test_what_makes_no_sense_is_refused(strip_segmenter: Segmenter, strip: np.ndarray) -> None:
    image = strip_segmenter.open(strip)
    with pytest.raises(SettingsError, match="min_confidence"):
        image.subject(min_confidence=2)
    image.close()
    with pytest.raises(ClosedError):
        image.subject()
