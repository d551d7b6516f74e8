"""The table of ways to know callers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from ..settings import Access
from .callers import Callers, HeaderCallers, LocalCallers, PublicCallers
from .oidc import CompanyLogin
from .sign_in import SignInCallers
from .tokens import TokenFile

T = TypeVar("T")

_WAYS: dict[str, Callable[[Access, bytes], Callers]] = {
    "local": lambda access, secret: LocalCallers(),
    "token": lambda access, secret: SignInCallers(TokenFile(_set(access.token_file), secret), secret),
    "oidc": lambda access, secret: SignInCallers(CompanyLogin.of(access), secret),
    "header": lambda access, secret: HeaderCallers(_set(access.identity_header), access.proxies),
    "public": lambda access, secret: PublicCallers(secret),
}


def open_callers(access: Access, secret: bytes) -> Callers:
    """The way that the settings chose. Raises SettingsError: a file it needs is missing or wrong, or a URL unsafe."""
    return _WAYS[access.mode](access, secret)


def _set(value: T | None) -> T:
    assert value is not None  # the mode was chosen by its being set
    return value
