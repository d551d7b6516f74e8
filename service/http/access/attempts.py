"""Guessing slowed down: an address that tried many wrong tokens has to wait."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, ip_network

from starlette.types import Scope

from ..errors import ApiError
from .proxies import parse_address

GUESSES, WINDOW = 10, 60.0  # wrong tokens of one address within that many seconds
_ADDRESSES = 4096  # remembered; the one heard of longest ago is forgotten first


class Attempts:
    """Counts wrong tokens by address (IPv6: by /64, which is one household).

    The same wrong token again is no guess: a program left running with a token that was revoked does not lock out
    those who share its address. clock: seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._wrong: OrderedDict[str, dict[bytes, float]] = OrderedDict()  # address -> digest of a token -> when

    def check(self, scope: Scope) -> None:
        """Raises ApiError 429 for an address that has to wait."""
        recent = self._recent(_source(scope))
        if len(recent) >= GUESSES:
            wait = min(recent.values()) + WINDOW - self._clock()
            raise ApiError(
                429, "too_many_attempts", "too many wrong tokens from this address: wait a minute", retry_after=wait
            )

    def failed(self, scope: Scope, digest: bytes) -> None:
        """Remember a wrong token, by a digest."""
        source = _source(scope)
        self._wrong[source] = {**self._recent(source), digest: self._clock()}
        self._wrong.move_to_end(source)
        while len(self._wrong) > _ADDRESSES:
            self._wrong.popitem(last=False)

    def _recent(self, source: str) -> dict[bytes, float]:
        since = self._clock() - WINDOW
        return {digest: when for digest, when in self._wrong.get(source, {}).items() if when > since}


def _source(scope: Scope) -> str:
    host = scope["client"][0] if scope.get("client") else ""
    address = parse_address(host)
    return str(ip_network((int(address) >> 64 << 64, 64))) if isinstance(address, IPv6Address) else host
