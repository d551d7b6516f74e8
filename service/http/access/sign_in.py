"""Callers with a token: in each request's `Authorization: Bearer`, or once, for a cookie."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol

from starlette.types import Scope

from .callers import Callers, Identity, unauthenticated
from .cookies import MONTH, SESSION_COOKIE, SignedCookie

_LONGEST_TOKEN = 16384


@dataclass(frozen=True)
class Credential:
    """What a token proved: who calls, a mark to know it by later, and when it ends (Unix time; None: never)."""

    caller: str
    mark: str
    ends: float | None = None


class Verifier(Protocol):
    """What knows good tokens. hint: where people have theirs from."""

    hint: str

    async def verify(self, token: str, scope: Scope) -> Credential:
        """Whose token that is. Raises ApiError."""
        ...

    def holds(self, credential: Credential) -> bool:
        """Whether a cookie made from that credential still counts."""
        ...


class SignInCallers(Callers):
    """Bearer tokens and sign-in cookies. Where a request brings both, the token decides."""

    signs_in = True

    def __init__(self, verifier: Verifier, secret: bytes) -> None:
        self._verifier, self.hint = verifier, verifier.hint
        self._cookie = SignedCookie(secret, SESSION_COOKIE, max_age=MONTH, same_site="Strict")

    async def identify(self, scope: Scope) -> Identity:
        """Whose token or cookie it is. Raises ApiError: 401, or what the verifier raises."""
        token = _bearer(scope)
        if token is not None:
            return Identity((await self._verify(token, scope)).caller)
        saved = self._cookie.read(scope)
        if not isinstance(saved, list) or len(saved) != 3:
            raise unauthenticated("expected `Authorization: Bearer <token>` or a valid sign-in cookie, got neither")
        credential = Credential(*saved)
        ended = credential.ends is not None and credential.ends <= time.time()
        if ended or not self._verifier.holds(credential):
            raise unauthenticated("this sign-in has ended: sign in again")
        return Identity(credential.caller)

    async def sign_in(self, token: str, scope: Scope) -> Identity:
        """The token's owner, with a cookie that lasts 30 days, or as long as the token if that is less."""
        credential = await self._verify(token.strip(), scope)
        left = None if credential.ends is None else max(0, int(credential.ends - time.time()))
        saved = (credential.caller, credential.mark, credential.ends)
        return Identity(credential.caller, self._cookie.write(scope, saved, max_age=left))

    def sign_out(self, scope: Scope) -> str:
        """The `Set-Cookie` value that ends it in that browser."""
        return self._cookie.clear(scope)

    async def _verify(self, token: str, scope: Scope) -> Credential:
        if not 1 <= len(token) <= _LONGEST_TOKEN or not token.isascii() or not token.isprintable():
            raise unauthenticated(f"expected a token of at most {_LONGEST_TOKEN} printable ASCII characters")
        return await self._verifier.verify(token, scope)


def _bearer(scope: Scope) -> str | None:
    """The token in `Authorization`; None without that header or with another scheme, which is meant for a proxy."""
    values = [value.decode("latin-1") for name, value in scope["headers"] if name == b"authorization"]
    if len(values) > 1:
        raise unauthenticated(f"expected one Authorization header, got {len(values)}")
    for value in values:
        scheme, _, token = value.strip().partition(" ")
        if scheme.lower() == "bearer":
            return token.strip()
    return None
