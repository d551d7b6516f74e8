"""Host names and origins, as they stand in headers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import ip_address
from urllib.parse import urlsplit

from ...models.errors import SettingsError

_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?")
_PATTERN = re.compile(r"\*|(\*\.)?[a-z0-9._-]+|\[[0-9a-f:.]+\]")


class HostList:
    """The names a server answers to: "example.com", "*.example.com" (all below it), addresses, "*" (any).

    Ports do not count; upper and lower case are the same, and so are the ways to write one IPv6 address.
    """

    def __init__(self, names: Sequence[str]) -> None:
        """Raises SettingsError: a name that no `Host` header could match."""
        self._names = frozenset(_pattern(name) for name in names)

    def answers(self, host: str) -> bool:
        """Whether that is one of them. host: as `split_host` gives it."""
        if "*" in self._names or host in self._names:
            return True
        above = (host[index:] for index, letter in enumerate(host) if letter == ".")
        return any(f"*{name}" in self._names for name in above)


def split_host(text: str) -> tuple[str, int | None] | None:
    """Name (lower case; IPv6 in brackets, shortened) and port (None: not said) of a `Host` header; None: malformed."""
    match = _HOST.fullmatch(text)
    if match is None:
        return None
    name, port = match[1].lower(), match[2]
    if name.startswith("["):
        try:
            name = f"[{ip_address(name[1:-1])}]"
        except ValueError:
            return None
    return name.removesuffix("."), None if port is None else int(port)


def split_origin(text: str) -> tuple[str, str, int] | None:
    """Scheme, name and port of an `Origin` header; None: "null", or malformed."""
    scheme, separator, rest = text.partition("://")
    host = split_host(rest)
    if not separator or scheme not in _PORTS or host is None:
        return None
    return scheme, host[0], _PORTS[scheme] if host[1] is None else host[1]


def browser_origin(text: str) -> str:
    """An origin from the settings as browsers write it: lower case, without the port that the scheme implies."""
    parts = urlsplit(text.lower())
    implied = f":{_PORTS.get(parts.scheme)}"
    return f"{parts.scheme}://{parts.netloc.removesuffix(implied)}"


def _pattern(name: str) -> str:
    text = name.strip().lower()
    if ":" in text and not text.startswith("["):
        text = f"[{text}]"  # an IPv6 address as people write it
    host = split_host(text.removeprefix("*."))
    if not _PATTERN.fullmatch(text) or (text != "*" and host is None):
        raise SettingsError(
            f"--allowed-host: expected a name, *.name or an address, without port, or * for any; got {name!r}"
        )
    return text if host is None or text.startswith("*") else host[0]
