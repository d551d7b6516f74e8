"""Lines of JSON that no request can forge."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from clickmask.service.http.log import ACCESS, configure_logging, log_request

NAMES = ("clickmask", "uvicorn", "asyncio")


@pytest.fixture
def file() -> Iterator[io.StringIO]:
    """What is logged, with the loggers as they were before afterwards."""
    loggers = [logging.getLogger(name) for name in NAMES]
    before = [(list(logger.handlers), logger.level, logger.propagate) for logger in loggers]
    yield io.StringIO()
    for logger, (handlers, level, propagate) in zip(loggers, before, strict=True):
        logger.handlers[:], logger.level, logger.propagate = handlers, level, propagate
        logger.setLevel(level)  # forgets what it had worked out for loggers below


def _lines(file: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.getvalue().splitlines()]


def test_a_request_is_one_line_of_its_fields(file: io.StringIO) -> None:
    configure_logging(file=file)
    log_request({"id": "a", "status": 200})
    (line,) = _lines(file)
    assert line.pop("ts").endswith("Z")
    assert line == {"id": "a", "status": 200}


def test_an_event_tells_its_level_and_logger_and_an_error_its_trace(file: io.StringIO) -> None:
    configure_logging(file=file)
    logging.getLogger("clickmask.decoding").warning("replaced worker %d", 3)
    try:
        raise RuntimeError("broke")
    except RuntimeError:
        logging.getLogger("uvicorn.error").exception("failed", extra={"fields": {"id": "a"}})
    warning, error = _lines(file)
    assert (warning["level"], warning["logger"], warning["message"]) == (
        "warning",
        "clickmask.decoding",
        "replaced worker 3",
    )
    assert error["id"] == "a" and error["trace"].endswith("RuntimeError: broke")


@pytest.mark.parametrize(
    "text", ['a\n{"status": 200}', "\x1b[2Jgone", '"}', "\u2028line", "\r\nts: 1", "\udc80", "\0", "é" * 100]
)
def test_hostile_text_stays_text(file: io.StringIO, text: str) -> None:
    configure_logging(file=file)
    log_request({"status": 404, "note": text})
    logging.getLogger("clickmask").warning(text)
    assert file.getvalue().count("\n") == 2
    assert all(" " <= letter < "\x7f" for letter in file.getvalue().replace("\n", ""))
    request, event = _lines(file)
    assert (request["status"], request["note"], event["message"]) == (404, text, text)


def test_what_json_cannot_say_is_said_otherwise(file: io.StringIO) -> None:
    configure_logging(file=file)
    log_request({"a": float("nan"), "b": float("inf"), "c": 1.5, "d": {1}, "ts": "forged"})
    (line,) = _lines(file)
    assert (line["a"], line["b"], line["c"], line["d"]) == (None, None, 1.5, "{1}")
    assert line["ts"] != "forged"


def test_the_level_decides_what_is_written(file: io.StringIO) -> None:
    configure_logging("warning", file)
    log_request({"status": 200})
    logging.getLogger("clickmask").error("still")
    assert [line["message"] for line in _lines(file)] == ["still"]


def test_a_second_call_replaces_the_first(file: io.StringIO) -> None:
    first = io.StringIO()
    configure_logging(file=first)
    configure_logging(file=file)
    log_request({"status": 200})
    assert first.getvalue() == "" and len(_lines(file)) == 1


def test_nothing_reaches_other_handlers(file: io.StringIO, caplog: pytest.LogCaptureFixture) -> None:
    configure_logging(file=file)
    log_request({"status": 200})
    assert caplog.records == [] and logging.getLogger(ACCESS).getEffectiveLevel() == logging.INFO
