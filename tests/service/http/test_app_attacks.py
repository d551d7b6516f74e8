"""What an attacker would try from outside: damaged images, mad prompts, paths, addresses, other sites' pages."""

from __future__ import annotations

import itertools
import json
import random
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest
from app_under_test import Running, as_png, error_of, running, upload
from mutations import KINDS, mutate, seeds

from clickmask import Segmenter
from clickmask.service.http.settings import MIB, Access

WARM = 300  # images after which what is made once, the decoding processes for one, has been made
SECRET_TEXT = "the canary of the state folder"
ORIGIN = "https://page.example.com"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("state")
    (folder / "canary.txt").write_text(SECRET_TEXT)
    return folder


@pytest.fixture(scope="module")
def service(strip_segmenter: Segmenter, folder: Path) -> Iterator[Running]:
    with running(strip_segmenter, folder, access=Access(origins=(ORIGIN,))) as service:
        yield service


@pytest.fixture(scope="module")
def client(service: Running) -> Iterator[httpx.Client]:
    with service.client() as client:
        yield client


@pytest.fixture(scope="module")
def image(client: httpx.Client, strip: np.ndarray) -> str:
    return upload(client, as_png(strip))


@pytest.mark.soak
def test_two_thousand_damaged_images_harm_nobody(service: Running) -> None:
    rng, counts = random.Random(11), Counter[int]()
    whole, kinds = seeds(), list(KINDS)
    process, before = psutil.Process(), 0
    with service.client() as client:
        for number, name in zip(range(2000), itertools.cycle(whole), strict=False):
            if number == WARM:
                before = _memory()
            data = mutate(whole[name], kinds[number % len(kinds)], rng)
            answer = client.post("/v1/images", content=data)
            counts[answer.status_code] += 1
            if answer.status_code in (200, 201):
                client.delete("/v1/images")  # what is forgotten is not encoded
            else:
                error_of(answer, answer.status_code, "bad_image")
        assert client.get("/livez").status_code == client.get("/readyz").status_code == 200
    assert set(counts) <= {200, 201, 413, 415, 422} and counts[201] > 300 and counts[422] > 300, counts
    assert process.is_running() and _memory() - before < 200 * MIB


def _memory() -> int:
    """Bytes of this process, which serves, and of those it started, which decode."""
    process = psutil.Process()
    return sum(one.memory_info().rss for one in (process, *process.children(recursive=True)))


def _mad_prompts() -> dict[str, Any]:
    """Ten kinds of prompts, each a function from a random generator to JSON text."""
    numbers = ("NaN", "-Infinity", "1e308", "-1e308", "1e999", "-1", "1023.999999999", "0", "1e-320", "9" * 400)
    values = ("null", "true", '"9"', "{}", "[]", "[[]]", '"\\u0000"', "1.5", "-0.0")
    names = ("points", "labels", "box", "previous", "__proto__", "point", "")

    def point(rng: random.Random) -> str:
        return f"[{rng.choice(numbers)}, {rng.choice(numbers)}]"

    def fields(rng: random.Random, *parts: str) -> str:
        return f'{{"objects": [{{{", ".join(parts)}}}], "limit": 1}}'

    return {
        "odd points": lambda r: fields(r, f'"points": [{", ".join(point(r) for _ in range(r.randrange(5)))}]'),
        "odd boxes": lambda r: fields(r, f'"box": [{", ".join(r.choice(numbers) for _ in range(r.randrange(3, 6)))}]'),
        "odd labels": lambda r: fields(r, '"points": [[9, 9]]', f'"labels": [{r.choice((*numbers, *values))}]'),
        "odd types": lambda r: fields(r, *(f'"{n}": {r.choice(values)}' for n in r.sample(names, r.randrange(4)))),
        "odd objects": lambda r: f'{{"objects": {r.choice(values)}, "{r.choice(names)}": {r.choice(values)}}}',
        "odd wishes": lambda r: (
            f'{{"objects": [{{"points": [[9, 9]]}}], "{r.choice(WISHES)}": {r.choice((*values, *numbers))}}}'
        ),
        "odd previous": lambda r: fields(
            r, f'"previous": {r.choice((*values, json.dumps({"logits": "A" * r.choice((0, 4, 174764))})))}'
        ),
        "deep": lambda r: r.choice('[{"') * r.choice((10, 1000, 100_000)),
        "many": lambda r: fields(r, f'"points": [{", ".join(["[1, 1]"] * r.choice((64, *[65, 1000, 20_000] * 5)))}]'),
        "broken": lambda r: "".join(r.choices('{}[]":,0123456789eE.-+ntfu\\ objectspoints', k=r.randrange(200))),
    }


WISHES = ("multimask", "limit", "format", "scale", "clean", "pad", "feather", "refine", "stream", "seq", "colour")


@pytest.mark.parametrize("kind", _mad_prompts())
def test_two_hundred_mad_prompts_are_answered_or_refused_by_name(client: httpx.Client, image: str, kind: str) -> None:
    rng, make = random.Random(kind), _mad_prompts()[kind]
    for body in [make(rng) for _ in range(200)] + ["[" + "1," * 1_000_000 + "1]"] * (kind == "broken"):
        answer = client.post(f"/v1/images/{image}/masks", content=body.encode())
        if answer.status_code == 200:
            continue
        assert answer.status_code in (400, 404, 413, 422), (body[:200], answer.text)
        error = error_of(answer, answer.status_code)
        assert (
            "field" in error
            or error["code"] in ("bad_json", "body_too_large")
            or error["message"].startswith("the body")
        ), error
        assert not any(word in answer.text for word in ("Traceback", 'File "', ".py", "/tmp", "site-packages"))
        assert len(error["message"]) < 1000


def _traversals() -> list[str]:
    """More than two hundred ways to say: the file beside, or the one at the root."""
    ups = (
        "../",
        "..%2f",
        "%2e%2e/",
        "%2e%2e%2f",
        "..%5c",
        "..\\",
        "....//",
        "..;/",
        "%252e%252e%252f",
        "..%c0%af",
        "..%00/",
    )
    files = ("canary.txt", "secret", "etc/passwd", "proc/self/environ", "canary.txt%00.png", "canary.txt::$DATA")
    payloads = [up * depth + file for up in ups for depth in (1, 3, 8) for file in files]
    return [
        *payloads,
        "/etc/passwd",
        "//etc/passwd",
        "file:///etc/passwd",
        "%2fetc%2fpasswd",
        "~/.ssh/id_rsa",
        "\\\\x\\y",
    ]


@pytest.mark.parametrize("place", ["/", "/v1/images/", "/docs/", "/v1/images/img_x/", "/ui/"])
def test_no_path_leads_to_a_file(service: Running, client: httpx.Client, folder: Path, place: str) -> None:
    payloads = [*_traversals(), f"{folder}/canary.txt", f"%2e%2e{folder}/canary.txt"]
    assert len(payloads) > 200
    for payload in payloads:
        url = httpx.URL(service.url).copy_with(raw_path=(place + payload).encode())
        answer = client.get(url)
        assert 400 <= answer.status_code < 500, (payload, answer.status_code)
        assert SECRET_TEXT not in answer.text and "root:" not in answer.text


def test_no_text_in_a_request_is_taken_for_a_file(client: httpx.Client, image: str, strip: Any, folder: Path) -> None:
    for text in [*_traversals()[::5], f"{folder}/canary.txt", f"file://{folder}/canary.txt"]:
        for answer in _say(client, image, strip, text):
            assert (
                answer.status_code < 500 and SECRET_TEXT not in answer.text and str(folder) not in _told(answer, text)
            )


def _told(answer: httpx.Response, text: str) -> str:
    """What an answer says of its own, where it repeats what it was told."""
    return answer.text.replace(text, "").replace(json.dumps(text)[1:-1], "")


def _say(client: httpx.Client, image: str, strip: np.ndarray, text: str) -> Iterator[httpx.Response]:
    """Requests with that text in every place where one may be."""
    rle, point = {"size": [64, 1024], "counts": [100, 5, 65431]}, {"points": [[9, 9]]}
    masks, quoted = f"/v1/images/{image}/masks", httpx.QueryParams({"model": text})
    yield client.post(f"/v1/images?{quoted}", content=b"x")
    yield client.post("/v1/images", content=text.encode())
    yield client.post("/v1/images", content=f"<svg><image href='{text}'/></svg>".encode())
    yield client.post("/v1/images", files={"file": (text, text.encode(), "image/png")})
    yield client.post("/v1/images", data={"file": text, "url": text, "path": text}, files={"x": (text, b"x")})
    yield client.post("/v1/images", json={"url": text, "image_url": text, "path": text})
    for field in ("image_url", "url", "path", "file", "stream", "format", "scale", "multimask", "refine"):
        yield client.post(masks, json={"objects": [point], field: text})
    yield client.post(masks, json={"objects": [{**point, "previous": text}]})
    yield client.post(masks, json={"objects": [{**point, "previous": {"logits": text.ljust(174764, "A")}}]})
    export = {"objects": [{"rle": rle, "label": text[:200], "prompt": {"previous": text}}], "formats": ["json"]}
    yield client.post(f"/v1/images/{image}/export", json=export)
    yield client.post(f"/v1/images/{image}/export", json={**export, "formats": [text]})
    parts = {"file": (text, as_png(strip)), "prompts": (None, json.dumps({"objects": [point], "url": text}))}
    yield client.post("/v1/segment", files=parts)
    yield client.post("/v1/session", json={"token": text})
    named = {"Referer": text, "X-Forwarded-Host": text, "X-Original-URL": text, "Forwarded": f'host="{text}"'}
    yield client.get("/v1/models", headers={name: value.encode() for name, value in named.items()})


class _Canary:
    """A server on loopback that counts who comes."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.hits = 0
        threading.Thread(target=self._count, daemon=True).start()

    def _count(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.hits += 1
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi")
            connection.close()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def test_no_address_is_ever_fetched(client: httpx.Client, image: str, strip: np.ndarray) -> None:
    canary = _Canary()
    end = f"{canary.port}/x.png"
    hosts = ("127.0.0.1", "localhost", "[::1]", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0.0.0.0")
    urls = [f"{scheme}://{host}:{end}" for scheme in ("http", "https") for host in hosts]
    urls += [f"{scheme}://127.0.0.1:{end}" for scheme in ("ftp", "gopher", "dict", "ws", "s3", "jar:http", "HTTP")]
    urls += [
        f"//127.0.0.1:{end}",
        f"http:/127.0.0.1:{end}",
        f"http://user:pw@127.0.0.1:{end}",
        "http://169.254.169.254/",
    ]
    urls += [
        f"rtsp://127.0.0.1:{end}",
        f"concat:http://127.0.0.1:{end}",
        "data:image/png;base64,AAAA",
        f"127.0.0.1:{end}",
    ]
    assert len(urls) >= 30
    try:
        for url in urls:
            assert all(answer.status_code < 500 for answer in _say(client, image, strip, url)), url
        assert canary.hits == 0
        assert httpx.get(f"http://127.0.0.1:{canary.port}/").text == "hi" and canary.hits == 1
    finally:
        canary.close()


def test_only_the_own_page_and_listed_ones_may_call(service: Running, client: httpx.Client) -> None:
    own = httpx.URL(service.url)
    hosts = {
        own.netloc.decode(): True,
        f"localhost:{own.port}": True,
        "evil.example.com": False,
        "127.0.0.1.evil": False,
    }
    hosts |= {"evil/x?": False, "": False, "127.0.0.1:1@evil": False, "169.254.169.254": False, "0.0.0.0": False}
    origins = {None: True, ORIGIN: True, "null": False, "https://evil.example.com": False, ORIGIN + ".evil": False}
    origins |= {"http://page.example.com": False, ORIGIN + ":444": False, "file://": False, "": False}
    for host, origin in itertools.product(hosts, origins):
        headers = {"Host": host, **({} if origin is None else {"Origin": origin})}
        answer = client.delete("/v1/images", headers=headers)
        expected = 204 if hosts[host] and origins[origin] else 403 if hosts[host] else 400
        assert answer.status_code == expected, (host, origin, answer.text)
        allowed = answer.headers.get("access-control-allow-origin")
        assert allowed == (ORIGIN if hosts[host] and origin == ORIGIN else None), (host, origin)
    assert client.delete("/v1/images", headers={"Origin": service.url}).status_code == 204
