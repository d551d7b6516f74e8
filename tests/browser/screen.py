"""A person at the page: what they see, click and type, in the image's own coordinates."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from playwright.sync_api import Browser, Page, Response

from clickmask.service import rle

PHOTOS = Path(__file__).resolve().parents[2] / "examples" / "photos"
PATIENCE = 45_000  # ms until a test gives up on what should take a fraction of a second, were nothing else to do

# Chromium notes each answer that is no success as an error: here the refusals are counted instead. So it does with
# answers that do not come; what the page makes of that is for the tests to see.
_REFUSED = "the server responded with a status of"
_UNREACHABLE = ("net::ERR_CONNECTION_RE", "net::ERR_EMPTY_RESPONSE", "net::ERR_INCOMPLETE_CHUNKED_ENCODING")
_GIVES_WAY = {409, 429, 503}  # so a preview is answered when a newer one came, or when there is more important work

_IMAGE = re.compile(r"/v1/images/([^/?]+)")
SIZE: Any = {"width": 1280, "height": 800}
_RESET = """async () => {
  const { tools, settings, bench, stage, hand, store, exporter } = clickmask;
  const { EVERYTHING } = await import('/page/settings.js');
  await clickmask.startOver();
  document.querySelector('dialog[open]')?.close();
  hand.drop();
  exporter.options = { formats: ['cutout'], all: false };
  Object.assign(tools, { tool: 'point', mode: 'add', isSwapped: false, brush: 14 });
  const kept = await store.settings();
  await store.saveSettings(Object.fromEntries(Object.keys(kept).map((name) => [name, undefined])));
  settings.set({ label: '', labels: [], isRapid: false, keepsOff: false, opacity: 0.4, keys: {} });
  settings.set({ everything: EVERYTHING });
  stage.setOptions({ showMasks: true, showPoints: true });
  for (const tab of document.querySelectorAll('button[role=tab]')) if (tab.textContent.trim() === 'Click') tab.click();
}"""


class Screen:
    """The page, open in a browser, with a mouse and a keyboard at hand."""

    def __init__(self, page: Page, url: str) -> None:
        self.page, self.url = page, url
        self.faults: list[str] = []
        self.refusals: list[str] = []
        self.expected: set[int] = set()
        self.asked: list[str] = []
        self._left: set[str] = set()  # images that were open before the last reset
        self._decodes = 0
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        page.on("console", self._listen)
        page.on("response", self._note)
        page.on("request", lambda request: self.asked.append(f"{request.method} {request.url}"))

    def _listen(self, message: Any) -> None:
        if message.type != "error" or any(words in message.text for words in _UNREACHABLE):
            return
        if _REFUSED not in message.text or not _is_call(message.location["url"]):
            self.faults.append(f"console: {message.text} ({message.location['url']})")

    def _note(self, response: Response) -> None:
        status, request = response.status, response.request
        if status < 400 or not _is_call(response.url):
            return
        if status not in _GIVES_WAY or '"stream":' not in (request.post_data or ""):
            self.refusals.append(f"{status} {request.method} {urlsplit(response.url).path}")

    def expect_refusals(self, *statuses: int) -> None:
        """From here on the service may answer so: it fails the test no longer."""
        self.expected |= set(statuses)

    def open(self) -> Screen:
        """Go to the page and wait until it can be used."""
        self.page.goto(self.url)
        self.page.wait_for_function("window.clickmask?.isStarted")
        return self

    def reset(self) -> Screen:
        """As new, without loading it again, which takes seconds: no photos, the first tool, the first settings."""
        self.page.set_viewport_size(SIZE)
        self.page.mouse.move(2, 2)
        self.value(_RESET)
        self.expected = set()
        self._left |= {image for line in self.asked for image in _IMAGE.findall(line)}
        self.faults.clear()
        self.refusals.clear()
        self.asked.clear()
        self._decodes = self.value("clickmask.asked")
        return self

    def take(self, *paths: Path) -> Screen:
        """Open photos as by the file dialog; returns when the first is ready to be clicked."""
        with self.page.expect_file_chooser() as chooser:
            self.page.evaluate("clickmask.run('choose')")
        count = self.value("clickmask.documents.list.length")
        chooser.value.set_files([str(path) for path in paths])
        self.wait(f"clickmask.documents.list.length >= {count + len(paths)}")
        self.wait("clickmask.bench.doc?.state === 'ready'")
        return self

    def value(self, expression: str, argument: Any = None) -> Any:
        """What an expression of the page's script gives."""
        return self.page.evaluate(expression, argument)

    def wait(self, expression: str) -> None:
        """Until it holds."""
        self.page.wait_for_function(expression)

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where an image point is on the screen."""
        left, top = self.value(
            "([x, y]) => { const stage = document.querySelector('.cm-stage'); stage.scrollIntoViewIfNeeded();"
            " const { left, top } = stage.getBoundingClientRect();"
            " const [px, py] = clickmask.view.toScreen(x, y); return [left + px, top + py]; }",
            [x + 0.5, y + 0.5],
        )
        return left, top

    def move(self, x: float, y: float) -> None:
        """The pointer, to an image point."""
        self.page.mouse.move(*self.at(x, y))

    def click(self, x: float, y: float, *keys: str, button: Any = "left") -> None:
        """A click on an image point, with keys held; returns when it is answered."""
        for key in keys:
            self.page.keyboard.down(key)
        self.page.mouse.click(*self.at(x, y), button=button)
        for key in reversed(keys):
            self.page.keyboard.up(key)
        self.settle()

    def drag(self, start: tuple[float, float], *places: tuple[float, float], button: Any = "left") -> None:
        """A drag from an image point through others."""
        self.move(*start)
        self.page.mouse.down(button=button)
        for place in places:
            self.page.mouse.move(*self.at(*place), steps=5)
        self.page.mouse.up(button=button)
        self.settle()

    def press(self, *keys: str) -> None:
        """Keys, one after the other, on the photo."""
        self.value("document.querySelector('.cm-stage').focus()")
        for key in keys:
            self.page.keyboard.press(key)
        self.settle()

    def settle(self) -> None:
        """Until no answer is awaited and all masks are there."""
        self.wait("clickmask.isSettled")

    def current(self) -> np.ndarray | None:
        """The mask of the object in the making, (h, w) bool at the page's resolution; None without one."""
        return _pixels(self.value("clickmask.bench.editor.current && clickmask.bench.shownMask()?.rle"))

    def objects(self) -> list[dict[str, Any]]:
        """The finished objects from the lowest up, with `pixels` (H, W) bool."""
        found = self.value(
            "clickmask.bench.editor.state.objects.map(({ id, label, colour, locked, final }) =>"
            " ({ id, label, colour, locked, rle: final.mask.rle, isReady: final.isReady }))"
        )
        return [{**one, "pixels": _pixels(one["rle"])} for one in found]

    def points(self) -> list[list[float]]:
        """(x, y, label) of the object in the making."""
        return self.value(
            "(clickmask.bench.editor.current?.making.elements ?? []).filter((e) => !e.box)"
            ".map(({ x, y, label }) => [x, y, label])"
        )

    def decodes(self) -> int:
        """How many masks have been asked for, previews left out."""
        return self.value("clickmask.asked") - self._decodes

    def check(self) -> None:
        """No errors came up, no call was refused but as declared, and nobody else was asked."""
        assert not self.faults, self.faults
        assert not (refused := self.unexpected()), refused
        assert not self.foreign(), self.foreign()

    def unexpected(self) -> list[str]:
        """Calls that were refused with a status that `expect_refusals` did not name.

        A question under the pointer may come when its image has just been forgotten, at a reset: it counts no longer.
        """
        late = [line for line in self.refusals if line.startswith("410 ") and {*_IMAGE.findall(line)} & self._left]
        return [line for line in self.refusals if int(line.split()[0]) not in self.expected and line not in late]

    def foreign(self) -> list[str]:
        """Requests to other hosts."""
        own = urlsplit(self.url).netloc
        web = [line for line in self.asked if urlsplit(line.split()[1]).scheme in ("http", "https", "ws", "wss")]
        return [line for line in web if urlsplit(line.split()[1]).netloc != own]


def _is_call(url: str) -> bool:
    """Whether it is one of the HTTP API's."""
    return "/v1/" in urlsplit(url).path


def _pixels(found: Any) -> np.ndarray | None:
    return None if found is None else rle.decode(found)


@contextmanager
def screen(
    browser: Browser, url: str, start: Callable[[Page], object] = lambda page: None, **values: Any
) -> Generator[Screen]:
    """The page in a browser of its own, as for somebody who has never been here; faults fail the test.

    start: called before the page is opened. values: for `Browser.new_context`.
    """
    context = browser.new_context(**{"viewport": SIZE, "accept_downloads": True, **values})
    page = context.new_page()
    start(page)
    shown = Screen(page, url)
    try:
        yield shown.open()
    finally:
        context.close()
    shown.check()


def iou(a: np.ndarray, b: np.ndarray) -> float:
    """Of two masks, (h, w) bool each; the second is brought to the first one's size."""
    if a.shape != b.shape:
        rows = (np.arange(a.shape[0]) + 0.5) * b.shape[0] // a.shape[0]
        columns = (np.arange(a.shape[1]) + 0.5) * b.shape[1] // a.shape[1]
        b = b[rows.astype(int)][:, columns.astype(int)]
    return float((a & b).sum() / max(1, (a | b).sum()))
