"""Many clients at once and what they saw, a service in this process whose lane can be held, and one in its own."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np

from clickmask import OpenImage, Segmenter
from clickmask.models.frame import Frame
from clickmask.service.http.app import create_app
from clickmask.service.http.settings import Access, Decoders, Limits, ServeSettings, Storage, parse_networks
from clickmask.service.images import Picture

PATIENCE = 60.0  # seconds until a test gives up on what should take a few
WIDTH, HEIGHT = 1024, 16  # of the strips: encoded in a twentieth of a second
CLICK = {"objects": [{"points": [[500, 8]]}], "scale": "model"}
COMMAND = (sys.executable, "-m", "clickmask")
PLAIN = ("--devices", "cpu", "--precision", "float32", "--fit", "rectangle", "--decoders", "1")


@dataclass(frozen=True)
class Seen:
    """An answer as its client saw it; status 0: the connection broke (`code` says how). at: when, of perf_counter."""

    status: int
    code: str | None
    seconds: float
    at: float = 0.0
    id: str | None = None
    retry_after: str | None = None
    body: Any = None


@cache
def strip(number: int) -> bytes:
    """A PNG file like no other: 1024 x 16, noise."""
    pixels = np.random.default_rng(number).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    return cv2.imencode(".png", pixels)[1].tobytes()


class HeldSegmenter(Segmenter):
    """The embedded model on thin strips; while `gate` is closed an image that is encoded holds the lane."""

    def __init__(self, cache_folder: Path) -> None:
        super().__init__("vit_t", device="cpu", precision="float32", fit="rectangle", cache_dir=cache_folder)
        self.gate, self.begun = threading.Event(), threading.Event()
        self.gate.set()

    def open_together(self, pictures: Sequence[tuple[Picture, Frame]]) -> list[OpenImage]:
        self.begun.set()
        assert self.gate.wait(PATIENCE)
        return super().open_together(pictures)

    @contextmanager
    def holding(self, url: str, image: bytes, headers: Mapping[str, str] | None = None) -> Iterator[None]:
        """Keep the lane busy with the encoding of an image that is new to the server."""
        self.begun.clear()
        self.gate.clear()
        try:
            httpx.post(f"{url}/v1/images", content=image, headers=headers, timeout=PATIENCE).raise_for_status()
            assert self.begun.wait(PATIENCE)
            yield
        finally:
            self.gate.set()


def app_of(
    segmenter: Segmenter,
    folder: Path,
    *,
    limits: Limits | None = None,
    images: int = 128 << 20,
    named: bool = False,
    decoders: int = 1,
) -> Any:
    """The service as an app. images: bytes of its store. named: callers are who the header `X-User` says."""
    access = Access(identity_header="X-User", proxies=parse_networks(["127.0.0.1"])) if named else Access()
    storage = Storage(images=images, folder=folder)
    settings = ServeSettings(
        limits=limits or Limits(), storage=storage, decoders=Decoders(count=decoders), access=access
    )
    return create_app([segmenter], settings)


def figure(app: Any, name: str, **labels: str) -> float:
    """A figure of /metrics."""
    value = app.state.metrics.registry.get_sample_value(f"clickmask_{name}", labels)
    assert value is not None, f"there is no figure {name} {labels}"
    return value


async def send(
    client: httpx.AsyncClient,
    method: str,
    path: str,
    *,
    content: bytes | None = None,
    json: Any = None,
    headers: Mapping[str, str] | None = None,
) -> Seen:
    """One request, whatever comes of it."""
    began = time.perf_counter()
    try:
        answer = await client.request(method, path, content=content, json=json, headers=headers)
    except httpx.TransportError as error:
        return Seen(0, type(error).__name__, time.perf_counter() - began)
    now = time.perf_counter()
    body = answer.json() if "json" in answer.headers.get("content-type", "") else None
    code = body["error"]["code"] if body and "error" in body else None
    told = answer.headers
    return Seen(answer.status_code, code, now - began, now, told.get("x-request-id"), told.get("retry-after"), body)


async def upload(client: httpx.AsyncClient, image: bytes, *, headers: Mapping[str, str] | None = None) -> Seen:
    """Leave an image."""
    return await send(client, "POST", "/v1/images", content=image, headers=headers)


async def click(
    client: httpx.AsyncClient, image: str, question: Any = None, *, headers: Mapping[str, str] | None = None
) -> Seen:
    """Ask about an image, by default with one point."""
    return await send(client, "POST", f"/v1/images/{image}/masks", json=question or CLICK, headers=headers)


def client_of(url: str, *, user: str | None = None, connections: int = 1000) -> httpx.AsyncClient:
    """A client that waits long, and says who it is."""
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
    headers = {"X-User": user} if user else None
    return httpx.AsyncClient(  # without certificates, which take long to load
        base_url=url, timeout=PATIENCE, limits=limits, headers=headers, trust_env=False, verify=False
    )


@asynccontextmanager
async def _until(limit: float | None) -> AsyncIterator[None]:
    """Leave the block at that time of the loop."""
    with suppress(TimeoutError):
        async with asyncio.timeout_at(limit):
            yield


Step = Callable[[httpx.AsyncClient], Awaitable[Seen]]


async def closed_loop(
    url: str, seconds: float, steps: Iterable[tuple[str | None, Step]], *, leave: bool = False, obey: bool = False
) -> list[list[Seen]]:
    """For each step a client of its own (of that user) repeats it for so long, a moment after every refusal.

    leave: at the end clients do not wait for their last answer. obey: the moment is as long as they are told. What each
    client saw, in the order of the steps.
    """
    end = time.perf_counter() + seconds
    loop = asyncio.get_running_loop()
    limit = loop.time() + seconds if leave else None

    async def repeat(user: str | None, step: Step) -> list[Seen]:
        seen: list[Seen] = []
        async with client_of(url, user=user, connections=1) as client, _until(limit):
            while time.perf_counter() < end and len(seen) < 10_000:
                seen.append(await step(client))
                if seen[-1].status not in (200, 201):
                    await asyncio.sleep(float(seen[-1].retry_after or 0.05) if obey else 0.05)
        return seen

    return list(await asyncio.gather(*(repeat(user, step) for user, step in steps)))


def note(what: str, value: object) -> None:
    """Tell a figure to whoever runs pytest with `--log-cli-level=warning`."""
    logging.getLogger("figures").warning("%s: %s", what, value)


class Served:
    """A service in a process of its own: its address, the process, and what it logs."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process, self.log, self.url = process, log, ""

    def lines(self) -> list[dict[str, Any]]:
        """All whole lines that it logged, from JSON."""
        text = self.log.read_text()
        return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]

    def wait_for_start(self) -> None:
        """Wait until it says where it is."""
        end = time.monotonic() + PATIENCE
        while not self.url:
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < end, "waited in vain"
            time.sleep(0.02)
            text = self.log.read_text()
            if "clickmask serves" in text:
                self.url = text.partition(" at ")[2].split()[0]

    def code(self) -> int:
        """How it ended."""
        return self.process.wait(PATIENCE)


@contextmanager
def starting(
    folder: Path, words: Sequence[str] = PLAIN, *, port: int = 0, command: Sequence[str] = ()
) -> Iterator[Any]:
    """`clickmask serve` in a process; it may still be starting. command: what runs it, by default this Python.

    Its state is in `folder`/state. Ends with the block, if it has not by then.
    """
    log = folder / f"log-{time.monotonic_ns()}"
    line = [*(command or COMMAND), "serve", "--port", str(port), "--state-dir", str(folder / "state"), *words]
    with log.open("wb") as file, subprocess.Popen(line, cwd=folder, stdout=file, stderr=file) as process:
        try:
            yield Served(process, log)
        finally:
            process.kill()


@contextmanager
def serving(folder: Path, words: Sequence[str] = PLAIN, *, port: int = 0, command: Sequence[str] = ()) -> Iterator[Any]:
    """The same, once it serves."""
    with starting(folder, words, port=port, command=command) as served:
        served.wait_for_start()
        yield served
