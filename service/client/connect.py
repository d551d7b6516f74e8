"""From an address and a token to a `Link`; everything that can be wrong about them is said here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ...models.errors import MissingExtraError, SettingsError
from ..version import version
from .link import Link
from .transport import Transport

if TYPE_CHECKING:
    import httpx


def connect(
    url: str,
    *,
    token: str | None,
    timeout: float,
    headers: Mapping[str, str] | None,
    model: str | None,
    transport: httpx.BaseTransport | httpx.AsyncBaseTransport | None,
    blocking: bool,
) -> Link:
    """The way to the service at `url`; nothing is sent yet.

    Raises:
        SettingsError: an address, token or time-out that cannot be used. MissingExtraError: httpx is not installed.
    """
    base, address = _checked_url(url)
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not 0 < timeout < math.inf:
        raise SettingsError(f"timeout: expected seconds, more than 0, got {timeout!r}")
    sent = {"accept": "application/json", "user-agent": f"clickmask/{version()}", **_lower(headers or {})}
    if token is not None:
        sent["authorization"] = f"Bearer {_checked_token(token)}"
    return Link(_transport(base, transport, blocking), address, headers=sent, timeout=timeout, model=model)


def _transport(base: str, inner: httpx.BaseTransport | httpx.AsyncBaseTransport | None, blocking: bool) -> Transport:
    try:
        import httpx
    except ModuleNotFoundError as error:
        if error.name != "httpx":
            raise
        raise MissingExtraError("a client of the service needs httpx: pip install 'clickmask[client]'") from None
    from .httpx_transports import AsyncTransport, BlockingTransport

    wanted = httpx.BaseTransport if blocking else httpx.AsyncBaseTransport
    if inner is not None and not isinstance(inner, wanted):
        raise SettingsError(f"transport: expected an httpx.{wanted.__name__}, got {type(inner).__name__}")
    if isinstance(inner, httpx.AsyncBaseTransport) and not blocking:
        return AsyncTransport(base, inner)
    if isinstance(inner, httpx.BaseTransport) and blocking:
        return BlockingTransport(base, inner)
    return BlockingTransport(base, None) if blocking else AsyncTransport(base, None)


def _checked_url(url: str) -> tuple[str, str]:
    """The address to send to, and the one to speak of, which tells no password."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except (ValueError, TypeError, AttributeError):
        raise SettingsError(f"url: expected http://host[:port][/path], got {url!r}") from None
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
        raise SettingsError(f"url: expected http://host[:port][/path], got {url!r}")
    name = f"[{host}]" if ":" in host else host
    place = name if port is None else f"{name}:{port}"
    return url.rstrip("/"), f"{parts.scheme}://{place}{parts.path.rstrip('/')}"


def _checked_token(token: str) -> str:
    if not isinstance(token, str) or not token.isascii() or not token.isprintable() or not token or " " in token:
        raise SettingsError(
            "token: expected printable ASCII without spaces; the server's token file has it after the :"
        )
    return token


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
