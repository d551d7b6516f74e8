"""Drawing on the click page: how long the browser's main thread is held by a 12-megapixel photo with 20 objects at
full resolution that is moved, zoomed, hovered over and painted on.

A block is the time between two messages that the page sends itself without a pause. Each round is a fresh page; of its
longest blocks the median and the least over the rounds are shown, since whatever else the machine does lengthens them.

    python benchmarks/page_drawing.py [--photo FILE] [--frames 60] [--rounds 5]
"""

from __future__ import annotations

import argparse
import base64
import functools
import http.server
import shutil
import statistics
import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from playwright.sync_api import Browser, Page, sync_playwright

from clickmask import Segmenter

ROOT = Path(__file__).resolve().parents[1]
LONG_SIDE = 4272  # of a 12-megapixel photo, 3:2
OBJECTS = 20
SCREENS = {"1280 x 800": (1280, 800, 1), "1280 x 800, 2 device pixels": (1280, 800, 2), "390 x 700, 2": (390, 700, 2)}

HEADER = """| screen | what | longest block, ms | the least of the rounds | median frame, ms | 95th of 100 |
|---|---|---|---|---|---|"""
MEASURE = """
async ({jpeg, objects, small, frames}) => {
  const { View } = await import("./view.js");
  const { Stage } = await import("./stage.js");
  const { colourOf } = await import("./palette.js");
  document.body.style.margin = 0;
  const element = document.createElement("div");
  element.style.cssText = "position: relative; width: 100vw; height: 100vh";
  document.body.append(element);
  const blob = await (await fetch(`data:image/jpeg;base64,${jpeg}`)).blob();
  const photo = await createImageBitmap(blob);
  const view = new View();
  const stage = new Stage(element, view);
  const frame = () => new Promise(requestAnimationFrame);
  const found = {};

  async function measure(name, count, act) {
    await stage.whenPainted();
    await new Promise((resolve) => setTimeout(resolve, 300));
    let longest = 0;
    let last = performance.now();
    let running = true;
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      const now = performance.now();
      longest = Math.max(longest, now - last);
      last = now;
      if (running) port2.postMessage(0);
    };
    port2.postMessage(0);
    const stamps = [];
    performance.mark(`begin ${name}`);
    for (let i = 0; i <= count; i += 1) {
      stamps.push(await frame());
      if (i < count) act(i);
    }
    await stage.whenPainted();
    await frame();
    running = false;
    performance.mark(`end ${name}`);
    const gaps = stamps.slice(1).map((stamp, i) => stamp - stamps[i]);
    found[name] = { longest, gaps };
  }

  const made = objects.map((mask, i) => ({ id: i, mask, colour: colourOf(i), selected: i === 3, label: `${i}` }));
  view.setImage(photo.width, photo.height);
  await measure("photo shown", 10, (i) => i === 0 && stage.setPhoto(photo));
  await measure("20 objects shown", 10, (i) => i === 0 && stage.setObjects(made));
  await measure("pan, fitted", frames, (i) => view.panBy(Math.cos(i / 5) * 12, Math.sin(i / 5) * 9));
  const zoom = (i) => view.zoomAt(element.clientWidth / 3, element.clientHeight / 3, i < frames / 2 ? 1.15 : 1 / 1.15);
  await measure("zoom", frames, zoom);
  view.oneToOne();
  await measure("pan, 1:1", frames, (i) => view.panBy(Math.cos(i / 5) * 12, Math.sin(i / 5) * 9));
  view.zoomAt(element.clientWidth / 2, element.clientHeight / 2, 8);
  await measure("pan, 8:1", frames, (i) => view.panBy(Math.cos(i / 5) * 12, Math.sin(i / 5) * 9));
  view.fit();
  const preview = (i) => stage.setPreview({ mask: structuredClone(small[i % small.length]), sign: 1 });
  await measure("hover, new preview", frames, preview);
  stage.setPreview(null);
  const hover = (i) => stage.setObjects(made.map((one, j) => ({ ...one, hovered: j === i % made.length })));
  await measure("hover over objects", frames, hover);
  stage.setObjects(made);
  const points = [];
  const brush = (i) => {
    points.push([1200 + 25 * i, 900 + 300 * Math.sin(i / 6)]);
    stage.setStroke({ op: "add", kind: "brush", radius: 60, points });
    stage.setBrushCursor({ x: points.at(-1)[0], y: points.at(-1)[1], radius: 60 });
  };
  stage.setCurrent({ mask: made[2].mask, colour: [0, 130, 255] });
  await measure("brush moves", frames, brush);
  const strokes = [{ op: "add", kind: "brush", radius: 60, points }];
  const finish = () => {
    stage.setStroke(null);
    stage.setCurrent({ mask: made[2].mask, colour: [0, 130, 255], strokes });
  };
  await measure("brush stroke becomes pixels", 10, (i) => i === 0 && finish());
  return found;
}
"""


class _Quiet(http.server.SimpleHTTPRequestHandler):
    extensions_map = http.server.SimpleHTTPRequestHandler.extensions_map | {".js": "text/javascript"}

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


def _photo(path: Path) -> np.ndarray:
    """(H, W, 3) uint8 BGR of 12 megapixels."""
    small = cv2.imread(str(path))
    scale = LONG_SIDE / max(small.shape[:2])
    return cv2.resize(small, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)


def _masks(pixels: np.ndarray) -> list[dict[str, Any]]:
    """Objects at a grid of points, as the page holds them."""
    image = Segmenter().open(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB))
    height, width = pixels.shape[:2]
    points = [((i + 0.5) * width / 5, (j + 0.5) * height / 4) for j in range(4) for i in range(5)]
    return [{"rle": image.click(x, y).rle(), "box": [0, 0, width, height], "full": True} for x, y in points[:OBJECTS]]


def _measure(browser: Browser, url: str, screen: tuple[int, int, int], given: dict[str, Any]) -> dict[str, Any]:
    width, height, ratio = screen
    page: Page = browser.new_page(viewport={"width": width, "height": height}, device_scale_factor=ratio)
    page.goto(url)
    found = page.evaluate(MEASURE, given)
    page.close()
    return found


def main() -> None:
    """Print a table: the longest block of the main thread, and the frames."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photo", type=Path, default=ROOT / "examples" / "photos" / "peaks.jpg")
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    given = _prepare(options.photo, options.frames)
    handler = functools.partial(_Quiet, directory=str(ROOT / "ui" / "static"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        print(HEADER)
        for name, screen in SCREENS.items():
            rounds = [_measure(browser, url, screen, given) for _ in range(options.rounds)]
            for what in rounds[0]:
                print(_row(name, what, [found[what] for found in rounds]), flush=True)
        browser.close()
    server.shutdown()


def _prepare(path: Path, frames: int) -> dict[str, Any]:
    pixels = _photo(path)
    jpeg = base64.b64encode(cv2.imencode(".jpg", pixels)[1].tobytes()).decode()
    small = _masks(cv2.resize(pixels, (1024, 1024 * pixels.shape[0] // pixels.shape[1])))
    for mask in small:
        mask["box"] = [0, 0, pixels.shape[1], pixels.shape[0]]
        mask["full"] = False
    return {"jpeg": jpeg, "objects": _masks(pixels), "small": small, "frames": frames}


def _row(screen: str, what: str, found: list[dict[str, Any]]) -> str:
    longest = [row["longest"] for row in found]
    gaps = sorted(gap for row in found for gap in row["gaps"])
    figures = (statistics.median(longest), min(longest), statistics.median(gaps), gaps[int(len(gaps) * 0.95)])
    return " | ".join(("", screen, what, *(f"{figure:.0f}" for figure in figures), "")).strip()


if __name__ == "__main__":
    main()
