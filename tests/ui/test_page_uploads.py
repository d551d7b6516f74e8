"""What is uploaded through Gradio: pictures alone, within the limit, and nothing that runs when it comes back."""

from __future__ import annotations

from pathlib import Path

import pytest
from app_under_test import error_of, running
from gradio_protocol import API, Caller

from clickmask import Segmenter
from clickmask.service.http.settings import MIB, Limits
from clickmask.ui.mount import create_page_app

SVG = b'<svg xmlns="http://www.w3.org/2000/svg" onload="document.title=1"><script>document.title=1</script></svg>'
HTML = b"<!doctype html><script>document.title = 'executed'</script>"


@pytest.mark.parametrize("data", [SVG, HTML, b"%PDF-1.7\n" + HTML, b"", b"GIF89a" + HTML, b"\xff\xd8" + HTML])
def test_what_is_no_picture_is_not_taken(caller: Caller, data: bytes) -> None:
    answer = caller.client.post(f"{API}/upload", files={"files": ("x.svg", data, "image/svg+xml")})
    assert error_of(answer, answer.status_code)["code"] == "bad_image" and answer.status_code in (415, 422)


def test_a_picture_with_a_page_inside_comes_back_as_nothing_that_runs(caller: Caller, photo: bytes) -> None:
    path = caller.upload(photo + HTML, "x.html")
    mask, _ = caller.segment(path)
    for name, kind in ((path, "application/octet-stream"), (mask["path"], "image/png")):
        answer = caller.fetch(name)
        assert answer.headers["content-type"] == kind and answer.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in answer.headers["content-security-policy"] and "no-store" in answer.headers["cache-control"]
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert caller.fetch(path).headers["content-disposition"] == "attachment"
    assert caller.fetch(path).content == photo + HTML and HTML not in caller.fetch(mask["path"]).content


def test_an_upload_beyond_the_limit_is_refused(segmenter: Segmenter, tmp_path: Path, photo: bytes) -> None:
    with running(segmenter, tmp_path, limits=Limits(body=MIB), make=create_page_app) as service:
        with service.client() as client:
            config = client.get("/ui/config").json()
            assert config["max_file_size"] == MIB
            answer = client.post(f"{API}/upload", files={"files": photo + b"\0" * MIB})
            error_of(answer, 413, "body_too_large")
            assert Caller.of(client, service).upload(photo)
