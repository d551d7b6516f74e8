"""What every way to know callers answers to, and the ways that need no sign-in."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.types import Scope

from ..errors import ApiError
from .cookies import BROWSER_COOKIE, YEAR, SignedCookie
from .proxies import Network, direct_peer, is_listed, parse_address

_LONGEST_NAME = 256


@dataclass(frozen=True)
class Identity:
    """Who calls, such as "token:ann", and the `Set-Cookie` value that the answer must carry, if any."""

    caller: str
    cookie: str | None = None


class Callers:
    """A way to know callers.

    signs_in: whether `POST /v1/session` turns a token into a cookie. hint: where people have that token from.
    """

    signs_in = False
    hint = ""

    async def identify(self, scope: Scope) -> Identity:
        """Who sent this request. Raises ApiError: 401, or what else stands in the way."""
        raise NotImplementedError

    async def sign_in(self, token: str, scope: Scope) -> Identity:
        """Who has that token, with the cookie to set. Raises ApiError: 401, 429, or 404 where nobody signs in."""
        raise ApiError(404, "not_found", "nobody signs in here: this server knows its callers in another way")

    def sign_out(self, scope: Scope) -> str:
        """The `Set-Cookie` value that ends a sign-in. Raises ApiError 404 where nobody signs in."""
        raise ApiError(404, "not_found", "nobody signs in here: this server knows its callers in another way")


class LocalCallers(Callers):
    """Only this machine may call, and everybody on it is one caller: "local"."""

    async def identify(self, scope: Scope) -> Identity:
        """Always "local"."""
        return Identity("local")


class HeaderCallers(Callers):
    """A proxy in front knows who calls and says so in a header; from any other sender that header is worth nothing."""

    def __init__(self, header: str, proxies: Sequence[Network]) -> None:
        self._header, self._proxies = header.lower().encode("latin-1"), tuple(proxies)

    async def identify(self, scope: Scope) -> Identity:
        """ "header:<value>". Raises ApiError 401: not from a listed proxy, or not exactly one printable name."""
        address = parse_address(direct_peer(scope))
        if address is None or not is_listed(address, self._proxies):
            raise unauthenticated("expected to be called through the proxy that tells who calls")
        values = [value for name, value in scope["headers"] if name == self._header]
        if len(values) != 1:
            raise unauthenticated(f"expected one header from the proxy that tells who calls, got {len(values)}")
        return Identity(f"header:{_printable(values[0])}")


class PublicCallers(Callers):
    """Everybody may call. A browser is known again by a signed cookie; who sends none is somebody new each time."""

    def __init__(self, secret: bytes) -> None:
        self._cookie = SignedCookie(secret, BROWSER_COOKIE, max_age=YEAR, same_site="Lax")

    async def identify(self, scope: Scope) -> Identity:
        """ "browser:<random>", new and with its cookie where the request brought none that holds."""
        known = self._cookie.read(scope)
        if isinstance(known, str):
            return Identity(f"browser:{known}")
        browser = secrets.token_urlsafe(16)
        return Identity(f"browser:{browser}", self._cookie.write(scope, browser))


def unauthenticated(message: str) -> ApiError:
    """The 401 that asks for credentials."""
    return ApiError(401, "unauthenticated", message)


def _printable(value: bytes) -> str:
    try:
        text = value.decode().strip()
    except UnicodeDecodeError:
        text = ""
    if not 1 <= len(text) <= _LONGEST_NAME or not text.isprintable():
        raise unauthenticated(f"expected a name of 1 to {_LONGEST_NAME} printable characters from the proxy")
    return text
