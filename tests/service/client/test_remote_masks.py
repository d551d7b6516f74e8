"""A mask from a server does what a mask in process does."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from stand_in import StandIn

from clickmask import ClickmaskError, OutputError
from clickmask.service import rle
from clickmask.service.client import Client, RemoteImage, RemoteMask
from clickmask.service.formats.json_file import read_json


@pytest.fixture
def image(client: Client, png: bytes) -> RemoteImage:
    return client.open(png, name="noise.png")


@pytest.fixture
def mask(image: RemoteImage) -> RemoteMask:
    """Columns 5 to 37 (1 + 3 + 2 * 4 + 3 + 7 * 2 = 33, by the stand-in's rule: 29), rows 10 to 40."""
    return image.click(3, 4)


def test_pixels_box_area_and_rle_agree(mask: RemoteMask) -> None:
    expected = np.zeros((60, 90), bool)
    expected[10:40, 5 : 5 + 29] = True
    assert np.array_equal(mask.pixels, expected) and not mask.pixels.flags.writeable
    assert mask.box == (5, 10, 34, 40) and mask.area == 870
    assert mask.rle() == rle.encode(expected)
    assert [len(part) for part in mask.polygons()] == [1]


def test_cutout_shows_the_photo(mask: RemoteMask, pixels: np.ndarray) -> None:
    cutout = mask.cutout()
    assert np.array_equal(cutout[..., :3], pixels[10:40, 5:34]) and (cutout[..., 3] == 255).all()


def test_photo_is_decoded_only_when_it_is_needed(image: RemoteImage, mask: RemoteMask) -> None:
    assert mask.source._decoded is None  # type: ignore[attr-defined]
    assert mask.pixels.any() and mask.source._decoded is None  # type: ignore[attr-defined]
    mask.cutout()
    assert mask.source._decoded is not None  # type: ignore[attr-defined]


def test_saves_like_any_mask(mask: RemoteMask, tmp_path: Path, pixels: np.ndarray) -> None:
    for name in ("mask.png", "overlay.jpg", "data.json"):
        mask.save(tmp_path / name)
    assert np.array_equal(cv2.imread(str(tmp_path / "mask.png"), cv2.IMREAD_GRAYSCALE) > 0, mask.pixels)
    result = read_json((tmp_path / "data.json").read_bytes())
    assert (result.name, result.width, result.height) == ("noise.png", 90, 60)
    assert result.objects[0].prompt is not None and result.objects[0].score == 0.9
    assert mask._repr_png_().startswith(b"\x89PNG")
    with pytest.raises(OutputError, match="unknown extension"):
        mask.save(tmp_path / "mask.xyz")


def test_cleaned_mask_stays_the_servers(image: RemoteImage, mask: RemoteMask, server: StandIn) -> None:
    cleaned = mask.clean(specks=0.1, holes=0.1)
    assert isinstance(cleaned, RemoteMask) and np.array_equal(cleaned.pixels, mask.pixels)
    assert np.array_equal(image.segment(previous=cleaned).pixels, image.segment(previous=mask).pixels)
    assert isinstance(server.bodies()[-1]["objects"][0]["previous"], str)


def test_logits_are_asked_for_once(mask: RemoteMask, server: StandIn) -> None:
    assert mask.logits.shape == (256, 256) and mask.logits.dtype == np.float32
    assert mask.logits is mask.logits
    assert [body["format"] for body in server.bodies()] == ["rle", "logits"]


def test_logits_are_those_of_the_candidate(image: RemoteImage) -> None:
    for candidate in image.candidates([(3, 4)]):
        assert candidate.box is not None
        assert candidate.logits[0, 0] == candidate.box[2] - candidate.box[0]


def test_logits_cannot_be_had_of_a_closed_client(client: Client, mask: RemoteMask) -> None:
    client.close()
    with pytest.raises(ClickmaskError, match="closed"):
        _ = mask.logits
