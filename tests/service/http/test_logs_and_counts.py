"""Many requests of every kind: a line each, a count each, and nothing of anybody's images in either."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from layers import logged
from load import CLICK, HeldSegmenter, app_of, client_of, strip
from serving import serve, wait_until

from clickmask import Segmenter

COUNT = 500
SECRET = "canary-of-a-file-name"
RARE = ("PATCH", "PUT", "TRACE", "PROPFIND", "LOCK", "SEARCH")  # methods; others do not get past the server's parser
NASTY = '\n{"status": 200, "id": "forged"}\x1b[31m'


@pytest.fixture(scope="module")
def app(cache_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return app_of(HeldSegmenter(cache_folder), tmp_path_factory.mktemp("state"))


@pytest.fixture(scope="module")
def url(app: Any) -> Iterator[str]:
    with serve(app) as url:
        yield url


def _requests(client: httpx.AsyncClient, image: str) -> list[httpx.Request]:
    """Requests of ten kinds."""
    masks = f"/v1/images/{image}/masks"
    quoted = {"a": NASTY.replace("\n", "\\n")}
    kinds = [
        lambda n: client.build_request("POST", masks, json=CLICK),
        lambda n: client.build_request("POST", masks, content=b"{" * n),
        lambda n: client.build_request("POST", masks, json={"objects": [{"points": [[n, 99]]}]}),
        lambda n: client.build_request("POST", "/v1/images", files={"file": (f"{SECRET}.png", strip(n % 7))}),
        lambda n: client.build_request("POST", "/v1/images", content=b"no image" * n),
        lambda n: client.build_request("GET", f"/v1/images/{'x' * n}{NASTY!r}", headers={"User-Agent": SECRET}),
        lambda n: client.build_request("GET", f"/made/up/{n}", params=quoted),
        lambda n: client.build_request(RARE[n // 10 % len(RARE)], "/v1/images"),
        lambda n: client.build_request("GET", "/livez", headers={"X-Request-Id": SECRET, "X-Forwarded-For": SECRET}),
        lambda n: client.build_request("GET", f"/v1/images/{image}"),
    ]
    return [kinds[n % len(kinds)](n) for n in range(COUNT)]


async def _send_all(url: str, image: str) -> list[httpx.Response]:
    async with client_of(url, connections=8) as client:
        waiting = asyncio.Semaphore(8)

        async def send(request: httpx.Request) -> httpx.Response:
            async with waiting:
                return await client.send(request)

        return await asyncio.gather(*(send(request) for request in _requests(client, image)))


def _counts(app: Any) -> Counter[tuple[str, str]]:
    """Requests by status and code, of the figures."""
    found: Counter[tuple[str, str]] = Counter()
    for metric in app.state.metrics.registry.collect():
        for sample in metric.samples:
            if sample.name == "clickmask_request_total":
                found[sample.labels["status"], sample.labels["code"]] += int(sample.value)
    return found


def test_every_request_has_one_line_and_one_count_and_no_line_can_be_forged(url: str, app: Any) -> None:
    image = httpx.post(f"{url}/v1/images", content=strip(1), timeout=60).json()["id"]
    wait_until(lambda: sum(_counts(app).values()) == 1)
    before = _counts(app)
    with logged("clickmask.access") as lines:
        answers = asyncio.run(_send_all(url, image))
        wait_until(lambda: len(lines) >= COUNT)
    statuses = {answer.status_code for answer in answers}
    assert statuses == {200, 201, 400, 404, 405, 415, 422}, statuses
    assert len(lines) == COUNT and all(isinstance(line, dict) for line in lines)
    told = {line["id"]: line["status"] for line in lines}
    assert told == {answer.headers["x-request-id"]: answer.status_code for answer in answers}
    by_line = Counter((str(line["status"]), line["code"] or "") for line in lines)
    assert _counts(app) - before == by_line
    text = "\n".join(json.dumps(line) for line in lines)
    for forbidden in (SECRET, "forged", "[31m", "made/up", "no image", "127.0.0.1"):
        assert forbidden not in text


def test_names_that_clients_make_up_make_no_series(url: str, app: Any) -> None:
    with httpx.Client(base_url=url, timeout=60) as client:
        for n in range(50):
            client.request(RARE[n % len(RARE)], f"/made/{n}")
        first = client.get("/metrics").text
        for n in range(200):
            client.request(RARE[n % len(RARE)], f"/up/{n}?q={n}", headers={"X-Request-Id": str(n)})
        second = client.get("/metrics").text
    series = [{line.rpartition(" ")[0] for line in text.splitlines() if line[0] != "#"} for text in (first, second)]
    assert len(series[1]) < 500
    assert all('route="/metrics"' in line for line in series[1] - series[0])


def test_what_a_model_does_not_do_is_no_error_of_the_server(hq_file: Path, tmp_path: Path) -> None:
    app = app_of(Segmenter(str(hq_file), device="cpu"), tmp_path)
    with serve(app) as url, logged() as lines:
        image = httpx.post(f"{url}/v1/images", content=strip(1), timeout=60).json()["id"]
        answer = httpx.post(f"{url}/v1/images/{image}/everything", json={}, timeout=60)
        asked = httpx.post(f"{url}/v1/images/{image}/attention", json={"points": [[9, 9]]}, timeout=60)
        wait_until(lambda: len(lines) >= 3)
    for one, what in ((answer, "everything"), (asked, "attention")):
        assert one.status_code == 422 and f"{what}: HQ-SAM has masks for clicks and boxes alone" in one.text
    assert not any("trace" in line or line.get("level") == "error" for line in lines)
