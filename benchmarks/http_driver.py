"""A lean HTTP client for load: the driver shares the machine with the server, so it must cost little itself."""

from __future__ import annotations

import asyncio
import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
IDLE = 3.0  # seconds after which a connection is not used again; uvicorn's own limit is 5
_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
_COOKIE = re.compile(rb"set-cookie: ([^;\r]+)", re.IGNORECASE)


@dataclass
class Answer:
    """Status, body, and seconds from the first byte sent to the last one received."""

    status: int
    body: bytes
    seconds: float

    def json(self) -> Any:
        """The body, read."""
        return json.loads(self.body)


class Connection:
    """One kept-alive connection, with its own cookie as a browser has it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._cookie, self._used = b"", 0.0

    async def send(self, method: str, path: str, body: bytes = b"") -> Answer:
        """One request. Raises OSError or IncompleteReadError when the connection breaks."""
        if self._streams is not None and time.perf_counter() - self._used > IDLE:
            self.close()  # the server may be closing it just now
        answer = await self._send(method, path, body)
        self._used = time.perf_counter()
        return answer

    async def _send(self, method: str, path: str, body: bytes) -> Answer:
        started = time.perf_counter()
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\nContent-Length: {len(body)}\r\n".encode()
        kind = b"Content-Type: application/json\r\n" if body[:1] == b"{" else b""
        writer.write(head + kind + self._cookie + b"\r\n" + body)
        try:
            answer = await reader.readuntil(b"\r\n\r\n")
            length = _LENGTH.search(answer)
            content = await reader.readexactly(int(length[1])) if length else b""
        except BaseException:
            self.close()
            raise
        if cookie := _COOKIE.search(answer):
            self._cookie = b"Cookie: " + cookie[1] + b"\r\n"
        if b"connection: close" in answer.lower():
            self.close()
        return Answer(int(answer[9:12]), content, time.perf_counter() - started)

    async def post(self, path: str, value: object) -> Answer:
        """JSON out."""
        return await self.send("POST", path, json.dumps(value).encode())

    def close(self) -> None:
        """Let go of the connection; the next request makes a new one."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


@dataclass
class Server:
    """A server process under measurement."""

    name: str
    port: int
    process: subprocess.Popen[bytes]

    def cpu(self) -> float:
        """Seconds of processor time it has used, its children included."""
        total = 0.0
        for pid in [self.process.pid, *_children(self.process.pid)]:
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return total

    def memory(self) -> float:
        """MB resident."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in text.split()]


@asynccontextmanager
async def serving(name: str, command: Sequence[str], port: int, ready: str) -> AsyncIterator[Server]:
    """Start a server, wait until `ready` answers 200, and end it afterwards."""
    quiet = subprocess.DEVNULL
    process = subprocess.Popen([sys.executable, *command], cwd=HERE.parent, stderr=quiet, stdout=quiet)
    try:
        connection, deadline = Connection(port), time.monotonic() + 90
        while True:
            try:
                if (await connection.send("GET", ready)).status == 200:
                    break
            except (OSError, asyncio.IncompleteReadError):
                pass
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{name} did not start: {' '.join(command)}")
            await asyncio.sleep(0.2)
        connection.close()
        yield Server(name, port, process)
    finally:
        process.terminate()
        process.wait(40)


@dataclass
class Times:
    """Answers of one sort: seconds of the good ones, and how many there were of each status."""

    seconds: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    refusals: list[float] = field(default_factory=list)

    def add(self, answer: Answer) -> None:
        """Count one."""
        self.statuses[answer.status] = self.statuses.get(answer.status, 0) + 1
        if answer.status < 300:
            self.seconds.append(answer.seconds)
        elif answer.status in (429, 503):  # a 504 comes when its deadline has passed
            self.refusals.append(answer.seconds)

    def at(self, share: float, of: Sequence[float] | None = None) -> float:
        """Milliseconds that this share of the good ones stayed below."""
        ordered = sorted(self.seconds if of is None else of)
        return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def median_ms(seconds: Sequence[float]) -> float:
    """Milliseconds."""
    return 1000 * statistics.median(seconds)
