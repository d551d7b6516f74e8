"""What proxies say about a request: believed from those listed, and under a sub-path however they pass it on."""

from __future__ import annotations

import asyncio
import json
from ipaddress import ip_network
from typing import Any

import httpx
import pytest
from calling import app_behind, ask
from serving import serve

from clickmask.models.errors import SettingsError
from clickmask.service.http.access.callers import LocalCallers
from clickmask.service.http.access.proxies import ProxyMiddleware, direct_peer, parse_address
from clickmask.service.http.settings import ServeSettings, parse_networks

PROXIES = parse_networks(["10.0.0.7", "10.1.0.0/16", "2001:db8::/32"])
FORWARDED = {"X-Forwarded-For": "203.0.113.5", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "masks.example"}


def seen(peer: str, headers: Any) -> tuple[str, str, str]:
    """Client, scheme and host as the app sees them."""
    answer = ask(app_behind(LocalCallers(), proxies=PROXIES), headers=headers, peer=peer).json()
    return answer["client"], answer["scheme"], answer["host"]


@pytest.mark.parametrize("peer", ["10.0.0.7", "10.1.200.3", "2001:db8::1", "::ffff:10.0.0.7"])
def test_a_listed_proxy_is_believed(peer: str) -> None:
    assert seen(peer, FORWARDED) == ("203.0.113.5", "https", "masks.example")


@pytest.mark.parametrize("peer", ["10.0.0.8", "10.2.0.1", "127.0.0.1", "::1", "2001:db9::1", "nonsense"])
def test_anybody_else_is_not(peer: str) -> None:
    assert seen(peer, {**FORWARDED, "Forwarded": "for=203.0.113.5;proto=https"}) == (peer, "http", "127.0.0.1:7860")


@pytest.mark.parametrize(
    ("chain", "client"),
    [
        ("6.6.6.6, 203.0.113.5", "203.0.113.5"),  # the left one was made up by the client
        ("6.6.6.6, 203.0.113.5, 10.1.2.3", "203.0.113.5"),  # two listed proxies in a row
        ("10.1.2.3, 10.1.2.4", "10.1.2.3"),  # listed ones only: the farthest
        ("6.6.6.6, unknown, 10.1.2.3", "10.1.2.3"),  # nothing is read beyond what is no address
        ("garbage", "10.0.0.7"),
        ("", "10.0.0.7"),
        ("203.0.113.5:4711", "203.0.113.5"),
        ("[2001:db9::5]:4711", "2001:db9::5"),
        ("::ffff:203.0.113.5", "203.0.113.5"),
    ],
)
def test_the_client_is_the_nearest_address_that_is_no_listed_proxy(chain: str, client: str) -> None:
    assert seen("10.0.0.7", {"X-Forwarded-For": chain})[0] == client


def test_a_chain_in_several_headers_is_one_chain() -> None:
    assert seen("10.0.0.7", [("X-Forwarded-For", "203.0.113.5"), ("X-Forwarded-For", "10.1.0.1")])[0] == "203.0.113.5"


@pytest.mark.parametrize(("scheme", "taken"), [("https", "https"), ("http, https", "https"), ("javascript", "http")])
def test_the_scheme_is_http_or_https(scheme: str, taken: str) -> None:
    assert seen("10.0.0.7", {"X-Forwarded-Proto": scheme})[1] == taken


@pytest.mark.parametrize(
    ("text", "address"),
    [("10.0.0.7", "10.0.0.7"), ("::1", "::1"), ("[::1]", "::1"), ("1.2.3.4:5", "1.2.3.4"), ("1.2.3", None), ("", None)],
)
def test_addresses_are_read_with_and_without_port(text: str, address: str | None) -> None:
    assert parse_address(text) == (None if address is None else ip_network(address).network_address)


def test_the_direct_peer_stays_known_and_without_a_client_it_is_nobody() -> None:
    assert direct_peer({"client": ("10.0.0.7", 1)}) == "10.0.0.7"
    assert direct_peer({"client": None}) == direct_peer({}) == ""


@pytest.mark.parametrize("sent", ["/masks/v1/me", "/v1/me"], ids=["proxy keeps", "proxy strips"])
@pytest.mark.parametrize("path", ["/v1/me", "/livez", "/v1/%6De"])
def test_under_a_sub_path_a_proxy_may_strip_it_or_keep_it(sent: str, path: str) -> None:
    prefix = sent.removesuffix("/v1/me")
    app = app_behind(LocalCallers(), root_path="/masks")
    with serve(app) as url:
        answer = httpx.get(url + prefix + path)
    assert answer.status_code == 200
    assert answer.json()["caller"] == (None if path == "/livez" else "local")


@pytest.mark.parametrize(("added", "path"), [("", "/masks/v1"), ("", "/v1"), ("/masks", "/masks/v1")])
def test_the_scope_names_the_sub_path_as_asgi_wants(added: str, path: str) -> None:
    scopes: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope)

    scope = {"type": "http", "path": path, "raw_path": path.encode(), "root_path": added, "headers": [], "client": None}
    asyncio.run(ProxyMiddleware(app, (), "/masks")(scope, None, None))  # pyright: ignore[reportArgumentType]
    assert [scopes[0][name] for name in ("path", "raw_path", "root_path")] == ["/masks/v1", b"/masks/v1", "/masks"]


def test_a_path_that_only_begins_alike_is_not_below_the_sub_path() -> None:
    assert ask(app_behind(LocalCallers(), root_path="/v"), "/v1/me").status_code == 200


@pytest.mark.parametrize("root", ["/v1", "/ui/x", "/docs"])
def test_a_sub_path_that_could_be_a_page_of_ours_is_refused(root: str) -> None:
    with pytest.raises(SettingsError, match="--root-path"):
        ServeSettings(root_path=root)


def test_the_lifespan_passes_untouched() -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(json.dumps(scope))

    asyncio.run(ProxyMiddleware(app, PROXIES, "/masks")({"type": "lifespan"}, None, None))  # pyright: ignore
    assert seen == ['{"type": "lifespan"}']
