"""An open image: masks by every way of asking, windows, closing."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from clickmask import ClosedError, Mask, OpenImage, Prompt, PromptError, Segmenter
from clickmask.models.frame import Frame, reproject

DOG = (205, 235, 355, 420)  # the upper dog
WINDOW = (101, 151, 501, 601)  # both dogs


@pytest.fixture(scope="module")
def dog(dogs: OpenImage) -> Mask:
    return dogs.segment(box=DOG)


@pytest.fixture(scope="module")
def window(dogs: OpenImage) -> OpenImage:
    return dogs.window(WINDOW)


@pytest.fixture(scope="module")
def narrow(strip_segmenter: Segmenter, strip: np.ndarray) -> OpenImage:
    return strip_segmenter.open(strip, name="narrow.jpg")


def _iou(one: Mask, other: Mask) -> float:
    return float((one.pixels & other.pixels).sum() / (one.pixels | other.pixels).sum())


def _same(one: Mask, other: Mask) -> bool:
    return np.array_equal(one.logits, other.logits) and (one.score, one.index) == (other.score, other.index)


def test_size_is_width_and_height(dogs: OpenImage) -> None:
    assert dogs.size == (682, 1024)
    assert dogs.pixels.shape == (1024, 682, 3)
    assert dogs.frame == Frame.whole(682, 1024)


def test_embedding_is_channels_first_and_the_callers_own(narrow: OpenImage) -> None:
    embedding = narrow.embedding()
    assert (embedding.shape, embedding.dtype) == ((256, 64, 64), np.float32)
    before = embedding.copy()
    embedding[:] = 0
    assert np.array_equal(narrow.embedding(), before)


def test_click_is_the_best_of_the_candidates(dogs: OpenImage) -> None:
    mask, candidates = dogs.click(290, 330), dogs.candidates(points=[(290, 330)])
    assert _same(mask, candidates[0])
    assert sorted(candidate.index for candidate in candidates) == [0, 1, 2]
    scores = [candidate.score for candidate in candidates]
    assert scores == sorted(scores, reverse=True)


def test_click_and_box_find_the_same_dog(dogs: OpenImage, dog: Mask) -> None:
    assert _iou(dogs.segment(points=[(290, 330), (290, 380)]), dog) > 0.8
    x0, y0, x1, y1 = dog.box or (0, 0, 0, 0)
    assert np.abs(np.array([x0, y0, x1, y1]) - DOG).max() < 25
    assert dog.pixels[330, 290] and not dog.pixels[530, 390]


def test_mask_carries_what_was_asked(dogs: OpenImage) -> None:
    mask = dogs.segment(points=[(290, 330), (390, 530)], labels=[1, 0])
    assert mask.prompt.points == ((290, 330), (390, 530)) and mask.prompt.labels == (1, 0)
    assert mask.index == 0
    assert isinstance(mask.score, float) and isinstance(mask.stability, float)
    assert mask.frame == dogs.frame and mask.provenance == dogs.provenance
    assert (mask.logits.shape, mask.logits.dtype) == ((256, 256), np.float32)


def test_prompt_can_be_anything_that_holds_numbers(narrow: OpenImage) -> None:
    plain = narrow.segment([(600, 20), (90, 30)], [1, 0], (300, 0, 1000, 64))
    arrays = narrow.segment(np.array([[600, 20], [90, 30]]), np.array([True, False]), np.array([300, 0, 1000, 64]))
    assert _same(plain, arrays)


def test_previous_as_mask_and_as_logits_mean_the_same(narrow: OpenImage) -> None:
    first = narrow.click(600, 30)
    asked = {"points": [(600, 30), (90, 30)], "labels": [1, 0]}
    by_mask = narrow.segment(**asked, previous=first)
    assert _same(by_mask, narrow.segment(**asked, previous=first.logits))
    assert not _same(by_mask, narrow.segment(**asked))


def _ragged(narrow: OpenImage) -> list[Prompt]:
    earlier = narrow.click(600, 30)
    return [
        Prompt(points=[(600, 30)]),
        Prompt(box=(300, 0, 1000, 64)),
        Prompt(points=[(600, 30), (90, 30)], labels=[1, 0]),
        Prompt(points=[(90, 30)]),
        Prompt(points=[(600, 30)], previous=earlier),
        Prompt(points=[(90, 10), (600, 30), (500, 20)], labels=[0, 1, 1], box=(300, 0, 1000, 64)),
        Prompt(previous=earlier),
        Prompt(points=[(620, 30)], previous=earlier),
        Prompt(box=(0, 0, 200, 64), previous=earlier),
        Prompt(points=[(10, 5)], labels=[0]),
    ]


def test_many_ragged_prompts_equal_one_by_one_in_any_order_by_the_bit(narrow: OpenImage) -> None:
    prompts = _ragged(narrow)
    alone = [narrow.segment(p.points, p.labels, p.box, p.previous) for p in prompts]
    for order in (range(10), reversed(range(10)), (3, 7, 1, 9, 5, 0, 8, 2, 6, 4), (4, 4, 0)):
        numbers = list(order)
        together = narrow.segment_many([prompts[number] for number in numbers])
        assert all(_same(mask, alone[number]) for mask, number in zip(together, numbers, strict=True))


def test_no_prompts_give_no_masks(narrow: OpenImage) -> None:
    assert narrow.segment_many([]) == []


def test_one_wrong_prompt_refuses_them_all(narrow: OpenImage) -> None:
    with pytest.raises(PromptError, match=r"points\[0\]"):
        narrow.segment_many([Prompt(points=[(600, 30)]), Prompt(points=[(600, 65)])])


def test_wrong_prompts_are_refused_by_every_way_of_asking(narrow: OpenImage) -> None:
    with pytest.raises(PromptError, match="^points"):
        narrow.click(float("nan"), 5)
    with pytest.raises(PromptError, match=r"^points\[0\]"):
        narrow.click(1024, 5)
    with pytest.raises(PromptError, match="^box"):
        narrow.candidates(box=(0, 0, 2000, 5))
    with pytest.raises(PromptError, match="^points"):
        narrow.segment()


def test_window_of_the_whole_image_is_the_image(dogs: OpenImage, dog: Mask) -> None:
    whole = dogs.window((0, 0, 682, 1024))
    assert np.array_equal(whole.embedding(), dogs.embedding())
    assert _same(whole.segment(box=DOG), dog)


def test_window_equals_the_cropped_image_opened_alone(dogs: OpenImage, window: OpenImage, segmenter: Segmenter) -> None:
    x0, y0, x1, y1 = WINDOW
    crop = segmenter.open(np.ascontiguousarray(dogs.pixels[y0:y1, x0:x1]))
    inside = window.segment(points=[(290, 330), (390, 530)], labels=[1, 0], box=DOG)
    shifted = crop.segment(
        points=[(290 - x0, 330 - y0), (390 - x0, 530 - y0)], labels=[1, 0], box=np.array(DOG) - (x0, y0, x0, y0)
    )
    assert np.array_equal(inside.logits, shifted.logits) and inside.score == shifted.score
    assert inside.pixels.shape == (1024, 682)
    assert np.array_equal(inside.pixels[y0:y1, x0:x1], shifted.pixels)
    assert inside.area == shifted.area == inside.pixels[y0:y1, x0:x1].sum()
    assert inside.stability == shifted.stability


def test_window_finds_the_dog_where_the_whole_image_has_it(window: OpenImage, dog: Mask) -> None:
    assert _iou(window.segment(box=DOG), dog) > 0.93


def test_window_of_a_window_lies_in_the_image(dogs: OpenImage, window: OpenImage) -> None:
    part = (150, 200, 400, 450)
    assert np.array_equal(window.window(part).embedding(), dogs.window(part).embedding())
    assert window.window(part).frame == Frame(682, 1024, part)


def test_window_knows_the_whole_images_size(window: OpenImage, dogs: OpenImage) -> None:
    assert window.size == dogs.size
    assert window.frame == Frame(682, 1024, WINDOW)
    assert np.array_equal(window.pixels, dogs.pixels)


def test_what_lies_outside_the_window_is_refused(window: OpenImage) -> None:
    with pytest.raises(PromptError, match=r"^points\[0\]: .* outside the window"):
        window.click(100, 300)
    with pytest.raises(PromptError, match="^box: .* outside the window"):
        window.segment(box=(50, 235, 355, 420))


def test_window_outside_the_image_and_reversed_window_are_refused(dogs: OpenImage) -> None:
    for box in ((0, 0, 683, 100), (-1, 0, 100, 100), (100, 0, 50, 100)):
        with pytest.raises(PromptError, match="^box"):
            dogs.window(box)


def test_mask_goes_to_a_window_and_back_and_stays_the_same_mask(dogs: OpenImage, window: OpenImage, dog: Mask) -> None:
    """First by the change of frames alone, then with the decoder refining on both sides."""
    there = reproject(torch.from_numpy(dog.logits), dogs.frame, window.frame)
    assert _iou(replace(dog, logits=there.numpy(), frame=window.frame), dog) > 0.97
    back = reproject(there, window.frame, dogs.frame)
    assert _iou(replace(dog, logits=back.numpy()), dog) > 0.97
    refined = window.segment(box=DOG, previous=dog)
    assert _iou(dogs.segment(box=DOG, previous=refined), dog) > 0.95


def test_previous_of_another_window_is_moved_not_taken_as_it_is(window: OpenImage, dog: Mask) -> None:
    moved = window.segment(points=[(290, 330)], previous=dog)
    taken = window.segment(points=[(290, 330)], previous=dog.logits)
    assert _iou(moved, dog) > 0.9
    assert not _same(moved, taken)


def test_closed_image_answers_no_more_but_its_masks_live(strip_segmenter: Segmenter, strip: np.ndarray) -> None:
    image = strip_segmenter.open(strip)
    mask, late = image.click(600, 30), image.segment(box=(300, 0, 1000, 64))
    pixels = mask.pixels.copy()
    image.close()
    image.close()
    for call in (
        lambda: image.click(600, 30),
        lambda: image.segment_many([]),
        lambda: image.candidates(points=[(600, 30)]),
        lambda: image.window((0, 0, 50, 50)),
        lambda: image.embedding(),
        lambda: image.save_embedding("never.safetensors"),
        lambda: image.pixels,
        lambda: mask.cutout(),
    ):
        with pytest.raises(ClosedError, match="closed"):
            call()
    assert np.array_equal(mask.pixels, pixels)
    assert late.area > 0 and late.rle()["size"] == [64, 1024] and late.clean(holes=0.1).area > 0
    with pytest.raises(ClosedError, match="closed"):
        mask.save("never.jpg")
    assert image.size == (1024, 64)
    assert repr(image) == "<OpenImage 1024 x 64, closed>"


def test_context_manager_closes_also_after_an_error(strip_segmenter: Segmenter, strip: np.ndarray) -> None:
    with strip_segmenter.open(strip) as image:
        assert image.click(600, 30).area > 0
    with pytest.raises(ClosedError):
        image.click(600, 30)
    with pytest.raises(PromptError), strip_segmenter.open(strip) as image:
        image.click(-1, 0)
    with pytest.raises(ClosedError):
        image.embedding()


def test_window_and_image_close_apart(strip_segmenter: Segmenter, strip: np.ndarray) -> None:
    image = strip_segmenter.open(strip)
    one, other = image.window((0, 0, 512, 64)), image.window((512, 0, 1024, 64))
    one.close()
    assert image.click(600, 30).cutout().shape[2] == 4
    image.close()
    assert other.click(600, 30).cutout().shape[2] == 4
    assert np.array_equal(other.pixels, strip)


def test_representation_says_size_and_window(dogs: OpenImage, window: OpenImage) -> None:
    assert repr(dogs) == "<OpenImage 682 x 1024>"
    assert repr(window) == f"<OpenImage 682 x 1024, window={WINDOW}>"


def test_notebook_shows_a_png_while_the_photo_is_there(strip_segmenter: Segmenter, strip: np.ndarray) -> None:
    image = strip_segmenter.open(strip)
    shown = image._repr_png_()
    assert shown is not None and shown.startswith(b"\x89PNG\r\n\x1a\n")
    assert cv2.imdecode(np.frombuffer(shown, np.uint8), cv2.IMREAD_COLOR).shape == (32, 512, 3)
    image.close()
    assert image._repr_png_() is None  # the notebook then shows repr(image)


def test_two_hundred_repeats_give_the_same_bits(strip_segmenter: Segmenter, strip: np.ndarray) -> None:
    image = strip_segmenter.open(strip)
    first = image.click(600, 30).logits
    assert all(np.array_equal(image.click(600, 30).logits, first) for _ in range(200))
