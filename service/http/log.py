"""What the service writes down: lines of JSON, one a request and one an event, that no request can forge or break.

    {"ts": "2026-01-31T12:00:00.123Z", "id": "9vZ...", "method": "POST", "route": "/v1/images", "status": 201, ...}

Names of files, contents of images, query strings and addresses are in none of them.
"""

from __future__ import annotations

import json
import logging
import math
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TextIO

ACCESS = "clickmask.access"
_OURS = ("clickmask", "uvicorn", "asyncio")  # with all loggers below them
_access = logging.getLogger(ACCESS)


class JsonLines(logging.Formatter):
    """A record as one line of JSON in ASCII; `fields` of the record (a mapping) are its own."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {"ts": moment.replace("+00:00", "Z")}
        if record.name != ACCESS:
            line |= {"level": record.levelname.lower(), "logger": record.name, "message": record.getMessage()}
        for name, value in getattr(record, "fields", {}).items():
            line.setdefault(name, _plain(value))
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=True, default=str)


def _plain(value: Any) -> Any:
    """JSON has no word for what is not a finite number."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def configure_logging(level: str = "info", file: TextIO | None = None) -> None:
    """Send what we, uvicorn and asyncio log to `file` (standard error unless told) as lines of JSON.

    level: "debug", "info", "warning" or "error"; from "warning" on there is no line a request. A second call replaces
    the first.
    """
    handler = logging.StreamHandler(sys.stderr if file is None else file)
    handler.setFormatter(JsonLines())
    for name in _OURS:
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.setLevel(level.upper())
        logger.propagate = False


def log_request(fields: Mapping[str, Any]) -> None:
    """Write the line of one request."""
    _access.info("request", extra={"fields": fields})
