"""Real photographs, shipped with the examples, for the tests of the service."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

if TYPE_CHECKING:  # torch takes a second to import, and not every test needs it
    from torch import Tensor

    from clickmask import OpenImage, Segmenter

PHOTOS = Path(__file__).resolve().parents[2] / "examples" / "photos"


@pytest.fixture(scope="session")
def photos() -> list[Path]:
    """All example photos, JPEG, longer side 1024."""
    return sorted(PHOTOS.glob("*.jpg"))


@pytest.fixture(scope="session")
def photo_path() -> Path:
    """Two dogs, upright, 682 x 1024."""
    return PHOTOS / "dogs.jpg"


@pytest.fixture(scope="session")
def photo(photo_path: Path) -> np.ndarray:
    """The dogs at a quarter of their size, 170 x 256: (256, 170, 3) uint8 RGB."""
    pixels = cv2.imread(str(photo_path), cv2.IMREAD_COLOR_RGB)
    assert pixels is not None
    return cv2.resize(pixels, (170, 256), interpolation=cv2.INTER_AREA)


@pytest.fixture
def random_masks() -> list[np.ndarray]:
    """Sixty-odd noise masks, from one pixel to 40 x 60, from empty to full."""
    draw = np.random.default_rng(5)
    shapes = [(1, 1), (1, 7), (7, 1), (2, 2), (3, 5), (12, 9), (40, 60)]
    shares = [0.0, 0.05, 0.3, 0.5, 0.7, 0.95, 1.0]
    return [draw.random(shape) < share for shape in shapes for share in shares]


@pytest.fixture(scope="session")
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache folder for the segmenters that all tests share."""
    return tmp_path_factory.mktemp("shared-cache")


def _segmenter(cache_folder: Path, model: str | dict[str, Tensor] = "vit_t", fit: str = "square") -> Segmenter:
    from clickmask import Segmenter

    return Segmenter(model, device="cpu", precision="float32", fit=fit, refine="off", cache_dir=cache_folder)


@pytest.fixture(scope="session")
def segmenter(cache_folder: Path) -> Segmenter:
    """The embedded model as segment_anything runs it: float32, the whole square."""
    return _segmenter(cache_folder)


@pytest.fixture(scope="session")
def strip_segmenter(cache_folder: Path) -> Segmenter:
    """The embedded model in float32 without padding: quick on long, low pictures."""
    return _segmenter(cache_folder, fit="rectangle")


@pytest.fixture(scope="session")
def tiny_segmenter(tiny_sam_state: dict[str, Tensor], cache_folder: Path) -> Segmenter:
    """A small plain ViT with random weights: its masks mean nothing, but come by the way of vit_b's."""
    return _segmenter(cache_folder, tiny_sam_state)


@pytest.fixture(scope="session")
def dogs(segmenter: Segmenter, photo_path: Path) -> OpenImage:
    """The two dogs, encoded; never to be closed."""
    return segmenter.open(photo_path)


@pytest.fixture(scope="session")
def strip() -> np.ndarray:
    """A low strip of the fig photo through the bowl, (64, 1024, 3) uint8: encoded in a moment."""
    pixels = cv2.imread(str(PHOTOS / "fig.jpg"), cv2.IMREAD_COLOR_RGB)
    assert pixels is not None
    return np.ascontiguousarray(pixels[300:364])
