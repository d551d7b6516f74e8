"""Every route in every mode: who gets in, and what of whose. The list of routes is the app's own."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import httpx
import jwt
import numpy as np
import pytest
from app_under_test import Running, error_of, marked, running, upload
from calling import ask, bearer
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm
from serving import connect, head

from clickmask import Segmenter
from clickmask.service.http.app import create_app
from clickmask.service.http.settings import Access, Limits, ServeSettings, Storage

QUEUE = 4
PROXIES = (ip_network("127.0.0.1"),)
ISSUER, KEY = "https://login.example.com", ec.generate_private_key(ec.SECP256R1())
TOKENS = {"ann": "ann-has-a-long-token", "bob": "bob-has-another-token"}
A, BOX = {"points": [[600, 20]]}, {"box": [300, 0, 1000, 64]}
FORGED = {
    "X-Forwarded-User": "ann",
    "X-Remote-User": "ann",
    "Remote-User": "ann",
    "X-Forwarded-For": "10.0.0.1",
    "Forwarded": "for=10.0.0.1;by=127.0.0.1",
    "X-Caller": "token:ann",
    "Cookie": "clickmask_session=WyJ0b2tlbjphbm4iLCIiLG51bGxd.aaaa.bbbb; clickmask_browser=ImFubiI.aaaa.bbbb",
}


@dataclass(frozen=True)
class House:
    """A service in one of the modes, who is known there, and what gets nobody in."""

    mode: str
    service: Running
    ann: Mapping[str, str]
    bob: Mapping[str, str]
    wrong: tuple[Mapping[str, str], ...]

    @property
    def guarded(self) -> bool:
        """Whether it takes something to get in."""
        return self.mode not in ("local", "public")


def _signed(name: str, **claims: Any) -> str:
    good = {"iss": ISSUER, "aud": "clickmask", "sub": name, "exp": int(time.time()) + 600, **claims}
    return jwt.encode(good, KEY, "ES256", headers={"kid": "k"})


def _access(mode: str, folder: Path) -> Access:
    if mode == "token":
        file = folder / "tokens"
        file.touch(mode=0o600)
        file.write_text("".join(f"{name}:{token}\n" for name, token in TOKENS.items()))
        return Access(token_file=file)
    if mode == "oidc":
        file = folder / "keys.json"
        file.write_text(json.dumps({"keys": [{**ECAlgorithm.to_jwk(KEY.public_key(), as_dict=True), "kid": "k"}]}))
        return Access(oidc_issuer=ISSUER, oidc_audience="clickmask", oidc_jwks=str(file))
    if mode == "header":
        return Access(identity_header="X-Forwarded-User", proxies=PROXIES)
    return Access(public=mode == "public")


def _credentials(mode: str) -> tuple[Mapping[str, str], Mapping[str, str], tuple[Mapping[str, str], ...]]:
    """Ann's, Bob's, and some that are wrong."""
    if mode == "token":
        wrong = ({"Authorization": "Basic YW5uOmFubg=="}, bearer("ann"), bearer(TOKENS["ann"] + "x"))
        return bearer(TOKENS["ann"]), bearer(TOKENS["bob"]), wrong
    if mode == "oidc":
        wrong = (bearer(_signed("ann", exp=1)), bearer(_signed("ann", aud="other")), bearer("a.b.c"))
        return bearer(_signed("ann")), bearer(_signed("bob")), wrong
    if mode == "header":
        return {"X-Forwarded-User": "ann"}, {"X-Forwarded-User": "bob"}, ({"X-Forwarded-User": ""}, {"User": "ann"})
    return {}, {}, ()


@pytest.fixture(scope="module", params=["local", "token", "oidc", "header", "public"])
def house(
    request: pytest.FixtureRequest, strip_segmenter: Segmenter, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    folder, mode = tmp_path_factory.mktemp("state"), request.param
    project = None if mode == "public" else tmp_path_factory.mktemp("project")
    access, limits = _access(mode, folder), Limits(queue=QUEUE)
    with running(strip_segmenter, folder, limits=limits, access=access, project=project) as service:
        yield House(mode, service, *_credentials(mode))


@pytest.fixture
def ann(house: House) -> Iterator[httpx.Client]:
    with house.service.client(house.ann) as client:
        client.get("/v1/models")  # where browsers get a cookie, this one has its own now
        yield client
        client.delete("/v1/images")


@pytest.fixture
def bob(house: House) -> Iterator[httpx.Client]:
    with house.service.client(house.bob) as client:
        client.get("/v1/models")
        yield client
        client.delete("/v1/images")


def _routes(routes: Any) -> Iterator[tuple[str, str]]:
    for route in routes:
        inner = getattr(route, "original_router", None)
        if inner is not None:
            yield from _routes(inner.routes)
        else:
            yield from ((method, route.path.replace("{id}", "img_x")) for method in sorted(route.methods))


def test_every_route_lets_in_whom_it_should(house: House) -> None:
    routes = list(_routes(house.service.app.routes))
    assert len(routes) > 15 and {("GET", "/docs"), ("POST", "/v1/segment"), ("GET", "/metrics")} <= set(routes)
    routes += [(method, path + "/") for method, path in routes] + [("GET", "/"), ("GET", "/ui"), ("GET", "/nowhere")]
    with httpx.Client(base_url=house.service.url) as client:
        for method, path in routes:
            is_open = path in ("/livez", "/readyz") or (path == "/v1/session" and house.mode in ("token", "oidc"))
            for headers in ({}, *house.wrong, FORGED if house.mode != "header" else {}):
                answer = client.request(method, path, headers=headers)
                assert (answer.status_code == 401) is (house.guarded and not is_open), (method, path, headers)
                if answer.status_code == 401 and method != "HEAD":
                    error_of(answer, 401, "unauthenticated")
                    assert answer.headers["www-authenticate"].startswith("Bearer")
            answer = client.request(method, path, headers=house.ann)
            assert answer.status_code not in (401, 403) and answer.status_code < 500, (method, path, answer.text)


def test_two_callers_have_nothing_in_common(house: House, ann: httpx.Client, bob: httpx.Client, strip: Any) -> None:
    if house.mode == "local":  # everybody on this machine is one caller
        assert upload(ann, marked(strip, 1)) == upload(bob, marked(strip, 1))
        return
    hers, his = upload(ann, marked(strip, 1)), upload(bob, marked(strip, 1))
    assert hers != his
    mask = _ask(ann, hers, A)["mask_id"]
    calls: list[tuple[str, str, Any]] = [
        ("GET", "", None),
        ("DELETE", "", None),
        ("POST", "/masks", {"objects": [A]}),
        ("POST", "/windows", {"box": [0, 0, 64, 64]}),
        ("POST", "/export", {"objects": [{"rle": {"size": [64, 1024], "counts": [65536]}}], "formats": ["json"]}),
    ]
    window = ann.post(f"/v1/images/{hers}/windows", json={"box": [500, 0, 700, 64]}).json()["id"]
    for key in (hers, window):
        for method, path, body in calls:
            error_of(bob.request(method, f"/v1/images/{key}{path}", json=body), 404, "not_found")
    body = {"objects": [{"previous": mask}]}
    error_of(bob.post(f"/v1/images/{his}/masks", json=body), 404, "not_found")
    assert bob.delete("/v1/images").status_code == 204
    assert ann.get(f"/v1/images/{hers}").status_code == ann.get(f"/v1/images/{window}").status_code == 200
    assert ann.post(f"/v1/images/{hers}/masks", json=body).status_code == 200  # and to her, it is all there
    error_of(ann.get(f"/v1/images/{his}"), 404)
    error_of(bob.get(f"/v1/images/{his}"), 410)


def test_nobody_becomes_another_by_saying_so(house: House, ann: httpx.Client, bob: httpx.Client, strip: Any) -> None:
    hers = upload(ann, marked(strip, 2))
    forged = {name: value for name, value in FORGED.items() if name not in house.bob}
    forged.pop("Cookie" if bob.cookies else "", None)
    answer = bob.get(f"/v1/images/{hers}", headers=forged)
    assert answer.status_code == (200 if house.mode == "local" else 404)
    for name, value in ann.cookies.items():  # hers, with one letter changed
        worn = {"Cookie": f"{name}={value[:-3]}{'x' if value[-3] != 'x' else 'y'}{value[-2:]}"}
        error_of(httpx.get(f"{house.service.url}/v1/images/{hers}", headers=worn), 404)
        assert httpx.get(f"{house.service.url}/v1/images/{hers}", headers={"Cookie": f"{name}={value}"}).is_success


def test_answers_never_go_to_another(house: House, ann: httpx.Client, bob: httpx.Client, strip: Any) -> None:
    keys = {client: upload(client, marked(strip[:, ::turn], 3)) for client, turn in ((ann, 1), (bob, -1))}
    expected = {client: _ask(client, key, BOX)["rle"] for client, key in keys.items()}
    assert expected[ann] != expected[bob]
    with ThreadPoolExecutor(3) as pool:  # as many as one caller may have inside, where both are the same one
        asked = [ann, bob] * 12
        found = list(pool.map(lambda client: _ask(client, keys[client], BOX)["rle"], asked))
    assert found == [expected[client] for client in asked]


def _ask(client: httpx.Client, key: str, prompt: Any) -> Any:
    answer = client.post(f"/v1/images/{key}/masks", json={"objects": [prompt]})
    assert answer.status_code == 200, answer.text
    return answer.json()["objects"][0][0]


def test_who_takes_all_the_places_takes_none_from_another(
    house: House, ann: httpx.Client, bob: httpx.Client, strip: Any
) -> None:
    key = upload(bob, marked(strip, 4))
    worn = {"cookie": "; ".join(f"{name}={value}" for name, value in ann.cookies.items())} if ann.cookies else {}
    own = {name.replace("-", "_"): value for name, value in {**house.ann, **worn}.items()}
    with ExitStack() as stack:
        for _ in range(QUEUE - 1):
            connection = stack.enter_context(connect(house.service.url))
            connection.sendall(head("POST", "/v1/images", content_length="100", **own) + b"x")
        _wait_for_places(house, QUEUE - 1)
        refused = ann.post("/v1/images", content=marked(strip, 5))
        error_of(refused, 429, "too_many_requests")
        assert int(refused.headers["retry-after"]) >= 1
        answer = bob.post(f"/v1/images/{key}/masks", json={"objects": [A]})
        assert answer.status_code == (429 if house.mode == "local" else 200), answer.text
        connection.shutdown(socket.SHUT_RDWR)
        _wait_for_places(house, QUEUE - 2)
        assert ann.post("/v1/images", content=marked(strip, 5)).status_code == 201


def _wait_for_places(house: House, count: int) -> None:
    end = time.monotonic() + 10
    while house.service.app.state.service.gate.inside != count:
        assert time.monotonic() < end, "the places are not taken"
        time.sleep(0.005)


def test_a_token_becomes_a_cookie_of_the_same_caller(house: House, strip: np.ndarray) -> None:
    session = {"token": house.ann.get("Authorization", "Bearer x").removeprefix("Bearer ")}
    with house.service.client() as browser:
        answer = browser.post("/v1/session", json=session, headers=house.ann if house.mode == "header" else {})
        if house.mode not in ("token", "oidc"):
            error_of(answer, 404, "not_found")
            return
        assert answer.json() == {"caller": f"{house.mode}:ann"}
        key = upload(browser, marked(strip, 6))
        with house.service.client(house.ann) as program:
            assert program.get(f"/v1/images/{key}").status_code == 200
        elsewhere = {"Origin": "https://evil.example.com"}
        error_of(browser.post("/v1/images", content=b"x", headers=elsewhere), 403, "cross_origin")
        assert browser.delete(f"/v1/images/{key}").status_code == 204
        assert browser.delete("/v1/session").status_code == 204
        error_of(browser.get("/v1/models"), 401)
        error_of(browser.post("/v1/session", json={"token": "wrong-but-long-enough"}), 401)


def test_an_identity_header_counts_from_the_listed_proxy_alone(strip_segmenter: Segmenter, tmp_path: Path) -> None:
    access = Access(identity_header="X-Forwarded-User", proxies=(ip_network("10.0.0.7"),))
    app = create_app(
        [strip_segmenter], ServeSettings(access=access, storage=Storage(images=128 << 20, folder=tmp_path))
    )
    for peer in ("127.0.0.1", "10.0.0.8", "::1"):
        error_of(ask(app, "/v1/models", headers=FORGED, peer=peer), 401)
    assert ask(app, "/v1/models", headers={"X-Forwarded-User": "ann"}, peer="10.0.0.7").status_code == 200
