"""Every route of the page's app and every one of Gradio's: who gets in, and what there is to get at."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import httpx
import pytest
from app_under_test import Running, error_of, running
from calling import bearer
from gradio_protocol import API
from serving import wait_until

from clickmask import Segmenter
from clickmask.service.http.settings import Access
from clickmask.ui.mount import create_page_app

ANN = "ann-has-a-long-token"
OPEN = {"/livez", "/readyz"}
BROWSER = {"Accept": "text/html,*/*;q=0.8"}
SAMPLES = {"path": "x", "path_or_url": "x", "session_hash": "s", "api_name": "segment", "id": "img_x", "page": "x"}
# What of /ui answers anybody at all, once inside.
PAGE = {"/ui/", "/ui/config", "/ui/theme.css", f"{API}/info"}
CALLS = {f"{API}/upload", f"{API}/upload_progress", f"{API}/queue/join", f"{API}/queue/data", f"{API}/file=x"}


@dataclass(frozen=True)
class House:
    """The page's app in a mode, who is known there, and what gets nobody in."""

    mode: str
    service: Running
    right: Mapping[str, str]
    wrong: tuple[Mapping[str, str], ...]


@pytest.fixture(scope="module", params=["token", "header"])
def house(
    request: pytest.FixtureRequest, segmenter: Segmenter, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("state")
    if request.param == "token":
        file = folder / "tokens"
        file.touch(mode=0o600)
        file.write_text(f"ann:{ANN}\n")
        access, right = Access(token_file=file), bearer(ANN)
        wrong = (bearer("wrong-but-long-enough"), {"Cookie": "clickmask_session=WyJ0b2tlbjphbm4iLCIiLG51bGxd.a.b"})
    else:
        access = Access(identity_header="X-Forwarded-User", proxies=(ip_network("127.0.0.1"),))
        right, wrong = {"X-Forwarded-User": "ann"}, ({"X-Forwarded-User": ""}, {"Remote-User": "ann"})
    project = tmp_path_factory.mktemp("project")
    with running(segmenter, folder, access=access, project=project, make=create_page_app) as service:
        yield House(request.param, service, right, wrong)


def _routes(routes: Any, below: str = "") -> Iterator[tuple[str, str]]:
    """Method and path of each route, Gradio's own behind the doorway too, with something for each parameter."""
    for route in routes:
        inner = getattr(route, "original_router", None)
        if inner is not None:
            yield from _routes(inner.routes, below)
        elif hasattr(route, "methods"):
            path = re.sub(r"\{(\w+)(:path)?\}", lambda found: SAMPLES.get(found[1], "x"), route.path)
            yield from ((method, below + path) for method in sorted(route.methods))
        elif hasattr(route.app, "gradio"):
            yield from _routes(route.app.gradio.routes, below + route.path)
        else:
            yield "GET", f"{below}{route.path}/main.js"


def _matrix(house: House) -> list[tuple[str, str]]:
    routes = list(_routes(house.service.app.routes))
    assert {("GET", "/page/main.js"), ("POST", f"{API}/component_server"), ("GET", "/ui/monitoring/x")} <= set(routes)
    twins = [(method, path.rstrip("/") if path.endswith("/") else path + "/") for method, path in routes]
    return sorted({*routes, *((method, path or "/") for method, path in twins), ("GET", "/ui"), ("GET", "/ui/x")})


def test_without_credentials_nothing_but_health_and_signing_in_answers(house: House) -> None:
    matrix = _matrix(house)
    assert len(matrix) > 150
    with httpx.Client(base_url=house.service.url) as client:
        for method, path in matrix:
            is_open = path in OPEN or (path == "/v1/session" and house.mode == "token" and method in ("POST", "DELETE"))
            for headers in ({}, *house.wrong, BROWSER):
                answer = client.request(method, path, headers=headers)
                assert (answer.status_code == 401) is not is_open, (method, path, headers, answer.status_code)


def test_with_credentials_gradio_answers_what_the_page_needs_and_nothing_else(house: House) -> None:
    with httpx.Client(base_url=house.service.url, headers=house.right) as client:
        for method, path in _matrix(house):
            if path.startswith(("/v1", "/metrics")):
                continue
            answer = client.request(method, path)
            assert answer.status_code not in (401, 403) and answer.status_code < 500, (method, path, answer.text)
            if path.startswith("/ui/") and path not in CALLS and path.rstrip("/") not in CALLS:
                wanted = path in PAGE and method in ("GET", "HEAD")
                found = answer.status_code in (200, 405)  # Gradio has no HEAD for all of them
                assert found is wanted, (method, path, answer.status_code, answer.text)
                if not found and not path.startswith(("/ui/static/", "/ui/assets/")):
                    error_of(answer, 404, "not_found") if method != "HEAD" else None


@pytest.mark.parametrize("path", ["/", "/ui", "/ui/", "/docs"])
def test_a_browser_that_is_nobody_is_shown_where_to_sign_in_if_one_can(house: House, path: str) -> None:
    answer = httpx.get(house.service.url + path, headers=BROWSER)
    assert answer.status_code == 401 and ('type="password"' in answer.text) is (house.mode == "token")
    if house.mode == "token":
        assert "unsafe" not in answer.headers["content-security-policy"]
        with house.service.client() as browser:
            assert browser.post("/v1/session", json={"token": ANN}).status_code == 200
            shown = browser.get(path, headers=BROWSER, follow_redirects=True)
            assert shown.status_code == 200 and 'type="password"' not in shown.text
            assert browser.get("/page/main.js").status_code == 200
            assert browser.delete("/v1/session").status_code == 204
            assert browser.get("/page/main.js").status_code == 401


@pytest.mark.parametrize("access", [Access(), Access(public=True)])
def test_where_nobody_signs_in_the_page_is_there_at_once(segmenter: Segmenter, tmp_path: Path, access: Access) -> None:
    with running(segmenter, tmp_path, access=access, make=create_page_app) as service, service.client() as browser:
        for path in ("/", "/ui", "/ui/"):
            shown = browser.get(path, headers=BROWSER, follow_redirects=True)
            assert shown.status_code == 200 and shown.url.path == "/ui/" and "gradio_config" in shown.text


def test_the_figures_know_the_page_by_its_parts(client: httpx.Client) -> None:
    for path in ("/ui/", "/page/main.js"):
        assert client.get(path).status_code == 200
    known = ('route="/ui/"', 'route="/page/"')  # they are counted after their answers
    wait_until(lambda: all(part in figures for figures in [client.get("/metrics").text] for part in known))


def test_what_gradio_tells_does_not_depend_on_who_asked_first(client: httpx.Client) -> None:
    evil = {"X-Forwarded-Host": "evil.example.com", "X-Gradio-Server": "http://evil.example.com"}
    for path in ("/ui/", "/ui/config", f"{API}/info"):
        first = client.get(f"{path}?deep_link=x&all_endpoints=1", headers={**evil, "Origin": "http://evil.example.com"})
        assert first.status_code == 200 and "evil" not in first.text
        assert not [name for name in first.headers if name.startswith("access-control")]
        assert client.get(path).text == first.text
