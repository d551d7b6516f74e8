"""The company login: tokens that its server signed for us get in, and nothing else does."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
import pytest
from calling import app_behind, ask, bearer, cookie_of
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from clickmask.models.errors import SettingsError
from clickmask.service.http.access.ways import open_callers
from clickmask.service.http.settings import Access

SECRET = b"s" * 32
ISSUER, AUDIENCE = "https://login.example.com", "clickmask"
RSA_KEY = rsa.generate_private_key(65537, 2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
ED_KEY = ed25519.Ed25519PrivateKey.generate()
STRANGER = rsa.generate_private_key(65537, 2048)
KEYS = {
    "keys": [
        {**RSAAlgorithm.to_jwk(RSA_KEY.public_key(), as_dict=True), "kid": "rsa", "use": "sig"},
        {**ECAlgorithm.to_jwk(EC_KEY.public_key(), as_dict=True), "kid": "ec"},
        {**OKPAlgorithm.to_jwk(ED_KEY.public_key(), as_dict=True), "kid": "ed"},
        {**RSAAlgorithm.to_jwk(STRANGER.public_key(), as_dict=True), "kid": "enc", "use": "enc"},
    ]
}


def token(key: Any = RSA_KEY, kid: str | None = "rsa", algorithm: str = "RS256", **claims: Any) -> str:
    """A good token, but for what is said. A claim that is None is left out."""
    now = int(time.time())
    good = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "iat": now, "exp": now + 600}
    said = {name: value for name, value in {**good, **claims}.items() if value is not None}
    return jwt.encode(said, key, algorithm, headers={} if kid is None else {"kid": kid})


def by_hand(header: dict[str, Any], secret: bytes | None) -> str:
    """A token as a forger makes it: any header, HMAC or no signature at all."""
    claims = jwt.decode(token(), options={"verify_signature": False})
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, claims)]
    body = b".".join(parts)
    signature = b"" if secret is None else hmac.new(secret, body, hashlib.sha256).digest()
    return (body + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


def access(jwks: str | None, issuer: str = ISSUER) -> Access:
    return Access(oidc_issuer=issuer, oidc_audience=AUDIENCE, oidc_jwks=jwks)


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    file = tmp_path / "keys.json"
    file.write_text(json.dumps(KEYS))
    return file


@pytest.fixture
def app(key_file: Path) -> Any:
    return app_behind(open_callers(access(str(key_file)), SECRET))


@pytest.mark.parametrize(
    "good",
    [
        lambda: token(),
        lambda: token(algorithm="PS256"),
        lambda: token(EC_KEY, "ec", "ES256"),
        lambda: token(ED_KEY, "ed", "EdDSA"),
        lambda: token(aud=["other", AUDIENCE]),
        lambda: token(exp=int(time.time()) - 30),  # clocks may differ by a minute
        lambda: token(iat=int(time.time()) + 30, nbf=int(time.time()) + 30),
    ],
)
def test_a_token_of_the_company_tells_the_caller(app: Any, good: Callable[[], str]) -> None:
    assert ask(app, headers=bearer(good())).json()["caller"] == "oidc:ann"


PUBLIC_PEM = RSA_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
BAD: dict[str, Callable[[], str]] = {  # made when needed: they tell the time
    "signed by a stranger": lambda: token(STRANGER),
    "signed with a key for encryption": lambda: token(STRANGER, "enc"),
    "a key nobody knows": lambda: token(STRANGER, "stranger"),
    "no key named": lambda: token(kid=None),
    "another key's name": lambda: token(kid="ec"),
    "another issuer": lambda: token(iss="https://evil.example.com"),
    "an issuer that begins alike": lambda: token(iss=ISSUER + "/x"),
    "no issuer": lambda: token(iss=None),
    "another audience": lambda: token(aud="another-service"),
    "no audience": lambda: token(aud=None),
    "expired": lambda: token(exp=int(time.time()) - 90),
    "never ends": lambda: token(exp=None),
    "not valid yet": lambda: token(nbf=int(time.time()) + 90),
    "made in the future": lambda: token(iat=int(time.time()) + 90),
    "nobody": lambda: token(sub=None),
    "an empty name": lambda: token(sub=""),
    "a long name": lambda: token(sub="a" * 257),
    "a name with a line break": lambda: token(sub="ann\nbob"),
    "alg none": lambda: by_hand({"alg": "none", "typ": "JWT", "kid": "rsa"}, None),
    "alg None": lambda: by_hand({"alg": "NoNe", "kid": "rsa"}, None),
    "no alg": lambda: by_hand({"kid": "rsa"}, None),
    "HS256 with the public key": lambda: by_hand({"alg": "HS256", "kid": "rsa"}, PUBLIC_PEM),
    "RS256 in name, HMAC in truth": lambda: by_hand({"alg": "RS256", "kid": "rsa"}, PUBLIC_PEM),
    "cut off": lambda: token()[:-8],
    "no token": lambda: "not.a.token",
    "nonsense": lambda: "....",
}


@pytest.mark.parametrize("name", BAD)
def test_any_other_token_is_refused(app: Any, name: str) -> None:
    bad = BAD[name]()
    for answer in (
        ask(app, headers=bearer(bad)),
        ask(app, "/v1/session", method="POST", json={"token": bad}),
    ):
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthenticated")
        assert "set-cookie" not in answer.headers


def test_without_credentials_nobody_gets_in(app: Any) -> None:
    assert ask(app).status_code == 401


def test_the_cookie_lasts_as_long_as_the_token(app: Any) -> None:
    signed = ask(app, "/v1/session", method="POST", json={"token": token()})
    assert signed.json()["caller"] == "oidc:ann"
    age = next(part for part in signed.headers["set-cookie"].split("; ") if part.startswith("Max-Age="))
    assert 590 <= int(age.removeprefix("Max-Age=")) <= 600
    assert ask(app, headers=cookie_of(signed)).json()["caller"] == "oidc:ann"
    # In its last minute a token is good only for the clocks' difference: its cookie ends at once.
    ended = ask(app, "/v1/session", method="POST", json={"token": token(exp=int(time.time()) - 30)})
    assert "Max-Age=0" in ended.headers["set-cookie"]
    assert ask(app, headers=cookie_of(ended)).status_code == 401


def test_a_cookie_of_another_issuer_or_mode_is_refused(app: Any, key_file: Path, tmp_path: Path) -> None:
    cookie = cookie_of(ask(app, "/v1/session", method="POST", json={"token": token()}))
    other = open_callers(access(str(key_file), "https://other.example.com"), SECRET)
    tokens = tmp_path / "tokens"
    tokens.touch(mode=0o600)
    tokens.write_text("ann:ann-has-a-long-token")
    by_token = app_behind(open_callers(Access(token_file=tokens), SECRET))
    assert ask(app_behind(other), headers=cookie).status_code == 401
    assert ask(by_token, headers=cookie).status_code == 401
    cookie = cookie_of(ask(by_token, "/v1/session", method="POST", json={"token": "ann-has-a-long-token"}))
    assert ask(app, headers=cookie).status_code == 401


def test_where_the_company_has_one_key_it_need_not_be_named(tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text(json.dumps({"keys": [RSAAlgorithm.to_jwk(RSA_KEY.public_key(), as_dict=True)]}))
    app = app_behind(open_callers(access(str(tmp_path / "keys.json")), SECRET))
    assert ask(app, headers=bearer(token(kid=None))).status_code == 200


class Company:
    """A login's web server on loopback: its documents, and how often each was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.documents: dict[str, Any] = {"/keys": KEYS}
        self.status = 200
        company = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                company.asked.append(self.path)
                self.send_response(company.status)
                self.send_header("Location", "/keys")
                self.end_headers()
                self.wfile.write(json.dumps(company.documents.get(self.path)).encode())

            def log_message(self, format: str, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def company() -> Iterator[Company]:
    company = Company()
    thread = threading.Thread(target=company.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield company
    company.server.shutdown()
    thread.join()
    company.server.server_close()


def test_keys_are_discovered_once_and_kept(company: Company) -> None:
    company.documents["/.well-known/openid-configuration"] = {"issuer": company.url, "jwks_uri": company.url + "/keys"}
    app = app_behind(open_callers(access(None, company.url), SECRET))
    for _ in range(3):
        assert ask(app, headers=bearer(token(iss=company.url))).json()["caller"] == "oidc:ann"
    assert company.asked == ["/.well-known/openid-configuration", "/keys"]


@pytest.mark.parametrize(
    "document",
    [{"issuer": "https://evil.example.com"}, {"jwks_uri": "http://203.0.113.5/keys"}, {"jwks_uri": "file:///x"}],
)
def test_a_configuration_of_another_issuer_or_without_https_is_not_followed(company: Company, document: Any) -> None:
    good = {"issuer": company.url, "jwks_uri": company.url + "/keys"}
    company.documents["/.well-known/openid-configuration"] = {**good, **document}
    app = app_behind(open_callers(access(None, company.url), SECRET))
    assert ask(app, headers=bearer(token(iss=company.url))).status_code == 503
    assert company.asked == ["/.well-known/openid-configuration"]


def test_tokens_with_made_up_keys_do_not_make_us_ask_again_and_again(company: Company) -> None:
    app = app_behind(open_callers(access(company.url + "/keys"), SECRET))
    for number in range(20):
        assert ask(app, headers=bearer(token(STRANGER, f"made-up-{number}"))).status_code == 401
    assert company.asked == ["/keys"]


@pytest.mark.parametrize("status", [302, 404, 500])
def test_while_no_keys_can_be_had_the_answer_is_503(company: Company, status: int) -> None:
    company.status = status
    app = app_behind(open_callers(access(company.url + "/keys"), SECRET))
    answer = ask(app, headers=bearer(token()))
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "login_unavailable")
    assert answer.headers["retry-after"] == "5" and "www-authenticate" not in answer.headers
    assert company.asked == ["/keys"]  # a redirect is not followed


@pytest.mark.parametrize(
    ("issuer", "jwks"),
    [
        ("http://login.example.com", None),
        ("login.example.com", None),
        (ISSUER, "http://login.example.com/keys"),
        (ISSUER, "file:///keys.json"),
        (ISSUER, "/nowhere/keys.json"),
    ],
)
def test_addresses_without_https_and_missing_files_are_refused_at_the_start(issuer: str, jwks: str | None) -> None:
    with pytest.raises(SettingsError, match="--oidc-"):
        open_callers(access(jwks, issuer), SECRET)
