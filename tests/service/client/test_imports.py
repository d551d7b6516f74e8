"""A client needs neither torch nor the server's parts, and says so when httpx is missing."""

from __future__ import annotations

import subprocess
import sys

import pytest


def _run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_client_that_clicks_loads_no_torch() -> None:
    heavy = ("torch", "torchvision", "segment_anything", "fastapi", "starlette", "uvicorn", "pydantic", "typer")
    code = f"""
import sys
from clickmask.service.client import AsyncClient, Client
import httpx, numpy
def reply(request):
    if request.url.path.endswith("/images"):
        return httpx.Response(201, json={{"id": "i", "width": 9, "height": 9, "model": "m"}})
    if request.url.path.endswith("/everything"):
        return httpx.Response(200, json={{"masks": [], "complete": True, "points": 1024}})
    result = {{"index": 0, "score": 1, "stability": 1, "mask_id": "m", "rle": {{"size": [9, 9], "counts": [81]}}}}
    return httpx.Response(200, json={{"objects": [[result]]}})
image = Client("http://h", transport=httpx.MockTransport(reply)).open(numpy.zeros((9, 9, 3), "uint8"))
thing = image.start()
thing.add(1, 1)
assert thing.add(2, 2).area == 0
assert image.everything(tiles="auto").points == 1024
print(sorted(set({heavy!r}) & set(sys.modules)))
"""
    assert _run(code) == "[]"


@pytest.mark.parametrize("kind", ["Client", "AsyncClient"])
def test_missing_httpx_is_named_with_its_extra(kind: str) -> None:
    code = f"""
import sys
sys.modules["httpx"] = None
from clickmask import MissingExtraError
from clickmask.service.client import {kind}
try:
    {kind}("http://localhost")
except MissingExtraError as error:
    print(error)
"""
    assert "pip install 'clickmask[client]'" in _run(code)
