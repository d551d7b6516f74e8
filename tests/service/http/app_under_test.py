"""The whole service under a real server, as a caller meets it, and pictures to send it."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image
from serving import serve

from clickmask import Segmenter
from clickmask.service.formats.encoding import encode_png
from clickmask.service.http.app import AppMaker, create_app
from clickmask.service.http.settings import MIB, Access, Batches, Decoders, Limits, ServeSettings, Storage

PATIENCE = 60.0  # seconds until a test gives up on an answer


@dataclass(frozen=True)
class Running:
    """A service that answers: its address, and its app for a look inside."""

    url: str
    app: Any

    def client(self, headers: Mapping[str, str] | None = None) -> httpx.Client:
        """Somebody who calls, always with these headers; keeps cookies, as a browser does."""
        return httpx.Client(base_url=self.url, headers=headers, timeout=PATIENCE)


@contextmanager
def running(
    segmenter: Segmenter,
    folder: Path,
    *,
    limits: Limits | None = None,
    access: Access | None = None,
    root_path: str = "",
    project: Path | None = None,
    batches: Batches | None = None,
    make: AppMaker = create_app,
) -> Iterator[Running]:
    """The service of that model, its secret in `folder`, until the block ends. make: puts the app together."""
    settings = ServeSettings(
        limits=limits or Limits(),
        storage=Storage(images=256 * MIB, folder=folder),
        decoders=Decoders(count=1),
        access=access or Access(),
        root_path=root_path,
        project=project,
        batches=batches or Batches(),
    )
    app = make([segmenter], settings)
    with serve(app) as url:
        yield Running(url, app)


def upload(client: httpx.Client, data: bytes) -> str:
    """The id of an image, left with the service."""
    answer = client.post("/v1/images", content=data)
    assert answer.status_code in (200, 201), answer.text
    return answer.json()["id"]


def hover(client: httpx.Client, path: str, stream: str, seq: int, **wishes: Any) -> tuple[int, dict[str, Any]]:
    """A preview's answer, and its number; asked for again, as a page does, where a busy machine made it too late."""
    for number in range(seq, seq + 50):
        answer = client.post(path, json={"stream": stream, "seq": number, **wishes})
        if answer.status_code != 503:
            break
    assert answer.status_code == 200, answer.text
    return number, answer.json()


def error_of(answer: httpx.Response, status: int, code: str | None = None) -> dict[str, Any]:
    """The error that an answer is, in the one shape that all have."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json" and set(answer.json()) == {"error"}
    error = answer.json()["error"]
    assert set(error) in ({"code", "message"}, {"code", "message", "field"})
    assert all(isinstance(part, str) and part for part in error.values())
    if code is not None:
        assert error["code"] == code, error
    return error


def as_png(pixels: np.ndarray) -> bytes:
    """(H, W, 3) uint8 RGB as a PNG file."""
    return encode_png(pixels)


def marked(pixels: np.ndarray, number: int) -> bytes:
    """A PNG of almost the same picture, another file for each number."""
    pixels = pixels.copy()
    pixels[0, 0] = (number & 255, number >> 8 & 255, 77)
    return encode_png(pixels)


def pixels_of(data: bytes) -> np.ndarray:
    """A picture file's pixels, read by another library than the service's."""
    return np.asarray(Image.open(io.BytesIO(data)))
