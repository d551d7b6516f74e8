"""The whole service as a process: nobody is let in too early, bad weights let nobody in, and a stop loses nothing."""

from __future__ import annotations

import asyncio
import random
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from load import CLICK, PATIENCE, PLAIN, Seen, Served, click, client_of, serving, starting, strip, upload
from stopping import check_stop

UNIX = pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")
RECORDED = "RECORDED "

# The command line, in a Python that writes down (and keeps from happening) whatever would leave the machine.
RECORDING = """
import sys

def hook(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        address = arguments[1]
    elif event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
        address = arguments
    else:
        return
    name = str(address[0]) if isinstance(address, tuple) else str(address)
    if name not in ("127.0.0.1", "::1", "localhost") and not name.startswith("/"):
        sys.stderr.write(f"RECORDED {event} {name}\\n")
        raise OSError("this machine has no network")

sys.addaudithook(hook)
if sys.argv[1] == "control":
    import socket
    for use in (lambda: socket.getaddrinfo("example.org", 80), lambda: socket.create_connection(("192.0.2.1", 80))):
        try:
            use()
        except OSError:
            pass
    raise SystemExit
from clickmask.service.cli import main
main()
"""


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


def _statuses_until_ready(served: Served, port: int) -> list[int]:
    """What /readyz answers from the process's first moment on; 0: nobody listens."""
    seen: list[int] = []
    end = time.monotonic() + PATIENCE
    while not seen or seen[-1] != 200:
        assert served.process.poll() is None and time.monotonic() < end
        try:
            seen.append(httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=5, trust_env=False).status_code)
        except httpx.TransportError:
            seen.append(0)
        time.sleep(0.02)
    return seen


def _recorded(served: Served) -> list[str]:
    return [line for line in served.log.read_text().splitlines() if line.startswith(RECORDED)]


@UNIX
def test_service_is_ready_only_when_it_answers_and_talks_to_nobody_else(tmp_path: Path) -> None:
    port = _free_port()
    with starting(tmp_path, port=port, command=(sys.executable, "-c", RECORDING)) as served:
        seen = _statuses_until_ready(served, port)
        assert seen[0] == 0 and set(seen) <= {0, 503, 200}
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE, trust_env=False) as client:
            image = client.post("/v1/images", content=strip(1)).json()["id"]
            assert client.post(f"/v1/images/{image}/masks", json=CLICK).status_code == 200
            for path in ("/docs", "/metrics", "/openapi.json", "/v1/models"):
                assert client.get(path).status_code == 200
        served.process.send_signal(signal.SIGTERM)
        assert served.code() == 0
        assert _recorded(served) == []


def test_talk_to_others_would_be_noticed(tmp_path: Path) -> None:
    words = [sys.executable, "-c", RECORDING, "control"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE)
    assert done.stderr.splitlines() == [
        "RECORDED socket.getaddrinfo example.org",
        "RECORDED socket.getaddrinfo 192.0.2.1",
    ]


def _bad_weights(folder: Path) -> dict[str, Path]:
    """Files that are not, or not any more, a model: by what is wrong with them."""
    import pickle

    import torch

    from clickmask.models import weights

    (whole,) = (Path(weights.__path__[0])).glob("*.safetensors")
    data = whole.read_bytes()
    head = bytearray(data[:4096])
    head[20] ^= 0xFF

    class Payload:
        def __reduce__(self) -> Any:
            return open, (str(folder / "canary"), "w")

    files = {
        "truncated": ("a.safetensors", data[: len(data) // 2]),
        "flipped": ("b.safetensors", bytes(head) + data[4096:]),
        "payload": ("c.pth", pickle.dumps(Payload())),
    }
    for name, content in files.values():
        (folder / name).write_bytes(content)
    torch.save({"model": Payload()}, folder / "d.pth")
    return {name: folder / file for name, (file, _) in files.items()} | {"saved payload": folder / "d.pth"}


@pytest.mark.soak
def test_weights_that_are_damaged_or_malicious_let_nobody_in(tmp_path: Path) -> None:
    with ExitStack() as stack:
        trials = []
        for path in _bad_weights(tmp_path).values():
            port = _free_port()
            words = (*PLAIN, "--model", str(path))
            trials.append((path, port, stack.enter_context(starting(tmp_path, words, port=port))))
        for path, port, served in trials:
            assert served.code() == 2, path
            text = served.log.read_text()
            assert text.startswith("Error: ") and path.name in text and "Traceback" not in text
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
    assert not (tmp_path / "canary").exists()


@UNIX
def test_stop_under_load_answers_what_was_admitted_and_refuses_the_rest(tmp_path: Path) -> None:
    """At one random moment; the long form takes twenty."""
    statuses = check_stop(tmp_path, random.uniform(0.2, 0.9))
    assert statuses[200] > 0 and statuses[503] > 0


@UNIX
def test_process_that_is_killed_loses_what_was_admitted(tmp_path: Path) -> None:
    """The negative control."""

    async def ask(served: Served) -> list[Seen]:
        async with client_of(served.url) as client:
            image = (await upload(client, strip(1))).body["id"]
            asked = [asyncio.create_task(click(client, image)) for _ in range(12)]
            await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
            served.process.kill()
            return await asyncio.gather(*asked)

    with serving(tmp_path) as served:
        statuses = Counter(one.status for one in asyncio.run(ask(served)))
    assert statuses[0] > 0
