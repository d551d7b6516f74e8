"""A real Chromium, and pages for it: Debian's browser, driven by Playwright. Without one they fail."""

from __future__ import annotations

import contextlib
import functools
import http.server
import shutil
import sys
import threading
from collections.abc import Generator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from clickmask import Segmenter

HERE = Path(__file__).resolve().parent
if str(HERE) not in sys.path:
    sys.path.insert(0, str(HERE))

from page_server import serving  # noqa: E402
from screen import Screen, screen  # noqa: E402

STATIC = Path(__file__).resolve().parents[2] / "ui" / "static"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="session")
def browser() -> Generator[Browser]:
    """One browser for all tests."""
    paths = [path for name in NAMES if (path := shutil.which(name))]
    assert paths, "no Chromium on the PATH: tests/browser/get_chromium.sh installs Debian's"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=paths[0], args=["--no-sandbox"])
        yield browser
        browser.close()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    extensions_map = http.server.SimpleHTTPRequestHandler.extensions_map | {".js": "text/javascript"}

    def do_GET(self) -> None:
        """An empty page at /, the modules below it."""
        if self.path != "/":
            return super().do_GET()
        body = b"<!doctype html><html lang=en><title>modules</title><body></body></html>"
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture(scope="session")
def modules_url() -> Generator[str]:
    """An address with an empty page, beside which the page's modules can be imported (`import('./rle.js')`)."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(STATIC)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    server.server_close()


@pytest.fixture
def modules(browser: Browser, modules_url: str) -> Generator[Page]:
    """An empty page that can import the page's modules; what goes wrong in it fails the test."""
    with _empty_page(browser, modules_url) as page:
        yield page


@pytest.fixture(scope="module")
def functions(browser: Browser, modules_url: str) -> Generator[Page]:
    """One such page for all tests of a file, which leave nothing behind in it: a page of its own takes each 0.3 s."""
    with _empty_page(browser, modules_url) as page:
        yield page


@contextlib.contextmanager
def _empty_page(browser: Browser, url: str) -> Generator[Page]:
    page = browser.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(url)
    yield page
    page.close()
    assert not faults, faults


@pytest.fixture(scope="session")
def page_url(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """The page's address: `clickmask ui` in a process of its own, with the embedded weights."""
    with serving(tmp_path_factory.mktemp("served")) as served:
        yield served.url


@pytest.fixture(scope="session")
def table(browser: Browser, page_url: str) -> Generator[Screen]:
    """One page for many tests: it takes seconds to load."""
    with screen(browser, page_url) as shown:
        yield shown


@pytest.fixture
def desk(table: Screen) -> Generator[Screen]:
    """The page with no photo yet, as new; faults fail the test."""
    yield table.reset()
    table.check()


@pytest.fixture(scope="session")
def segmenter() -> Segmenter:
    """The same model in Python, as an oracle."""
    return Segmenter()
