"""Forms that no honest program sends, and bodies around the limit: refused in words, and the service goes on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from app_under_test import Running, as_png, error_of, running
from serving import head, talk

from clickmask import Segmenter
from clickmask.service.http.settings import Limits

LIMIT = 1 << 20
TYPE = "multipart/form-data; boundary=b"
PROMPTS = json.dumps({"objects": [{"points": [[9, 9]]}]}).encode()


@pytest.fixture(scope="module")
def service(strip_segmenter: Segmenter, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(strip_segmenter, tmp_path_factory.mktemp("state"), limits=Limits(body=LIMIT)) as service:
        yield service


@pytest.fixture(scope="module")
def client(service: Running) -> Iterator[httpx.Client]:
    with service.client() as client:
        yield client


@pytest.fixture(scope="module")
def photo(strip: np.ndarray) -> bytes:
    return as_png(strip)


def _part(name: str, value: bytes, more: str = "") -> bytes:
    disposition = f'content-disposition: form-data; name="{name}"{more}\r\n\r\n'
    return b"--b\r\n" + disposition.encode() + value + b"\r\n"


def _form(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--b--\r\n"


def _file(photo: bytes) -> bytes:
    return _part("file", photo, '; filename="a"')


def _send(client: httpx.Client, body: bytes, kind: str = TYPE) -> httpx.Response:
    return client.post("/v1/segment", content=body, headers={"Content-Type": kind.encode("latin-1")})  # pyright: ignore


def test_a_form_written_by_hand_is_answered(client: httpx.Client, photo: bytes) -> None:
    assert _send(client, _form(_file(photo), _part("prompts", PROMPTS))).status_code == 200
    assert _send(client, _form(_part("prompts", PROMPTS), _file(photo)), TYPE.upper()).status_code in (200, 400)


def _hostile(photo: bytes) -> dict[str, tuple[bytes, str]]:
    file, prompts = _file(photo), _part("prompts", PROMPTS)
    long_head = b'--b\r\ncontent-disposition: form-data; name="prompts"\r\nx: ' + b"a" * 20_000 + b"\r\n\r\n{}\r\n"
    many_heads = b"--b\r\n" + b"x: y\r\n" * 5000 + b'content-disposition: form-data; name="prompts"\r\n\r\n{}\r\n'
    return {
        "a part's head too long": (_form(file, long_head), TYPE),
        "too many heads of a part": (_form(file, many_heads), TYPE),
        "another boundary": (_form(file, prompts), "multipart/form-data; boundary=c"),
        "no boundary": (_form(file, prompts), "multipart/form-data"),
        "an empty boundary": (_form(file, prompts), "multipart/form-data; boundary="),
        "a long boundary": (_form(file, prompts), "multipart/form-data; boundary=" + "b" * 5000),
        "a boundary that is no text": (_form(file, prompts), 'multipart/form-data; boundary="\xe9"'),
        "1,001 parts": (_form(file, prompts, *[_part(f"p{n}", b"") for n in range(1001)]), TYPE),
        "10,000 fields": (_form(*[_part("a", b"") for _ in range(10_000)]), TYPE),
        "1,001 files": (_form(*[_part("file", b"x", '; filename="a"')] * 1001), TYPE),
        "two files": (_form(file, file, prompts), TYPE),
        "the file missing": (_form(prompts), TYPE),
        "a file that is a text": (_form(_part("file", photo), prompts), TYPE),
        "the prompts missing": (_form(file), TYPE),
        "prompts as a file": (_form(_part("prompts", PROMPTS, '; filename="p"')), TYPE),
        "prompts that are no JSON": (_form(file, _part("prompts", b"{'objects': 1}")), TYPE),
        "prompts that are no text": (_form(file, _part("prompts", bytes(range(256)))), TYPE),
        "prompts in UTF-16": (_form(file, _part("prompts", PROMPTS.decode().encode("utf-16"))), TYPE),
        "prompts nested deep": (_form(file, _part("prompts", b"[" * 100_000)), TYPE),
        "a part without a name": (_form(file, b"--b\r\ncontent-disposition: form-data\r\n\r\nx\r\n"), TYPE),
        "a part without a head": (_form(file, b"--b\r\n\r\nx\r\n"), TYPE),
        "nothing": (b"", TYPE),
        "the end alone": (b"--b--\r\n", TYPE),
        "no end": ((file + prompts)[:-20], TYPE),
        "an odd charset": (_form(file, prompts), TYPE + "; charset=utf-16"),
        "another type": (_form(file, prompts), "application/x-www-form-urlencoded"),
        "the type of a list": (_form(file, prompts), "multipart/mixed; boundary=b"),
    }


@pytest.mark.parametrize("name", _hostile(b""))
def test_a_hostile_form_is_refused_in_words(client: httpx.Client, photo: bytes, name: str) -> None:
    body, kind = _hostile(photo)[name]
    answer = _send(client, body, kind)
    assert answer.status_code in (400, 413, 415, 422), answer.text
    error = error_of(answer, answer.status_code)
    assert "/" not in error["message"].replace("multipart/form-data", "")
    assert client.get("/livez").status_code == 200


def test_prompts_in_latin_1_are_taken_for_what_they_are_or_refused(client: httpx.Client, photo: bytes) -> None:
    prompts = '{"objects": [{"points": [[9, 9]]}], "stream": "\xe9"}'.encode("latin-1")
    error_of(_send(client, _form(_file(photo), _part("prompts", prompts))), 422, "bad_request")


def test_extra_fields_of_a_form_do_no_harm(client: httpx.Client, photo: bytes) -> None:
    answer = _send(client, _form(_file(photo), _part("prompts", PROMPTS), _part("submit", b"Go")))
    assert answer.status_code == 200
    before = b"\r\n" * 400_000  # empty lines before the first part are allowed
    assert _send(client, before + _form(_file(photo), _part("prompts", PROMPTS))).status_code == 200


def test_a_file_name_does_no_harm_and_is_never_repeated(client: httpx.Client, photo: bytes) -> None:
    for name in ("../../etc/passwd", "C:\\x", "a\0b", "%2e%2e%2f", "\u202e", "x" * 5000, "-rf"):
        part = _part("file", photo, f'; filename="{name}"')
        answer = _send(client, _form(part, _part("prompts", PROMPTS)))
        assert answer.status_code in (200, 400) and "passwd" not in answer.text


def _padded(photo: bytes, size: int) -> bytes:
    return photo + bytes(size - len(photo))  # a PNG may have anything after its end


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
@pytest.mark.parametrize(("extra", "expected"), [(-1, (200, 201)), (0, (200, 201)), (1, (413,))])
def test_bodies_may_be_as_large_as_the_limit(
    client: httpx.Client, photo: bytes, extra: int, expected: tuple[int, ...], chunked: bool
) -> None:
    data = _padded(photo, LIMIT + extra)
    answer = client.post("/v1/images", content=_pieces(data) if chunked else data)
    assert answer.status_code in expected, answer.text
    if expected == (413,):
        error_of(answer, 413, "body_too_large")
    form = _form(_file(data), _part("prompts", PROMPTS))
    assert _send(client, form).status_code == 413  # a form's own bytes count too


def _pieces(data: bytes) -> Iterator[bytes]:
    for start in range(0, len(data), 100_000):
        yield data[start : start + 100_000]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content_length": str(LIMIT + 1)}, 413),
        ({"content_length": "9" * 19}, 413),
        ({"content_length": str(LIMIT + 1), "expect": "100-continue"}, 413),
        ({"content_length": "9", "content_encoding": "gzip"}, 415),
        ({"content_length": "9", "content_encoding": "br"}, 415),
        ({"content_length": "-1"}, 400),
        ({"content_length": "9", "x_request_timeout": "soon"}, 400),
        ({"content_length": "9", "x": "a" * 40_000}, 431),
    ],
)
def test_a_request_that_announces_too_much_or_nonsense_is_refused(
    service: Running, headers: dict[str, Any], status: int
) -> None:
    body = [] if "expect" in headers else [b"x" * 9]
    answer = talk(service.url, [head("POST", "/v1/images", connection="close", **headers), *body])
    assert answer.split(b" ")[1] == str(status).encode(), answer[:200]
