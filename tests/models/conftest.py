"""The embedded weights on a photo, for the decoders' tests, and a server on this machine for those of downloading."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import pytest
import torch
from torch import Tensor

from clickmask.models import transfer
from clickmask.models.checkpoints import Checkpoint, load_checkpoint
from clickmask.models.frame import Frame
from clickmask.models.sam import Sam
from clickmask.models.variants import VARIANTS, Variant

PHOTO = Path(__file__).resolve().parents[2] / "examples" / "photos" / "fig.jpg"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return load_checkpoint("vit_t", cache_dir=tmp_path_factory.mktemp("none"))


@pytest.fixture(scope="module")
def sam(checkpoint: Checkpoint) -> Sam:
    return Sam(checkpoint, torch.device("cpu"), torch.float32)


@pytest.fixture(scope="module")
def tokens(sam: Sam) -> Tensor:
    """(4096, 256): a low strip of a photo, encoded for real; the rest is padding."""
    pixels = torch.from_numpy(cv2.imread(str(PHOTO), cv2.IMREAD_COLOR_RGB)[200:600])
    with torch.inference_mode():
        return sam.encode(pixels, Frame.whole(1024, 400))


@dataclass
class Site:
    """A server of one file, its bad habits, and the Range header of every request it got."""

    payload: bytes = hashlib.shake_256(b"weights").digest(700_000)
    url: str = ""
    takes_ranges: bool = True
    lies_about_range: bool = False
    says_length: bool = True
    redirect: str = ""
    statuses: list[int] = field(default_factory=list)  # answered first, one a request
    cuts: list[int] = field(default_factory=list)  # bytes after which it hangs up, one a request
    gate: threading.Event = field(default_factory=threading.Event)
    asked: list[str | None] = field(default_factory=list)

    def variant(self) -> Variant:
        return replace(
            VARIANTS["vit_b"],
            url=self.url,
            file_name="small.pth",
            sha256=hashlib.sha256(self.payload).hexdigest(),
            md5_prefix=hashlib.md5(self.payload, usedforsecurity=False).hexdigest()[:6],
        )


class _Handler(BaseHTTPRequestHandler):
    site: Site

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        site, wanted = self.site, self.headers.get("Range")
        site.asked.append(wanted)
        site.gate.wait(10)
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and site.takes_ranges else 0
        if site.statuses:
            self.send_error(site.statuses.pop(0))
        elif site.redirect and self.path != "/moved":
            self._head(302, Location=site.redirect)
        elif start >= len(site.payload):
            self._head(416, **{"Content-Range": f"bytes */{len(site.payload)}", "Content-Length": "0"})
        else:
            self._body(start)

    def _head(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _body(self, start: int) -> None:
        body, headers = self.site.payload[start:], {}
        if start:
            shown = 0 if self.site.lies_about_range else start
            headers["Content-Range"] = f"bytes {shown}-{len(self.site.payload) - 1}/{len(self.site.payload)}"
        if self.site.says_length:
            headers["Content-Length"] = str(len(body))
        self._head(206 if start else 200, **headers)
        cut = self.site.cuts.pop(0) if self.site.cuts else len(body)
        self.wfile.write(body[:cut])


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(transfer, "_PAUSE", 0.0)
    site = Site()
    site.gate.set()
    handler = type("Handler", (_Handler,), {"site": site})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        site.url = f"http://127.0.0.1:{server.server_address[1]}/small.pth"
        yield site
        server.shutdown()
        thread.join()
