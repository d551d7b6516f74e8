"""The outer layers around an app of the test's, and what they logged."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from clickmask.service.http.health import Health
from clickmask.service.http.limits import LimitsMiddleware
from clickmask.service.http.log import JsonLines
from clickmask.service.http.metrics import Metrics
from clickmask.service.http.requests import RequestMiddleware
from clickmask.service.http.settings import Limits


def outermost(app: Any, *, health: Health | None = None, metrics: Metrics | None = None, body: int = 1 << 24) -> Any:
    """The app behind RequestMiddleware alone; callers are known by their name reversed."""
    return RequestMiddleware(
        app,
        health or Health(ready=True),
        metrics or Metrics(),
        largest_body=body,
        hash_caller=lambda caller: caller[::-1],
    )


def limited(app: Any, limits: Limits | None = None, *, metrics: Metrics | None = None) -> Any:
    """The app behind RequestMiddleware and LimitsMiddleware."""
    limits = limits or Limits()
    return outermost(LimitsMiddleware(app, limits), metrics=metrics, body=limits.body)


@contextmanager
def logged(name: str = "clickmask") -> Iterator[list[dict[str, Any]]]:
    """The lines that `name` and the loggers below it write meanwhile, read back from their JSON."""
    lines: list[dict[str, Any]] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(json.loads(self.format(record)))

    handler, logger = Keep(), logging.getLogger(name)
    handler.setFormatter(JsonLines())
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel("INFO")
    try:
        yield lines
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
