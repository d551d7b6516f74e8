"""S3 on this machine: moto's server on the loopback, behind a front that counts requests and can be told to fail."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

_numbers = count()
_ERROR = '<?xml version="1.0"?><Error><Code>{0}</Code><Message>{0}, says the stand-in</Message></Error>'


class _Silent(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:
        """Nothing."""


@dataclass
class Front:
    """What stands before moto. requests: "GET /bucket/key", "?list" behind lists. failing: how one fails."""

    inner: Callable[..., Iterable[bytes]] = field(
        default_factory=lambda: DomainDispatcherApplication(create_backend_app)
    )
    requests: list[str] = field(default_factory=list)
    failing: Callable[[str], str | None] = lambda request: None

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        """One request."""
        request = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}"
        request += "?list" if "list-type" in environ["QUERY_STRING"] else ""
        self.requests.append(request)
        status = self.failing(request)
        if status is None:
            return self.inner(environ, start)
        start(status, [("Content-Type", "application/xml")])
        return [_ERROR.format(status.split(" ")[1]).encode()]


@dataclass
class Bucket:
    """A bucket of one test."""

    name: str
    front: Front
    fs: Any

    @property
    def url(self) -> str:
        """Where it is."""
        return f"s3://{self.name}"

    def put(self, name: str, data: bytes) -> None:
        """An object."""
        self.fs.pipe_file(f"{self.name}/{name}", data)

    def asked(self, beginning: str) -> int:
        """How many requests of a kind there were: "GET /", ..."""
        return sum(request.startswith(beginning) for request in self.front.requests)

    def fail(self, times: int, status: str = "503 SlowDown", where: str = "") -> None:
        """The next so many requests that hold `where` fail."""
        left = iter(range(times))
        self.front.failing = lambda request: status if where in request and next(left, None) is not None else None


class Server:
    """One server for all tests of a process: fsspec keeps its connections."""

    def __init__(self) -> None:
        self.front = Front()
        self._server = make_server("127.0.0.1", 0, self.front, threaded=True, request_handler=_Silent)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop it."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def bucket(self, monkeypatch: pytest.MonkeyPatch) -> Bucket:
        """A new bucket, and the settings by which clients find it."""
        import s3fs

        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{self._server.server_port}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "stand-in")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "stand-in")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
        s3fs.S3FileSystem.clear_instance_cache()
        self.front.failing = lambda request: None
        bucket = Bucket(f"bucket-{next(_numbers)}", self.front, s3fs.S3FileSystem(use_listings_cache=False))
        bucket.fs.mkdir(bucket.name)
        self.front.requests.clear()
        return bucket
