"""What a proxy in front changes about a request, put right again, if that proxy is listed."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from starlette.types import ASGIApp, Receive, Scope, Send

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

_PEER = "clickmask.peer"


class ProxyMiddleware:
    """The outermost layer: who called, how, and for which path, as it was in front of the listed proxies.

    From a listed peer alone: `X-Forwarded-For` (its right-most address that is not itself listed) becomes the client,
    `X-Forwarded-Proto` and `X-Forwarded-Host` (their last values) scheme and host. `Forwarded` is not read.
    root_path: the sub-path under which the service is shown. The proxy may strip it or keep it: the scope's path
    includes it either way, as ASGI wants.
    """

    def __init__(self, app: ASGIApp, proxies: Sequence[Network] = (), root_path: str = "") -> None:
        self._app, self._proxies, self._root_path = app, tuple(proxies), root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with what was found out."""
        if scope["type"] == "http":
            peer = scope["client"][0] if scope.get("client") else ""
            scope = {**scope, _PEER: peer}
            address = parse_address(peer)
            if address is not None and is_listed(address, self._proxies):
                self._rewrite(scope)
            if self._root_path:
                self._place(scope)
        await self._app(scope, receive, send)

    def _rewrite(self, scope: Scope) -> None:
        client = self._client(_values(scope, b"x-forwarded-for"))
        if client is not None:
            scope["client"] = (str(client), 0)
        scheme = _values(scope, b"x-forwarded-proto")[-1:]
        if scheme in (["http"], ["https"]):
            scope["scheme"] = scheme[0]
        for host in _values(scope, b"x-forwarded-host")[-1:]:
            others = [(name, value) for name, value in scope["headers"] if name != b"host"]
            scope["headers"] = [(b"host", host.encode("latin-1")), *others]

    def _client(self, chain: list[str]) -> Address | None:
        # Each proxy adds on the right whom it was called by: what stands left of an unlisted address, it made up.
        client = None
        for text in reversed(chain):
            address = parse_address(text)
            if address is None:
                break
            client = address
            if not is_listed(address, self._proxies):
                break
        return client

    def _place(self, scope: Scope) -> None:
        # uvicorn, given a root_path of its own, puts it before every path it gets.
        added, root = scope.get("root_path", ""), self._root_path
        scope["path"] = _rooted(scope["path"].removeprefix(added), root)
        if scope.get("raw_path") is not None:
            raw = scope["raw_path"].decode("latin-1").removeprefix(added)
            scope["raw_path"] = _rooted(raw, root).encode("latin-1")
        scope["root_path"] = root


def direct_peer(scope: Scope) -> str:
    """The address that the connection came from, whatever headers say; empty if unknown."""
    if _PEER in scope:
        return scope[_PEER]
    return scope["client"][0] if scope.get("client") else ""


def parse_address(text: str) -> Address | None:
    """An address, maybe with a port ("10.0.0.7:80", "[::1]:80"); IPv4 within IPv6 is IPv4. None: it is none."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def is_listed(address: Address, networks: Sequence[Network]) -> bool:
    """Whether the address lies in one of the networks."""
    return any(address in network for network in networks)


def _values(scope: Scope, header: bytes) -> list[str]:
    """The comma-separated values of all headers of that name, in their order."""
    found = [value.decode("latin-1") for name, value in scope["headers"] if name == header]
    return [value.strip() for value in ",".join(found).split(",") if value.strip()]


def _rooted(path: str, root: str) -> str:
    """The path with its root before it, once."""
    return path if path == root or path.startswith(root + "/") else root + path
