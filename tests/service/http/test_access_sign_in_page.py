"""What a browser is shown that is nobody yet."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from calling import WithContext, app_behind, ask, bearer, routes_of

from clickmask.service.http.access.callers import LocalCallers, PublicCallers
from clickmask.service.http.access.middleware import AccessMiddleware
from clickmask.service.http.access.proxies import ProxyMiddleware
from clickmask.service.http.access.sign_in import SignInCallers
from clickmask.service.http.access.sign_in_page import render_sign_in
from clickmask.service.http.access.tokens import TokenFile

SECRET = b"s" * 32
ANN = "ann-has-a-long-token"
BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


@pytest.fixture
def callers(tmp_path: Path) -> SignInCallers:
    file = tmp_path / "tokens"
    file.touch(mode=0o600)
    file.write_text(f"ann:{ANN}\n")
    return SignInCallers(TokenFile(file, SECRET), SECRET)


def _app(callers: Any, root_path: str = "") -> Any:
    layer = AccessMiddleware(routes_of(), callers, pages=["/docs"])
    return ProxyMiddleware(WithContext(layer), (), root_path)


def _is_page(answer: httpx.Response) -> bool:
    return answer.headers["content-type"].startswith("text/html")


def test_a_browser_that_is_nobody_is_shown_where_to_sign_in(callers: SignInCallers) -> None:
    answer = ask(_app(callers), "/docs", headers=BROWSER)
    assert answer.status_code == 401 and _is_page(answer) and 'type="password"' in answer.text
    assert answer.headers["www-authenticate"].startswith("Bearer") and "Cookie" in answer.headers["vary"]
    head = ask(_app(callers), "/docs", headers=BROWSER, method="HEAD")
    assert head.status_code == 401 and not head.content


@pytest.mark.parametrize(
    ("path", "method", "headers"),
    [("/docs", "GET", {}), ("/docs", "POST", BROWSER), ("/v1/me", "GET", BROWSER), ("/docs/", "GET", BROWSER)],
)
def test_programs_and_other_paths_get_the_error_alone(
    callers: SignInCallers, path: str, method: str, headers: dict[str, str]
) -> None:
    answer = ask(_app(callers), path, method=method, headers=headers)
    assert answer.status_code == 401 and answer.json()["error"]["code"] == "unauthenticated"


def test_who_is_known_or_need_not_be_known_gets_the_page_itself(callers: SignInCallers) -> None:
    assert ask(_app(callers), "/docs", headers={**BROWSER, **bearer(ANN)}).status_code == 200
    for open_house in (LocalCallers(), PublicCallers(SECRET)):
        assert ask(_app(open_house), "/docs", headers=BROWSER).status_code == 200


def test_without_pages_there_is_no_sign_in_page(callers: SignInCallers) -> None:
    assert not _is_page(ask(app_behind(callers), "/docs", headers=BROWSER))


def test_below_a_sub_path_it_signs_in_there(callers: SignInCallers) -> None:
    for path in ("/docs", "/sub/docs"):
        assert 'action="/sub/v1/session"' in ask(_app(callers, "/sub"), path, headers=BROWSER).text


def test_its_policy_lets_its_own_style_and_script_run_and_nothing_else() -> None:
    page, policy = render_sign_in("", "a <hint> & more")
    for tag, kind in (("style", "style-src"), ("script", "script-src")):
        (text,) = re.findall(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind} 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert "a &lt;hint&gt; &amp; more" in page and not re.search(r"(src|href|action)=\"(https?:)?//", page)
