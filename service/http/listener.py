"""The sockets the service listens on, bound before anything else is begun."""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Sequence

from ...models.errors import SettingsError

_NO_SUCH_ADDRESS = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)  # IPv6 is named in many places that do not have it


def bind(host: str, port: int) -> tuple[socket.socket, ...]:
    """A socket for each address of a host: bound and not yet listening, so that callers are still turned away.

    Port 0 is a free port, the same for all of them. Raises SettingsError for a host or a port that cannot be had.
    """
    sockets: list[socket.socket] = []
    failure: OSError | None = None
    try:
        for family, address in _addresses(host, port):
            try:
                sockets.append(_bound(family, (address, sockets[0].getsockname()[1] if sockets else port)))
            except OSError as error:
                if error.errno not in _NO_SUCH_ADDRESS:
                    raise
                failure = error
        if not sockets and failure is not None:
            raise failure
    except OSError as error:
        for bound in sockets:
            bound.close()
        raise explain(error, host, port) from error
    return tuple(sockets)


def explain(error: OSError, host: str, port: int) -> SettingsError:
    """What it means that an address could not be listened on."""
    if error.errno == errno.EADDRINUSE:
        return SettingsError(f"port {port} is in use on {host}: choose another with --port, or stop who has it")
    if error.errno == errno.EACCES:
        return SettingsError(f"port {port} is not for this user: choose one above 1023 with --port")
    if error.errno in _NO_SUCH_ADDRESS:
        return SettingsError(f"--host {host}: expected an address of this machine, such as 127.0.0.1 or 0.0.0.0")
    return SettingsError(f"--host {host} --port {port}: {error.strerror or error}")


def address(host: str, sockets: Sequence[socket.socket]) -> str:
    """The address of the service as a browser takes it: http://127.0.0.1:7860."""
    name = host.strip("[]")
    return f"http://{f'[{name}]' if ':' in name else name}:{sockets[0].getsockname()[1]}"


def _addresses(host: str, port: int) -> list[tuple[socket.AddressFamily, str]]:
    try:
        found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError) as error:
        raise SettingsError(f"--host {host}: expected an address or a name of this machine: it is not known") from error
    return list(dict.fromkeys((family, str(where[0])) for family, _, _, _, where in found))


def _bound(family: socket.AddressFamily, where: tuple[str, int]) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix" and sys.platform != "cygwin":  # elsewhere this would let two servers share a port
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.setblocking(False)
        made.bind(where)
    except OSError:
        made.close()
        raise
    return made
