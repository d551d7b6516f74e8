"""A company login: JSON Web Tokens that its server signed."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import jwt
from starlette.types import Scope

from ....models.errors import SettingsError
from ..errors import ApiError
from ..settings import Access
from .callers import unauthenticated
from .key_sets import KeySet, PublicKey, discover_keys, fetch_keys, is_safe_url, read_key_file
from .sign_in import Credential

_LEEWAY = 60  # seconds by which two machines' clocks may differ
_LONGEST_SUBJECT = 256


class CompanyLogin:
    """Verifies tokens of one issuer, made for one audience, with the issuer's keys."""

    hint = "Paste a token of your company's login."

    def __init__(self, issuer: str, audience: str, keys: KeySet) -> None:
        self._issuer, self._audience, self._keys = issuer, audience, keys

    @classmethod
    def of(cls, access: Access) -> CompanyLogin:
        """As the settings say. Raises SettingsError: an address without https, or a key file that is none."""
        issuer, source = access.oidc_issuer or "", access.oidc_jwks
        if not is_safe_url(issuer):
            raise SettingsError(f"--oidc-issuer: expected an https address, got {issuer!r}")
        if source is None:
            load = partial(discover_keys, issuer)
        elif "://" not in source:
            load = partial(read_key_file, Path(source))
            load()  # a file that is wrong is told at the start
        elif is_safe_url(source):
            load = partial(fetch_keys, source)
        else:
            raise SettingsError(f"--oidc-jwks: expected an https address or a file, got {source!r}")
        return cls(issuer, access.oidc_audience or "", KeySet(load))

    async def verify(self, token: str, scope: Scope) -> Credential:
        """ "oidc:<sub>". Raises ApiError: 401, or 503 while the issuer's keys cannot be had."""
        try:
            key = await self._keys.find(jwt.get_unverified_header(token).get("kid"))
            if key is None:
                raise jwt.InvalidKeyError("signed with a key that the issuer does not publish")
            claims = self._decode(token, key)
        except jwt.PyJWTError as error:
            raise _refused(error) from error
        return Credential(f"oidc:{_subject(claims)}", self._mark(), float(claims["exp"]))

    def holds(self, credential: Credential) -> bool:
        """Whether a cookie was made from a token of this issuer for this audience; its end it tells by itself."""
        return credential.ends is not None and credential.mark == self._mark()

    def _decode(self, token: str, key: PublicKey) -> dict[str, Any]:
        return jwt.decode(
            token,
            key.key,
            algorithms=key.algorithms,
            issuer=self._issuer,
            audience=self._audience,
            leeway=_LEEWAY,
            options={"require": ["exp", "sub", "iss", "aud"]},
        )

    def _mark(self) -> str:
        return f"{self._issuer} {self._audience}"


def _subject(claims: dict[str, Any]) -> str:
    subject = claims["sub"]
    if not isinstance(subject, str) or not 1 <= len(subject) <= _LONGEST_SUBJECT or not subject.isprintable():
        raise unauthenticated(f"expected a token whose sub is 1 to {_LONGEST_SUBJECT} printable characters")
    return subject


def _refused(error: jwt.PyJWTError) -> ApiError:
    if isinstance(error, jwt.ExpiredSignatureError):
        return unauthenticated("that token has expired: sign in with the company login again")
    return unauthenticated(f"that token is not valid here ({type(error).__name__})")
