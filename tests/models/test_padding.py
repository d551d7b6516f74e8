"""Padding that is known beforehand: the same square as without, and rectangles that leave it out."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest
import torch
from torch import Tensor

from clickmask.models.checkpoints import Checkpoint, load_checkpoint
from clickmask.models.facts import Facts
from clickmask.models.frame import Frame
from clickmask.models.padding import Padding, encode_picture, recall_padding
from clickmask.models.sam import Sam
from clickmask.models.tiny_vit import TinyViT

from .reference_tiny_vit import ReferenceTinyViT

CPU = torch.device("cpu")
PHOTO = Path(__file__).resolve().parents[2] / "examples" / "photos" / "bird_lamp.jpg"
BOUND = 1e-5


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return load_checkpoint("vit_t", cache_dir=tmp_path_factory.mktemp("none"))


@pytest.fixture(scope="module")
def sam(checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Sam:
    """A network that knows its padding."""
    sam = Sam(checkpoint, CPU, torch.float32)
    assert isinstance(sam.encoder, TinyViT)
    sam.padding = recall_padding(sam.encoder, torch.empty(0), Facts(tmp_path_factory.mktemp("facts"), "m", CPU))
    return sam


@pytest.fixture(scope="module")
def encoder(sam: Sam) -> TinyViT:
    assert isinstance(sam.encoder, TinyViT)
    return sam.encoder


@pytest.fixture(scope="module")
def padding(sam: Sam) -> Padding:
    assert sam.padding is not None
    return sam.padding


@pytest.fixture(scope="module")
def reference(checkpoint: Checkpoint) -> ReferenceTinyViT:
    reference, start = ReferenceTinyViT(), "image_encoder."
    names = [name for name in checkpoint.state if name.startswith(start)]
    reference.load_state_dict({name.removeprefix(start): checkpoint.state[name] for name in names})
    return reference.requires_grad_(False).eval()


@pytest.fixture(scope="module")
def photo() -> Tensor:
    """(1024, 1024, 3) uint8 RGB: a photo and its mirror image, so that no edge of a crop is dark."""
    pixels = torch.from_numpy(cv2.imread(str(PHOTO), cv2.IMREAD_COLOR_RGB))
    return torch.cat([pixels, pixels.flip(0)])[:1024].contiguous()


def _near(one: Tensor, other: Tensor) -> None:
    torch.testing.assert_close(one, other, rtol=0, atol=BOUND)


def test_padding_is_the_embedding_of_normalised_zeros(padding: Padding, reference: ReferenceTinyViT) -> None:
    _near(padding.tokens, reference(torch.zeros(1, 3, 1024, 1024))[0].permute(1, 2, 0))


@pytest.mark.parametrize(
    ("height", "width"), [(1, 1024), (17, 1024), (683, 1024), (1024, 576), (1024, 985), (1001, 1024), (1024, 1016)]
)
def test_square_is_the_same_with_known_padding(
    encoder: TinyViT, padding: Padding, photo: Tensor, sam: Sam, height: int, width: int
) -> None:
    """What is taken from the constant is what the convolutions would have computed there."""
    scaled = sam.normalise(photo[:height, :width])
    known = encode_picture(encoder, scaled, padding, margin=None)
    square = torch.nn.functional.pad(scaled[None], (0, 0, 0, 1024 - width, 0, 1024 - height))
    _near(known, encoder.forward_tokens(square)[0].flatten(0, 1))


@pytest.mark.parametrize(("height", "margin", "rows"), [(64, 0, 4), (65, 0, 5), (100, 0, 7)])
def test_rectangle_is_the_plain_encoder_on_it_and_padding_elsewhere(
    sam: Sam, padding: Padding, reference: ReferenceTinyViT, photo: Tensor, height: int, margin: int, rows: int
) -> None:
    pixels = photo[300 : 300 + height]
    grid = sam.encode(pixels, Frame.whole(1024, height), margin=margin).view(64, 64, 256)
    scaled = torch.nn.functional.pad(sam.normalise(pixels), (0, 0, 0, 0, 0, 16 * rows - height))
    _near(grid[:rows], reference(scaled.permute(2, 0, 1)[None])[0].permute(1, 2, 0))
    assert torch.equal(grid[rows:], padding.tokens[rows:])
    assert not torch.isclose(grid[:rows], padding.tokens[:rows], rtol=0, atol=BOUND).all(-1).any()


@pytest.mark.parametrize(("height", "margin", "rows"), [(64, 64, 8), (77, 64, 12), (100, 224, 24), (100, 16, 8)])
def test_first_layers_of_a_margin_see_the_square(
    sam: Sam, padding: Padding, reference: ReferenceTinyViT, photo: Tensor, height: int, margin: int, rows: int
) -> None:
    """Only what comes after them is cut."""
    pixels = photo[300 : 300 + height]
    grid = sam.encode(pixels, Frame.whole(1024, height), margin=margin).view(64, 64, 256)
    square = torch.nn.functional.pad(sam.normalise(pixels), (0, 0, 0, 0, 0, 1024 - height))
    early = reference.layers[0](reference.patch_embed.seq(square.permute(2, 0, 1)[None]))
    late = reference.neck(reference.layers[1:](early[:, :, : 2 * rows]))
    _near(grid[:rows], late[0].permute(1, 2, 0))
    assert torch.equal(grid[rows:], padding.tokens[rows:])


def test_upright_rectangle_leaves_the_right_side_padding(sam: Sam, padding: Padding, photo: Tensor) -> None:
    grid = sam.encode(photo[:, :80].contiguous(), Frame.whole(80, 1024), margin=0).view(64, 64, 256)
    assert torch.equal(grid[:, 5:], padding.tokens[:, 5:])
    assert not torch.isclose(grid[:, :5], padding.tokens[:, :5], rtol=0, atol=BOUND).all(-1).any()


def test_margin_that_covers_the_square_is_the_square(sam: Sam, photo: Tensor) -> None:
    frame, pixels = Frame.whole(1024, 900), photo[:900]
    assert torch.equal(sam.encode(pixels, frame, margin=1024), sam.encode(pixels, frame))


def test_square_picture_has_no_padding_to_leave_out(sam: Sam, photo: Tensor) -> None:
    frame = Frame.whole(1024, 1024)
    assert torch.equal(sam.encode(photo, frame, margin=0), sam.encode(photo, frame))


def test_padding_is_computed_once_and_then_remembered(
    encoder: TinyViT, padding: Padding, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts, like = Facts(tmp_path, "m", CPU), torch.empty(0)
    first = recall_padding(encoder, like, facts)
    monkeypatch.setattr(encoder, "early", None)
    again = recall_padding(encoder, like, facts)
    for one in (first, again):
        assert torch.equal(one.early, padding.early) and torch.equal(one.tokens, padding.tokens)


def test_padding_of_another_number_format_is_another(encoder: TinyViT, tmp_path: Path) -> None:
    facts = Facts(tmp_path, "m", CPU)
    for name in ("padding_early_bfloat16", "padding_tokens_bfloat16"):
        facts.remember(name, torch.zeros(1, dtype=torch.bfloat16))
    assert recall_padding(encoder, torch.empty(0), facts).tokens.shape == (64, 64, 256)
