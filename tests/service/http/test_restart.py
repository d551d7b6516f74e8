"""A restart under twenty open pages heals by itself: no click is lost, and no client hears of it."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from load import PATIENCE, PLAIN, HeldSegmenter, Served, app_of, serving, strip
from serving import serve

from clickmask import AsyncClient, Client
from clickmask.models.errors import ServiceUnavailableError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")

PAGES = 20
MOST_CLICKS = 2000


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


class _Servers:
    """A service that can be started anew on its port."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack, self._port = stack, _free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self._running: Served | None = None

    def start(self, folder: Path) -> None:
        """Start, with the state in that folder."""
        folder.mkdir(exist_ok=True)
        self._running = self._stack.enter_context(serving(folder, (*PLAIN, "--drain", "1"), port=self._port))

    def stop(self) -> None:
        """Stop, politely."""
        assert self._running is not None
        self._running.process.send_signal(signal.SIGTERM)
        assert self._running.code() == 0


async def _keep_clicking(image: Any, over: asyncio.Event, answered: list[int], page: int) -> list[Any]:
    masks = []
    while not over.is_set() and len(masks) < MOST_CLICKS:
        masks.append(await image.click(500, 8))
        answered[page] += 1
        await asyncio.sleep(0.2)
    return masks


async def _click_through(url: str, restarts: Callable[[Callable[[], Awaitable[None]]], Awaitable[None]]) -> list[Any]:
    """Twenty pages click while `restarts` goes on, which is given a wait for all to have clicked; the masks of each."""
    over, answered = asyncio.Event(), [0] * PAGES
    async with AsyncClient(url, timeout=PATIENCE) as client:
        images = [await client.open(strip(n % 4)) for n in range(PAGES)]
        pages = [asyncio.create_task(_keep_clicking(image, over, answered, n)) for n, image in enumerate(images)]

        async def all_clicked() -> None:
            before = list(answered)
            async with asyncio.timeout(PATIENCE):
                while any(now - then < 1 for now, then in zip(answered, before, strict=True)):
                    if any(page.done() for page in pages):
                        break  # with an error, which is raised below
                    await asyncio.sleep(0.02)

        try:
            await restarts(all_clicked)
        finally:
            over.set()
            results = await asyncio.gather(*pages)
        return results


@pytest.mark.soak
def test_twenty_pages_click_on_through_restarts_with_the_old_state_and_with_none(tmp_path: Path) -> None:
    with ExitStack() as stack:
        servers = _Servers(stack)
        servers.start(tmp_path / "old")

        async def restart_twice(all_clicked: Callable[[], Awaitable[None]]) -> None:
            await all_clicked()
            for folder in ("old", "new"):
                await asyncio.to_thread(servers.stop)
                await asyncio.sleep(0.1)  # with nobody listening
                await asyncio.to_thread(servers.start, tmp_path / folder)
                await all_clicked()

        pages = asyncio.run(_click_through(servers.url, restart_twice))
    assert len(pages) == PAGES and min(len(masks) for masks in pages) >= 3
    for n, masks in enumerate(pages):
        assert all(np.array_equal(mask.pixels, pages[n % 4][0].pixels) for mask in masks)


def test_service_that_stays_away_is_an_error_at_last(cache_folder: Path, tmp_path: Path) -> None:
    """The negative control: clients do not answer out of their own."""
    server = ExitStack()
    url = server.enter_context(serve(app_of(HeldSegmenter(cache_folder), tmp_path)))
    with Client(url, timeout=2) as client:
        with server:
            image = client.open(strip(1))
            image.click(500, 8)
        with pytest.raises(ServiceUnavailableError, match="within 2 s"):
            image.click(500, 8)
