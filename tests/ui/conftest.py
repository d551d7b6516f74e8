"""The page's app under a real server, without a browser."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
for folder in (Path(__file__).parent, ROOT / "tests" / "service" / "http"):
    if str(folder) not in sys.path:
        sys.path.append(str(folder))

from app_under_test import Running, as_png, running  # noqa: E402
from gradio_protocol import Caller  # noqa: E402

from clickmask import Segmenter  # noqa: E402
from clickmask.ui.mount import create_page_app  # noqa: E402


@pytest.fixture(scope="session")
def segmenter(tmp_path_factory: pytest.TempPathFactory) -> Segmenter:
    """The embedded model without padding: quick on long, low pictures."""
    cache = tmp_path_factory.mktemp("cache")
    return Segmenter(device="cpu", precision="float32", fit="rectangle", cache_dir=cache)


@pytest.fixture(scope="session")
def strip() -> np.ndarray:
    """A low strip of a photo through a bowl, (64, 1024, 3) uint8."""
    pixels = cv2.imread(str(ROOT / "examples" / "photos" / "fig.jpg"), cv2.IMREAD_COLOR_RGB)
    assert pixels is not None
    return np.ascontiguousarray(pixels[300:364])


@pytest.fixture(scope="session")
def photo(strip: np.ndarray) -> bytes:
    """The strip as a file."""
    return as_png(strip)


@pytest.fixture(scope="session")
def service(segmenter: Segmenter, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The page's app, for this machine alone."""
    with running(segmenter, tmp_path_factory.mktemp("state"), make=create_page_app) as service:
        yield service


@pytest.fixture
def client(service: Running) -> Iterator[httpx.Client]:
    """Somebody who calls it."""
    with service.client() as client:
        yield client


@pytest.fixture
def caller(client: httpx.Client, service: Running) -> Caller:
    """Somebody who speaks Gradio's protocol with it."""
    return Caller.of(client, service)
