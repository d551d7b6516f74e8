"""A Ray cluster, as batches and the HTTP service use it: getting there, and what each actor takes of it."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...models.errors import MissingExtraError, SettingsError

if TYPE_CHECKING:
    from ..segmenter import Segmenter

LOCAL = "local"
_KNOCKING = 10.0  # seconds for the cluster to answer
_EMPTY_SETTINGS = b"\0\0\0\x04\0\0\0\0\0"  # a frame: length 0, type 4, no flags, stream 0

MakeOpener = Callable[[int], Callable[[], "Segmenter"]]  # what opens a segmenter there, for a number of threads


@dataclass(frozen=True)
class Share:
    """What an actor takes of its machine."""

    cpus: int
    gpus: int


@contextmanager
def connected(address: str, workers: int | None) -> Generator[tuple[Share, int]]:
    """Be connected to the cluster at an address, or to one of this machine alone ("local"): each actor's share, count.

    workers: how many actors; None is one for each GPU or, where there are none, for each machine.
    Raises MissingExtraError without Ray, SettingsError when there is no such cluster or it is too small.
    """
    ray = _ray()
    _knock(address)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray would report to its makers
    try:
        ray.init(
            address,
            include_dashboard=False if address == LOCAL else None,
            log_to_driver=False,
            logging_level=logging.WARNING,
        )
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise SettingsError(f"--ray {address}: there is no such Ray cluster: {error}") from None
    try:
        yield _shares(ray.nodes(), workers)
    finally:
        ray.shutdown()


def _knock(address: str) -> None:
    """Raises SettingsError when no Ray answers at host:port; Ray would go on trying for minutes, deaf to Ctrl-C."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or "/" in host:  # local, auto, or an address of another kind
        return
    try:
        with socket.create_connection((host.strip("[]"), int(port)), _KNOCKING) as connection:
            speaks = os.environ.get("RAY_USE_TLS") == "1" or _speaks_http2(connection)
    except (OSError, OverflowError) as error:
        raise SettingsError(f"--ray {address}: there is no such Ray cluster: {error}") from None
    if not speaks:
        raise SettingsError(f"--ray {address}: what answers there is no Ray cluster")


def _speaks_http2(connection: socket.socket) -> bool:
    """Whether a connection's other end greets as HTTP/2 has it, on which Ray's gRPC runs (RFC 9113, section 3.4)."""
    connection.settimeout(_KNOCKING)
    connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _EMPTY_SETTINGS)
    head = b""
    while len(head) < len(_EMPTY_SETTINGS) and (more := connection.recv(len(_EMPTY_SETTINGS) - len(head))):
        head += more
    return head[3:4] == _EMPTY_SETTINGS[3:4] and len(head) == len(_EMPTY_SETTINGS)


def _ray() -> Any:
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise MissingExtraError(f"--ray needs Ray ({error}): pip install 'clickmask[ray]'") from None
    return ray


def _shares(nodes: Sequence[Mapping[str, Any]], workers: int | None) -> tuple[Share, int]:
    """What each actor takes, and how many there are."""
    alive = [node["Resources"] for node in nodes if node["Alive"]]
    gpus = int(sum(node.get("GPU", 0) for node in alive))
    cpus = [int(node.get("CPU", 0)) for node in alive if node.get("CPU", 0) >= 1]
    if gpus:
        return Share(1, 1), min(workers or gpus, gpus)
    count = workers or len(cpus)
    if sum(cpus) < count or not cpus:
        raise SettingsError(f"--ray: {count} workers need a CPU each, the cluster has {sum(cpus)}")
    each = max(1, sum(cpus) // count)
    while sum(node // each for node in cpus) < count:  # an actor lies on one machine
        each -= 1
    return Share(each, 0), count
