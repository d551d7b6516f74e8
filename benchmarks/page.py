"""The click page in Chromium, beside the server on the same machine: how soon a preview and a mask are drawn.

    python benchmarks/page.py [--scenario hover|drop|line|annotator] [--photos FOLDER] [--rounds 60]

Previews: from the last movement of the pointer to the frame with the preview in it; clicks likewise from the button's
going up. `line` simulates round trips of 50 and 150 ms at 20 Mbit/s.
"""

from __future__ import annotations

import argparse
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import cv2
from playwright.sync_api import Browser, Page, sync_playwright
from timing import machine

HERE = Path(__file__).resolve().parent
PHOTOS = HERE.parent / "examples" / "photos"
PATIENCE = 60.0

RECORD = """() => {
  const stage = document.querySelector('.cm-stage');
  window.seen = { hovers: [], clicks: [] };
  let moved = 0, released = null;
  stage.addEventListener('pointermove', (event) => (moved = event.timeStamp), true);
  stage.addEventListener('pointerup', (event) => (released = event.timeStamp), true);
  const { hover } = clickmask;
  const show = hover.onPreview;
  hover.onPreview = (mask, times) => {
    show(mask, times);
    if (!mask || !times) return;
    const at = { moved, ...times };
    clickmask.stage.whenPainted().then(() => seen.hovers.push({ ...at, painted: performance.now() }));
  };
  const { asker } = clickmask.bench.doc;
  const tell = asker.onAnswer;
  asker.onAnswer = (answer) => {
    tell(answer);
    const at = { released };
    const painted = () => seen.clicks.push({ ...at, painted: performance.now() });
    queueMicrotask(() => clickmask.stage.whenPainted().then(painted));
  };
}"""


@contextmanager
def serving() -> Iterator[str]:
    """`clickmask ui` in a process of its own: its address."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        line = [sys.executable, "-m", "clickmask", "ui", "--port", "0", "--state-dir", folder]
        with log.open("wb") as file, subprocess.Popen(line, stdout=file, stderr=file) as process:
            try:
                end = time.monotonic() + PATIENCE
                while "clickmask serves" not in (text := log.read_text()):
                    if process.poll() is not None or time.monotonic() > end:
                        raise RuntimeError(text)
                    time.sleep(0.1)
                yield text.partition(" at ")[2].split()[0]
            finally:
                process.terminate()
                process.wait(PATIENCE)


@contextmanager
def opened(browser: Browser, url: str) -> Iterator[Page]:
    """The page in a browser that was never here."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.goto(url)
    page.wait_for_function("window.clickmask?.isStarted")
    yield page
    context.close()


def take(page: Page, *paths: Path) -> None:
    """Open photos, and wait until the first is ready."""
    with page.expect_file_chooser() as chooser:
        page.evaluate("clickmask.run('choose')")
    chooser.value.set_files([str(path) for path in paths])
    page.wait_for_function("clickmask.bench.doc?.state === 'ready' && clickmask.bench.editor")


def place(page: Page, share_x: float, share_y: float) -> tuple[float, float]:
    """Where on the screen a place of the photo is, by shares of its width and height."""
    left, top = page.evaluate(
        "([a, b]) => { const box = document.querySelector('.cm-stage').getBoundingClientRect();"
        " const [w, h] = clickmask.bench.doc.size; const [x, y] = clickmask.view.toScreen(a * w, b * h);"
        " return [box.left + x, box.top + y]; }",
        [share_x, share_y],
    )
    return left, top


def three_megapixels(folder: Path) -> Path:
    """A photo of 2121 x 1414."""
    photo = cv2.imread(str(PHOTOS / "stream.jpg"))
    assert photo is not None
    path = folder / "photo.jpg"
    cv2.imwrite(str(path), cv2.resize(photo, (2121, 1414), interpolation=cv2.INTER_CUBIC))
    return path


def row(name: str, values: Sequence[float]) -> str:
    """A line of the table: median, 95th and 99th of 100."""
    ordered = sorted(values)
    share = lambda part: ordered[min(len(ordered) - 1, int(part * len(ordered)))]  # noqa: E731
    return f"| {name} | {statistics.median(ordered):.0f} | {share(0.95):.0f} | {share(0.99):.0f} | {len(ordered)} |"


HEADER = "| what | p50 ms | p95 ms | p99 ms | n |\n|---|---|---|---|---|"


def hover_and_click(page: Page, rounds: int) -> Iterator[str]:
    """Previews at resting places, and first clicks, on one photo."""
    sizes: list[int] = []
    page.on("response", lambda r: sizes.append(int(r.headers.get("content-length", 0))) if "/masks" in r.url else None)
    page.evaluate(RECORD)
    chance = random.Random(1)
    for number in range(rounds):
        x, y = place(page, chance.uniform(0.05, 0.95), chance.uniform(0.05, 0.95))
        page.mouse.move(x, y, steps=3)
        page.wait_for_timeout(250)
        if number % 2:
            page.mouse.click(x, y)
            page.wait_for_timeout(250)
            page.keyboard.press("Escape")
    seen = page.evaluate("seen")
    rests = {one["moved"]: one for one in seen["hovers"]}.values()
    yield row("preview: pointer to drawn", [one["painted"] - one["moved"] for one in rests])
    yield row("of it, asked to answered", [one["answered"] - one["asked"] for one in rests])
    yield row("click: button to mask drawn", [one["painted"] - one["released"] for one in seen["clicks"]])
    ordered = sorted(sizes)
    least = int(0.99 * len(ordered))
    yield f"| answers, bytes: p50 and p99 | {ordered[len(ordered) // 2]} | | {ordered[least]} | {len(ordered)} |"


def first_previews(browser: Browser, url: str, photo: Path, rounds: int) -> str:
    """From a photo's being chosen to the first preview under a pointer that waits there."""
    times = []
    for number in range(rounds):
        with opened(browser, url) as page:
            copy = photo.with_name(f"new{number}.jpg")
            copy.write_bytes(photo.read_bytes() + bytes([number]))  # never seen by the server
            page.evaluate(
                "() => { const { hover } = clickmask; const show = hover.onPreview; window.first = null;"
                " hover.onPreview = (mask, times) => { show(mask, times);"
                " if (mask) clickmask.stage.whenPainted().then(() => (first ??= performance.now())); }; }"
            )
            with page.expect_file_chooser() as chooser:
                page.evaluate("clickmask.run('choose')")
            page.evaluate("() => (window.chosen = performance.now())")
            chooser.value.set_files(str(copy))
            page.wait_for_function("clickmask.bench.editor")
            x, y = place(page, 0.5, 0.6)
            while not page.evaluate("first"):
                page.mouse.move(x, y)
                x, y = x + 0.5, y
            times.append(page.evaluate("first - chosen"))
    return row("photo chosen to first preview", times)


def slow_line(browser: Browser, url: str, photo: Path, latency: int, rounds: int) -> Iterator[str]:
    """Clicks over a simulated line; whether previews rest."""
    with opened(browser, url) as page:
        session = page.context.new_cdp_session(page)
        session.send("Network.enable")
        rate = 20e6 / 8
        conditions = {"offline": False, "latency": latency, "downloadThroughput": rate, "uploadThroughput": rate}
        session.send("Network.emulateNetworkConditions", conditions)
        take(page, photo)
        page.evaluate(RECORD)
        chance = random.Random(2)
        for _ in range(rounds):
            x, y = place(page, chance.uniform(0.1, 0.9), chance.uniform(0.1, 0.9))
            page.mouse.move(x, y)
            page.mouse.click(x, y)
            page.wait_for_function("clickmask.isSettled")
            page.wait_for_timeout(100)
            page.keyboard.press("Escape")
        seen = page.evaluate("seen")
        yield row(
            f"click over {latency} ms of round trip", [one["painted"] - one["released"] for one in seen["clicks"]]
        )
        yield f"| previews are off | {page.evaluate('clickmask.hover.isSlow')} | | | |"


def annotate(browser: Browser, url: str, photos: Sequence[Path]) -> str:
    """Five objects in each photo, a click and Enter each: seconds an object, pointing included."""
    chance = random.Random(3)
    with opened(browser, url) as page:
        take(page, *photos)
        began, objects = time.perf_counter(), 0
        for number in range(len(photos)):
            if number:
                page.keyboard.press("d")
                page.wait_for_function(
                    f"clickmask.documents.list[{number}] === clickmask.bench.doc && clickmask.bench.editor"
                )
            for _ in range(5):
                x, y = place(page, chance.uniform(0.1, 0.9), chance.uniform(0.1, 0.9))
                page.mouse.click(x, y)
                page.keyboard.press("Enter")
                objects += 1
        page.wait_for_function("clickmask.isSettled")
        seconds = (time.perf_counter() - began) / objects
        made = page.evaluate("clickmask.documents.list.reduce((sum, doc) => sum + doc.count, 0)")
    return f"| {made} objects in {len(photos)} photos, 2 actions each | {seconds:.2f} s an object | | | {objects} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--scenario", choices=("all", "hover", "drop", "line", "annotator"), default="all")
    parser.add_argument("--photos", type=Path, default=PHOTOS, help="a folder, for the annotator")
    parser.add_argument("--rounds", type=int, default=60)
    wanted = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as folder, serving() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        photo = three_megapixels(Path(folder))
        say(f"{machine()}, Chromium {browser.version}\n\n{HEADER}")
        if wanted.scenario in ("all", "hover"):
            with opened(browser, url) as page:
                take(page, photo)
                for line in hover_and_click(page, wanted.rounds):
                    say(line)
        if wanted.scenario in ("all", "drop"):
            say(first_previews(browser, url, photo, max(3, wanted.rounds // 6)))
        if wanted.scenario in ("all", "line"):
            for latency in (50, 150):
                for line in slow_line(browser, url, photo, latency, wanted.rounds // 3):
                    say(line)
        if wanted.scenario in ("all", "annotator"):
            found = sorted(path for path in wanted.photos.iterdir() if path.suffix == ".jpg")[:10]
            say(annotate(browser, url, found))
        browser.close()


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
