"""Wrong hosts and other sites' pages stay outside; listed origins are answered as CORS asks."""

from __future__ import annotations

from typing import Any

import pytest
from calling import WithContext, ask, routes_of
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from clickmask.models.errors import SettingsError
from clickmask.service.http.front_door import FrontDoor
from clickmask.service.http.hosts import HostList, browser_origin, split_host, split_origin
from clickmask.service.http.security_headers import SECURITY_HEADERS, SecurityHeaders
from clickmask.service.http.settings import Access, ServeSettings

LISTED = "https://label.example.com"
ACCESS = Access(public=True, hosts=("masks.example.com", "*.lab.example", "[::1]", "10.0.0.1"), origins=(LISTED,))

HOSTS = {
    "masks.example.com": True,
    "MASKS.example.com:8443": True,
    "a.b.lab.example": True,
    "[0:0::1]:7860": True,
    "10.0.0.1:80": True,
    "lab.example": False,
    "evil-masks.example.com": False,
    "masks.example.com.evil.example": False,
    "evil.example/x?": False,
    "[::1": False,
}
OTHER_ORIGINS = [
    "null",
    "",
    "*",
    "https://evil.example",
    "http://label.example.com",
    "https://label.example.com:444",
    "https://label.example.com.evil.example",
    "https://evil.example/label.example.com",
    "https://label.example.com/",
    "https://LABEL.example.com",
    "https://label.example.com@evil.example",
    "https://x.label.example.com",
    "label.example.com",
    "//label.example.com",
    "file://",
    "https://evil.lab.example:81",
    "chrome-extension://abcdef",
    "https://label.example.com, https://evil.example",
]
OWN = "own"  # stands for the origin of the host that is called
ORIGINS = [LISTED, OWN, *OTHER_ORIGINS]


def door(access: Access = ACCESS, app: ASGIApp | None = None) -> WithContext:
    return WithContext(FrontDoor(app or routes_of(), ServeSettings(access=access)))


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("origin", ORIGINS)
def test_only_known_hosts_and_own_or_listed_origins_pass(host: str, origin: str) -> None:
    sent = f"http://{host.lower()}" if origin == OWN else origin
    app = door()
    for method in ("GET", "POST"):
        answer = ask(app, method=method, headers={"Host": host, "Origin": sent})
        refused = not HOSTS[host] or (method == "POST" and origin not in (LISTED, OWN))
        assert answer.status_code == ((403 if HOSTS[host] else 400) if refused else 200)
        allowed = LISTED if origin == LISTED and HOSTS[host] else None
        assert answer.headers.get("access-control-allow-origin") == allowed
        assert allowed is None or "Origin" in answer.headers["vary"]
        assert app.contexts[-1].notes == ({"code": answer.json()["error"]["code"]} if refused else {})
    assert len(ORIGINS) == 20 and len(HOSTS) == 10


def test_without_the_door_all_of_them_pass() -> None:
    """The negative control of the test above."""
    for host in HOSTS:
        for origin in ORIGINS:
            answer = ask(WithContext(routes_of()), method="POST", headers={"Host": host, "Origin": origin})
            assert answer.status_code == 200


def test_programs_that_are_no_browser_pass() -> None:
    assert ask(door(), method="POST", headers={"Host": "10.0.0.1"}).status_code == 200


@pytest.mark.parametrize(
    ("site", "status"), [("cross-site", 403), ("same-site", 403), ("same-origin", 200), ("none", 200)]
)
def test_without_an_origin_the_browsers_word_counts(site: str, status: int) -> None:
    headers = {"Host": "10.0.0.1", "Sec-Fetch-Site": site}
    assert ask(door(), method="POST", headers=headers).status_code == status
    assert ask(door(), method="GET", headers=headers).status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "BREW"])
def test_every_method_that_could_change_something_is_checked(method: str) -> None:
    headers = {"Host": "10.0.0.1", "Origin": "https://evil.example"}
    assert ask(door(), method=method, headers=headers).status_code == 403


def test_two_origins_are_none() -> None:
    headers = [("Host", "10.0.0.1"), ("Origin", LISTED), ("Origin", LISTED)]
    assert ask(door(), method="POST", headers=headers).status_code == 403


@pytest.mark.parametrize(
    ("scheme", "origin", "status"),
    [
        ("https", "https://10.0.0.1", 200),
        ("https", "http://10.0.0.1", 403),
        ("http", "https://10.0.0.1", 200),  # TLS ended at a proxy that is not listed
        ("http", "http://10.0.0.1:80", 200),
        ("http", "http://10.0.0.1:81", 403),
    ],
)
def test_the_own_origin_has_the_schemes_port(scheme: str, origin: str, status: int) -> None:
    answer = ask(door(), method="POST", headers={"Host": "10.0.0.1", "Origin": origin}, url=f"{scheme}://10.0.0.1")
    assert answer.status_code == status


def preflight(app: Any, origin: str) -> Any:
    headers = {"Host": "10.0.0.1", "Origin": origin, "Access-Control-Request-Method": "POST"}
    asked = {"Access-Control-Request-Headers": "authorization,content-type,x-request-timeout"}
    return ask(app, method="OPTIONS", headers={**headers, **asked, "Access-Control-Request-Private-Network": "true"})


def test_a_listed_origin_may_ask_before_it_calls_and_read_the_answer() -> None:
    answer = preflight(door(), LISTED)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == LISTED
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert "x-request-timeout" in answer.headers["access-control-allow-headers"]
    assert "POST" in answer.headers["access-control-allow-methods"]
    called = ask(door(), method="POST", headers={"Host": "10.0.0.1", "Origin": LISTED})
    assert called.headers["access-control-allow-credentials"] == "true"
    assert called.headers["access-control-expose-headers"] == "X-Request-Id, Retry-After"


@pytest.mark.parametrize("origin", OTHER_ORIGINS)
@pytest.mark.parametrize("access", [ACCESS, Access(public=True)])
def test_another_origin_may_not(origin: str, access: Access) -> None:
    answer = preflight(door(access), origin)
    assert answer.status_code == 403
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_an_error_can_be_read_by_a_listed_page() -> None:
    answer = ask(door(), "/nowhere", headers={"Host": "10.0.0.1", "Origin": LISTED})
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (404, LISTED)


@pytest.mark.parametrize("host", ["localhost:7860", "127.0.0.1", "[::1]:1", "LOCALHOST.", "127.0.0.9"])
def test_on_this_machine_it_answers_to_loopback_alone(host: str) -> None:
    app = WithContext(FrontDoor(routes_of(), ServeSettings(host="127.0.0.9")))
    assert ask(app, headers={"Host": host}).status_code == 200
    assert ask(app, headers={"Host": f"evil.{host}"}).status_code == 400


def test_health_is_told_to_load_balancers_that_call_by_address() -> None:
    app = door()
    for headers in ({"Host": "10.9.9.9:7860"}, {"Host": ""}):
        assert ask(app, "/livez", headers=headers).status_code == 200
        assert ask(app, "/metrics", headers=headers).status_code == 400
        assert ask(app, "/livez", method="POST", headers=headers).status_code == 400


def test_two_hosts_are_none() -> None:
    assert ask(door(), headers=[("Host", "10.0.0.1"), ("Host", "10.0.0.1")]).status_code == 400


def test_any_host_still_has_to_be_one() -> None:
    app = door(Access(public=True))
    assert ask(app, headers={"Host": "whatever.example"}).status_code == 200
    for host in ("evil.example/x?", "a b", "a@b", "a:b", "", "[::g]", "a\\b"):
        assert ask(app, headers={"Host": host}).status_code == 400


@pytest.mark.parametrize("name", ["https://example.com", "example.com:8080", "a*.example", "*.", "", "[::1]:80"])
def test_a_host_that_nothing_could_match_is_refused_at_the_start(name: str) -> None:
    with pytest.raises(SettingsError, match="--allowed-host"):
        HostList([name])


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Example.com", ("example.com", None)),
        ("example.com.:80", ("example.com", 80)),
        ("[0:0:0:0:0:0:0:1]:5", ("[::1]", 5)),
        ("example.com:", None),
        ("example.com:999999", None),
        ("::1", None),
    ],
)
def test_a_host_is_split(text: str, parts: tuple[str, int | None] | None) -> None:
    assert split_host(text) == parts


def test_an_origin_is_split_and_written_as_browsers_do() -> None:
    assert split_origin("https://example.com") == ("https", "example.com", 443)
    assert split_origin("http://[::1]:7860") == ("http", "[::1]", 7860)
    assert split_origin("null") is split_origin("ftp://example.com") is None
    assert browser_origin("HTTPS://Example.com:443") == "https://example.com"
    assert browser_origin("http://example.com:443") == "http://example.com:443"


def test_every_answer_tells_browsers_to_be_careful() -> None:
    app = WithContext(SecurityHeaders(FrontDoor(routes_of(), ServeSettings())))
    for headers in ({"Host": "localhost"}, {"Host": "evil.example"}):
        answer = ask(app, headers=headers)
        assert {name: answer.headers[name] for name in SECURITY_HEADERS} == SECURITY_HEADERS


def test_what_an_answer_says_itself_stays() -> None:
    async def page(scope: Any, receive: Any, send: Any) -> None:
        own = {"Content-Security-Policy": "default-src 'self'", "Cache-Control": "max-age=60"}
        assert Request(scope).url.path
        await Response("page", headers=own)(scope, receive, send)

    answer = ask(SecurityHeaders(page))
    assert answer.headers.get_list("content-security-policy") == ["default-src 'self'"]
    assert answer.headers.get_list("cache-control") == ["max-age=60"]
    assert answer.headers["x-content-type-options"] == "nosniff"
