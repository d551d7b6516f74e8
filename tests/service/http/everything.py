"""What the tests of everything-mode share: quick searches, and events as they come."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from app_under_test import Running

from clickmask.service.http.lane import Rank

GRID: dict[str, Any] = {"points_per_side": 6}
LONG: dict[str, Any] = {"points_per_side": 200}  # 40,000 points, which take minutes


def path(key: str) -> str:
    """The route, for an image."""
    return f"/v1/images/{key}/everything"


def steps(service: Running) -> float:
    """How many steps of searches its lanes have taken."""
    metrics = service.app.state.service.metrics
    return metrics.registry.get_sample_value("clickmask_inference_count_total", {"kind": "search"}) or 0.0


def waiting(service: Running) -> int:
    """How many steps wait in its lanes."""
    queues = [lane._queues[Rank.LONG] for lane in service.app.state.service.lanes]
    return sum(len(line) for queue in queues for line in queue.lines.values())


@contextmanager
def events(client: httpx.Client, key: str, accept: bool = True, **wishes: Any) -> Iterator[Iterator[tuple[str, Any]]]:
    """The events of a search, (name, data); comments are named "". Leaving the block closes the connection."""
    headers = {"accept": "text/event-stream"} if accept else {}
    with client.stream("POST", path(key), json=wishes, headers=headers) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield _parsed(answer.iter_lines())


def _parsed(lines: Iterator[str]) -> Iterator[tuple[str, Any]]:
    name = ""
    for line in lines:
        if line.startswith(":"):
            yield "", line
        elif line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))
