"""Who calls, in every mode: nobody gets in without credentials, and nobody is taken for another."""

from __future__ import annotations

import asyncio
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from calling import PATHS, WithContext, app_behind, ask, bearer, cookie_of, routes_of

from clickmask.models.errors import SettingsError
from clickmask.service.http.access.callers import Callers, HeaderCallers, LocalCallers, PublicCallers
from clickmask.service.http.access.middleware import AccessMiddleware
from clickmask.service.http.access.sign_in import SignInCallers
from clickmask.service.http.access.tokens import TokenFile
from clickmask.service.http.access.ways import open_callers
from clickmask.service.http.settings import Access

SECRET = b"s" * 32
ANN = "ann-has-a-long-token"
PROXY = "10.0.0.7"
PROXIES = (ip_network(PROXY),)


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    file = tmp_path / "tokens"
    file.touch(mode=0o600)
    file.write_text(f"# people\n\nann:{ANN}\nbob:bob-has-another-token\n")
    return file


@pytest.fixture
def by_token(token_file: Path) -> SignInCallers:
    return SignInCallers(TokenFile(token_file, SECRET), SECRET)


@pytest.fixture(params=["token", "header"])
def guarded(request: pytest.FixtureRequest, token_file: Path) -> tuple[Any, list[dict[str, str]], dict[str, str]]:
    """An app, wrong credentials, right ones."""
    if request.param == "token":
        callers = open_callers(Access(token_file=token_file), SECRET)
        wrong = [{}, bearer("wrong-but-long-enough"), {"Authorization": f"Basic {ANN}"}, {"Authorization": "Bearer"}]
        return app_behind(callers), [*wrong, {"Cookie": "clickmask_session=forged"}], bearer(ANN)
    callers = open_callers(Access(identity_header="X-Remote-User", proxies=PROXIES), SECRET)
    wrong = [{}, {"X-Remote-User": ""}, {"X-Remote-User": "a" * 257}, {"X_Remote_User": "ann"}, {"Remote-User": "ann"}]
    return app_behind(callers, proxies=PROXIES), wrong, {"X-Remote-User": "ann"}


@pytest.mark.parametrize("path", [*PATHS, *(f"{path}/" for path in PATHS), "/nowhere", "/", "/livez%2f", "/livez;v1"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST"])
def test_without_credentials_only_health_and_signing_in_answer(guarded: Any, path: str, method: str) -> None:
    app, wrong, right = guarded
    is_open = path in ("/livez", "/readyz") or ((method, path) == ("POST", "/v1/session") and right == bearer(ANN))
    for headers in wrong:
        answer = ask(app, path, method=method, headers=headers, peer=PROXY, json={"token": ANN})
        assert (answer.status_code == 401) is not is_open, headers
        if not is_open:
            assert answer.headers["www-authenticate"].startswith("Bearer")
            assert method == "HEAD" or answer.json()["error"]["code"] == "unauthenticated"
    assert ask(app, path, method=method, headers=right, peer=PROXY, json={"token": ANN}).status_code != 401


def test_without_the_layer_anybody_gets_in(by_token: SignInCallers) -> None:
    """The negative control of the test above."""
    assert ask(WithContext(routes_of(by_token))).status_code == 200


def test_here_everybody_is_local() -> None:
    assert ask(app_behind(open_callers(Access(), SECRET))).json()["caller"] == "local"


def test_the_token_tells_the_caller(by_token: SignInCallers) -> None:
    app = app_behind(by_token)
    assert ask(app, headers=bearer(ANN)).json()["caller"] == "token:ann"
    assert ask(app, headers={"Authorization": "bearer   bob-has-another-token "}).json()["caller"] == "token:bob"


def test_two_authorization_headers_are_none(by_token: SignInCallers) -> None:
    twice = [("Authorization", f"Bearer {ANN}"), ("Authorization", f"Bearer {ANN}")]
    assert ask(app_behind(by_token), headers=twice).status_code == 401


def test_a_token_becomes_a_cookie_that_signs_in(by_token: SignInCallers) -> None:
    app = app_behind(by_token)
    signed = ask(app, "/v1/session", method="POST", json={"token": ANN})
    assert signed.json()["caller"] == "token:ann"
    attributes = set(signed.headers["set-cookie"].split("; ")[1:])
    assert attributes == {"HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=2592000"}
    assert ANN not in signed.headers["set-cookie"]
    assert ask(app, headers=cookie_of(signed)).json()["caller"] == "token:ann"


def test_over_https_and_under_a_sub_path_the_cookie_goes_nowhere_else(by_token: SignInCallers) -> None:
    app = app_behind(by_token, root_path="/masks")
    answer = ask(app, "/v1/session", method="POST", json={"token": ANN}, url="https://example.com")
    assert {"Secure", "Path=/masks"} <= set(answer.headers["set-cookie"].split("; "))


def test_signing_out_clears_the_cookie_even_of_who_is_not_signed_in(by_token: SignInCallers) -> None:
    answer = ask(app_behind(by_token), "/v1/session", method="DELETE")
    assert answer.status_code == 204
    assert {'clickmask_session=""', "Max-Age=0", "Path=/"} <= set(answer.headers["set-cookie"].split("; "))


@pytest.mark.parametrize("token", ["wrong-but-long-enough", "", " ", "é" * 20, "x" * 20000, "a\nb"])
def test_signing_in_with_a_wrong_token_is_refused(by_token: SignInCallers, token: str) -> None:
    answer = ask(app_behind(by_token), "/v1/session", method="POST", json={"token": token})
    assert answer.status_code == 401 and "set-cookie" not in answer.headers


def test_a_wrong_token_beside_a_good_cookie_is_wrong(by_token: SignInCallers) -> None:
    app = app_behind(by_token)
    cookie = cookie_of(ask(app, "/v1/session", method="POST", json={"token": ANN}))
    assert ask(app, headers={**cookie, **bearer("wrong-but-long-enough")}).status_code == 401
    assert ask(app, headers={**cookie, "Authorization": "Basic meant-for-the-proxy"}).json()["caller"] == "token:ann"


def test_a_tampered_cookie_and_one_of_another_server_are_refused(by_token: SignInCallers, token_file: Path) -> None:
    cookie = cookie_of(ask(app_behind(by_token), "/v1/session", method="POST", json={"token": ANN}))["Cookie"]
    other = SignInCallers(TokenFile(token_file, b"o" * 32), b"o" * 32)
    assert ask(app_behind(other), headers={"Cookie": cookie}).status_code == 401
    name, _, value = cookie.partition("=")
    for place in range(0, len(value), 7):
        letter = "A" if value[place] != "A" else "B"
        tampered = f"{name}={value[:place]}{letter}{value[place + 1 :]}"
        assert ask(app_behind(by_token), headers={"Cookie": tampered}).status_code == 401
    assert ask(app_behind(by_token), headers={"Cookie": cookie}).status_code == 200


def test_a_cookie_made_for_one_purpose_is_worth_nothing_for_another(by_token: SignInCallers) -> None:
    cookie = cookie_of(ask(app_behind(PublicCallers(SECRET))))["Cookie"].partition("=")[2]
    assert ask(app_behind(by_token), headers={"Cookie": f"clickmask_session={cookie}"}).status_code == 401


@pytest.mark.parametrize("callers", [LocalCallers(), HeaderCallers("X-User", PROXIES), PublicCallers(SECRET)])
def test_where_nobody_signs_in_there_is_no_session(callers: Callers) -> None:
    app, headers = app_behind(callers), {"X-User": "ann"}
    answer = ask(app, "/v1/session", method="POST", json={"token": ANN}, headers=headers, peer=PROXY)
    assert answer.status_code == 404 and answer.json()["error"]["code"] == "not_found"


def test_the_listed_proxy_says_who_calls() -> None:
    app = app_behind(HeaderCallers("X-Remote-User", PROXIES), proxies=PROXIES)
    for name in ("ann", "Ann Müller <ann@example.com>"):
        answer = ask(app, headers=[("X-Remote-User", name.encode())], peer=PROXY)
        assert answer.json()["caller"] == f"header:{name}"


@pytest.mark.parametrize("peer", ["10.0.0.8", "127.0.0.1", "::1", "unknown"])
@pytest.mark.parametrize(
    "forged", [{}, {"X-Forwarded-For": PROXY}, {"Forwarded": f"for={PROXY}"}, {"X-Real-IP": PROXY}]
)
def test_the_same_header_from_others_is_forged(peer: str, forged: dict[str, str]) -> None:
    app = app_behind(HeaderCallers("X-Remote-User", PROXIES), proxies=PROXIES)
    assert ask(app, headers={"X-Remote-User": "ann", **forged}, peer=peer).status_code == 401


def test_behind_the_listed_proxy_a_forwarded_address_does_not_shut_out() -> None:
    app = app_behind(HeaderCallers("X-Remote-User", PROXIES), proxies=PROXIES)
    answer = ask(app, headers={"X-Remote-User": "ann", "X-Forwarded-For": "203.0.113.5"}, peer=PROXY)
    assert (answer.json()["caller"], answer.json()["client"]) == ("header:ann", "203.0.113.5")


def test_two_identity_headers_are_none() -> None:
    app = app_behind(HeaderCallers("X-Remote-User", PROXIES), proxies=PROXIES)
    twice = [("X-Remote-User", "ann"), ("x-remote-user", "bob")]
    assert ask(app, headers=twice, peer=PROXY).status_code == 401


def test_in_public_each_browser_is_somebody_and_stays_it() -> None:
    app = app_behind(open_callers(Access(public=True), SECRET))
    ann, bob = ask(app, url="https://example.com"), ask(app)
    assert ann.json()["caller"] != bob.json()["caller"] and ann.json()["caller"].startswith("browser:")
    attributes = set(ann.headers["set-cookie"].split("; ")[1:])
    assert attributes == {"HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=31536000", "Secure"}
    again = ask(app, headers=cookie_of(ann))
    assert again.json()["caller"] == ann.json()["caller"] and "set-cookie" not in again.headers


def test_in_public_nobody_chooses_who_they_are() -> None:
    app = app_behind(PublicCallers(SECRET))
    known = ask(app).json()["caller"].removeprefix("browser:")
    for forged in (known, f"{known}.x.y", cookie_of(ask(app_behind(PublicCallers(b"o" * 32))))["Cookie"][18:]):
        answer = ask(app, headers={"Cookie": f"clickmask_browser={forged}"})
        assert answer.json()["caller"].removeprefix("browser:") not in (known, forged)


def test_a_refusal_is_told_to_the_log(by_token: SignInCallers) -> None:
    app = WithContext(AccessMiddleware(routes_of(by_token), by_token))
    ask(app)
    ask(app, headers=bearer(ANN))
    assert [context.notes for context in app.contexts] == [{"code": "unauthenticated"}, {}]
    assert [context.caller for context in app.contexts] == [None, "token:ann"]


def test_a_websocket_is_turned_away() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    layer = AccessMiddleware(routes_of(), LocalCallers())
    asyncio.run(layer({"type": "websocket", "path": "/livez", "headers": []}, receive, send))
    assert sent == [{"type": "websocket.close", "code": 1008}]


def test_settings_that_lack_their_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="--token-file .*/missing: cannot be read"):
        open_callers(Access(token_file=tmp_path / "missing"), SECRET)
