"""Run `clickmask ui` where there is no network, use it, and tell what it tried to reach. Prints JSON.

In a process of its own, and where the system lets us in a network namespace of its own, in which there is nothing but
loopback. Names that are looked up, and connections to anywhere else, are noted by an audit hook all the same.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import sys
import threading
import time
from pathlib import Path
from typing import Any

TRIED: list[str] = []
HERE = ("127.0.0.1", "::1", "localhost", "0.0.0.0", "", None)


def raise_loopback() -> None:
    """A new namespace's loopback is down."""
    import fcntl

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, 0x8914, struct.pack("16sH14x", b"lo", 0x1 | 0x40))  # SIOCSIFFLAGS, up and running


def note(event: str, arguments: tuple[Any, ...]) -> None:
    """Names and addresses that are not this machine's."""
    if event == "socket.getaddrinfo" and arguments[0] not in HERE:
        TRIED.append(f"name {arguments[0]}")
    elif event in ("socket.connect", "socket.sendto") and isinstance(arguments[1], tuple):
        if arguments[1][0] not in HERE:
            TRIED.append(f"address {arguments[1]}")


def use(log: Path, photo: Path) -> None:
    """Wait for the service, take the page and a mask from it, and end the process with what there is to tell."""
    import httpx

    while "clickmask serves" not in (text := log.read_text()):
        time.sleep(0.05)
    url = text.partition(" at ")[2].split()[0]
    parts = {"file": photo.read_bytes(), "prompts": (None, '{"objects": [{"points": [[290, 300]]}]}')}
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
        page, config = client.get("/ui/"), client.get("/ui/config")
        mask = client.post("/v1/segment", files=parts)
    statuses = [page.status_code, config.status_code, mask.status_code]
    sys.stdout.write(json.dumps({"statuses": statuses, "tried": TRIED}))
    sys.stdout.flush()
    os._exit(0)


def main(folder: Path, photo: Path, is_apart: bool) -> None:
    """The service on the main thread, its user on another."""
    if is_apart:
        raise_loopback()
    log = folder / "log"
    os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT, 0o600), 2)
    sys.addaudithook(note)
    threading.Thread(target=use, args=(log, photo), daemon=True).start()
    sys.argv = ["clickmask", "ui", "--port", "0", "--state-dir", str(folder / "state")]
    from clickmask.ui.cli import main as run

    run()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] == "apart")
