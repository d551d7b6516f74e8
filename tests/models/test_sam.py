"""The network as a whole: prompts packed, pictures resized and normalised, nothing remembered."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from segment_anything.utils.transforms import ResizeLongestSide
from torch import Tensor

from clickmask.models.checkpoints import load_checkpoint
from clickmask.models.facts import Facts
from clickmask.models.frame import Frame
from clickmask.models.precision import build_sam
from clickmask.models.sam import PIXEL_MEAN, PIXEL_STD, PromptTensors, Sam, resize

CPU = torch.device("cpu")
PHOTO = Path(__file__).resolve().parents[2] / "examples" / "photos" / "dandelion.jpg"
NO_POINTS, NO_LABELS = torch.zeros(0, 2), torch.zeros(0, dtype=torch.int64)


@pytest.fixture(scope="module")
def sam(tmp_path_factory: pytest.TempPathFactory) -> Sam:
    return Sam(load_checkpoint("vit_t", cache_dir=tmp_path_factory.mktemp("none")), CPU, torch.float32)


@pytest.fixture(scope="module")
def photo() -> Tensor:
    """(576, 1024, 3) uint8 RGB."""
    return torch.from_numpy(cv2.imread(str(PHOTO), cv2.IMREAD_COLOR_RGB))


@pytest.fixture(scope="module")
def padded(tmp_path_factory: pytest.TempPathFactory) -> Sam:
    """The same network, knowing its padding, as on a CPU it does."""
    folder = tmp_path_factory.mktemp("facts")
    checkpoint = load_checkpoint("vit_t", cache_dir=folder)
    return build_sam(checkpoint, CPU, "float32", Facts(folder, checkpoint.digest, CPU))


def test_points_alone_get_one_padding_point() -> None:
    packed = PromptTensors.pack(torch.tensor([[3.0, 4.0], [5.0, 6.0]]), torch.tensor([1, 0]), None)
    assert packed.coords.tolist() == [[3, 4], [5, 6], [0, 0]]
    assert packed.labels.tolist() == [1, 0, -1]


def test_box_is_two_more_points_and_no_padding() -> None:
    packed = PromptTensors.pack(NO_POINTS, NO_LABELS, torch.tensor([1.0, 2.0, 30.0, 40.0]))
    assert packed.coords.tolist() == [[1, 2], [30, 40]]
    assert packed.labels.tolist() == [2, 3]


def test_box_comes_after_the_points() -> None:
    packed = PromptTensors.pack(torch.tensor([[3.0, 4.0]]), torch.tensor([0]), torch.tensor([1.0, 2.0, 30.0, 40.0]))
    assert packed.coords.tolist() == [[3, 4], [1, 2], [30, 40]]
    assert packed.labels.tolist() == [0, 2, 3]


def test_earlier_mask_alone_has_no_tokens() -> None:
    low_res = torch.ones(256, 256)
    packed = PromptTensors.pack(NO_POINTS, NO_LABELS, None, low_res)
    assert packed.coords.shape == (0, 2) and packed.labels.shape == (0,)
    assert packed.low_res is low_res


def test_packed_coordinates_are_float32_and_labels_int64() -> None:
    packed = PromptTensors.pack(torch.tensor([[0.1, 0.2]], dtype=torch.float64), torch.tensor([1.0]), None)
    assert packed.coords.dtype == torch.float32 and packed.labels.dtype == torch.int64


@pytest.mark.parametrize("size", [(3000, 1999), (1500, 1200), (300, 200), (40, 64), (1025, 700)], ids=str)
def test_resize_is_at_most_one_grey_level_from_the_original(photo: Tensor, size: tuple[int, int]) -> None:
    picture = cv2.resize(photo.numpy(), size, interpolation=cv2.INTER_AREA)
    theirs = ResizeLongestSide(1024).apply_image(picture)
    ours = resize(torch.from_numpy(picture), Frame.whole(*size).scaled_size)
    assert ours.dtype == torch.uint8
    assert ours.shape == theirs.shape
    assert np.abs(ours.numpy().astype(int) - theirs.astype(int)).max() <= 1


def test_picture_of_the_models_size_is_not_resampled(photo: Tensor) -> None:
    assert torch.equal(resize(photo, (1024, 576)), photo)


def test_normalised_pixels_are_those_of_the_original(sam: Sam, photo: Tensor) -> None:
    theirs = (photo.float() - torch.tensor(PIXEL_MEAN)) / torch.tensor(PIXEL_STD)
    torch.testing.assert_close(sam.normalise(photo), theirs, rtol=0, atol=1e-6)
    black = sam.normalise(torch.zeros(1, 1, 3, dtype=torch.uint8)).flatten().tolist()
    assert black == pytest.approx([-123.675 / 58.395, -116.28 / 57.12, -103.53 / 57.375], abs=1e-6)


def test_pictures_of_a_batch_are_encoded_as_alone(sam: Sam, photo: Tensor) -> None:
    scaled = torch.stack([sam.normalise(photo[:64]), sam.normalise(photo[200:264])])
    together = sam.encode_square(scaled)
    assert together.shape == (2, 4096, 256)
    assert torch.equal(together[1], sam.encode_square(scaled[1:])[0])


def test_encoding_twice_gives_the_same_bits(sam: Sam, photo: Tensor) -> None:
    frame = Frame.whole(1024, 64)
    first = sam.encode(photo[:64], frame)
    sam.encode(photo[100:228], Frame.whole(1024, 128))
    assert torch.equal(sam.encode(photo[:64], frame), first)


def test_no_prompts_give_no_answers(sam: Sam) -> None:
    assert sam.decode(torch.zeros(4096, 256), [], multimask=True) == []


def test_answers_are_float32_whatever_the_image_side_is(tmp_path: Path) -> None:
    quick = Sam(load_checkpoint("vit_t", cache_dir=tmp_path), CPU, torch.bfloat16)
    prompt = PromptTensors.pack(torch.tensor([[512.0, 512.0]]), torch.tensor([1]), None)
    tokens = torch.zeros(4096, 256, dtype=torch.bfloat16)
    ((logits, scores),) = quick.decode(tokens, [prompt], multimask=True)
    assert (logits.dtype, logits.shape) == (torch.float32, (3, 256, 256))
    assert (scores.dtype, scores.shape) == (torch.float32, (3,))
