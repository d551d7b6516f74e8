"""Twenty minutes of clicking: the browser's heap and the server's memory stay flat."""

from __future__ import annotations

import logging
import os
import random
import time
from pathlib import Path

import psutil
import pytest
from page_server import serving
from playwright.sync_api import Browser
from screen import PHOTOS, Screen, screen

SECONDS = float(os.environ.get("SOAK_SECONDS", "1200"))
GROWTH = 0.15  # of the middle's memory, at the end


@pytest.mark.soak
def test_memory_is_flat_over_twenty_minutes(browser: Browser, tmp_path: Path) -> None:
    with serving(tmp_path) as served, screen(browser, served.url) as desk:
        session = desk.page.context.new_cdp_session(desk.page)
        server = psutil.Process(served.process.pid)
        heaps, memory, objects = [], [], 0
        photos = sorted(PHOTOS.glob("*.jpg"))
        began, chance = time.monotonic(), random.Random(5)
        while time.monotonic() - began < SECONDS:
            objects += _photo(desk, chance.choice(photos), chance)
            session.send("HeapProfiler.collectGarbage")
            heaps.append(desk.value("performance.memory.usedJSHeapSize") / 1e6)
            memory.append(server.memory_info().rss / 1e6)
        _tell(objects, heaps, memory)
        for series in (heaps, memory):
            middle = series[len(series) // 3 : 2 * len(series) // 3]
            end = series[2 * len(series) // 3 :]
            assert sum(end) / len(end) < (1 + GROWTH) * sum(middle) / len(middle)


def _photo(desk: Screen, path: Path, chance: random.Random) -> int:
    """A photo is opened, clicked on, painted on, undone, and closed."""
    desk.reset()
    desk.take(path)
    width, height = desk.value("clickmask.bench.doc.size")
    for _ in range(5):
        x, y = chance.uniform(0.1, 0.9) * width, chance.uniform(0.1, 0.9) * height
        desk.page.mouse.move(*desk.at(x, y), steps=8)
        desk.click(x, y)
        desk.press(chance.choice("123"))
        if chance.random() < 0.5:
            desk.press("b")
            desk.drag((x, y), (x + 30, y + 10))
            desk.press("q")
        desk.press("Enter")
    desk.press("Control+z", "Control+z", "Control+y", "Control+y")
    return len(desk.objects())


def _tell(objects: int, heaps: list[float], memory: list[float]) -> None:
    for name, series in (("heap of the page, MB", heaps), ("server, MB", memory)):
        third = len(series) // 3
        parts = [sum(part) / len(part) for part in (series[:third], series[third : 2 * third], series[2 * third :])]
        figures = " / ".join(f"{value:.0f}" for value in parts)
        logging.getLogger("figures").warning("%s objects; %s by thirds: %s", objects, name, figures)
