"""Signing in with a token: the way in, what is said when it is wrong, and the way out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from page_server import serving
from playwright.sync_api import Browser, Page, expect

ANN = "ann-has-a-long-token"
ROOT = "/photos"


@pytest.fixture(scope="module")
def guarded_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The page below a sub-path, for those who have a token."""
    folder = tmp_path_factory.mktemp("guarded")
    tokens = folder / "tokens"
    tokens.touch(mode=0o600)
    tokens.write_text(f"ann:{ANN}\n")
    with serving(folder, ["--token-file", str(tokens), "--root-path", ROOT]) as served:
        yield served.url


@pytest.fixture(params=["light", "dark"])
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A browser of its own."""
    context = browser.new_context(color_scheme=request.param)
    yield context.new_page()
    context.close()


def _sign_in(page: Page, token: str) -> None:
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Sign in").click()


def test_the_page_opens_to_who_has_a_token(page: Page, guarded_url: str) -> None:
    shown = page.goto(f"{guarded_url}/")
    assert shown is not None and shown.status == 401
    expect(page.get_by_label("Token")).to_be_focused()
    _sign_in(page, "wrong-but-long-enough")
    expect(page.get_by_role("alert")).to_have_text("That token is not, or no longer, valid here.")
    expect(page.get_by_label("Token")).to_have_attribute("aria-invalid", "true")
    _sign_in(page, f"  {ANN} ")
    page.wait_for_url(f"{guarded_url}/ui/")
    expect(page.get_by_text("Drop a photo here")).to_be_visible()
    page.wait_for_function("window.clickmask?.isStarted")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Token")).to_be_visible()


def test_a_server_that_is_gone_is_told(page: Page, guarded_url: str) -> None:
    page.goto(f"{guarded_url}/docs")
    page.route("**/v1/session", lambda route: route.abort())
    _sign_in(page, ANN)
    expect(page.get_by_role("alert")).to_have_text("The server does not answer: try again.")
    expect(page.get_by_role("button", name="Sign in")).to_be_enabled()


def test_a_browser_without_cookies_is_not_led_in_a_circle(page: Page, guarded_url: str) -> None:
    page.goto(f"{guarded_url}/docs")
    page.route("**/v1/session", lambda route: route.fulfill(json={"caller": "token:ann"}))
    _sign_in(page, ANN)
    expect(page.get_by_role("alert")).to_contain_text("allow cookies")


def test_nothing_about_it_stands_in_anybodys_way(browser: Browser, guarded_url: str, tmp_path: Path) -> None:
    for scheme in ("light", "dark"):
        context = browser.new_context(color_scheme=scheme, viewport={"width": 390, "height": 700}, bypass_csp=True)
        page = context.new_page()
        page.goto(f"{guarded_url}/docs")
        _sign_in(page, "wrong-but-long-enough")
        expect(page.get_by_role("alert")).not_to_be_empty()
        found = Axe().run(page)
        assert not found.response["violations"], json.dumps(found.response["violations"], indent=1)
        context.close()
