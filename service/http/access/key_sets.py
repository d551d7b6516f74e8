"""The public keys of a company login, fetched when needed and no more often than is decent."""

from __future__ import annotations

import asyncio
import json
import logging
import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from jwt import PyJWK, PyJWKSet
from jwt.exceptions import PyJWTError

from ....models.errors import SettingsError
from ..errors import ApiError
from ..settings import is_loopback

_LOG = logging.getLogger("clickmask.access.keys")
_TIMEOUT, _LONGEST = 5.0, 1 << 20  # of one fetch: seconds, bytes
# Seconds since the last fetch, or try, after which another may be made: for a key that is known (it may have been
# withdrawn), for one that is not (anybody can name one), and while there are none at all.
_RENEW, _UNKNOWN, _RETRY = 300.0, 60.0, 5.0

# Signatures whose key cannot also make them: never "none", never HS256, for which a public key would do as the secret.
_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_CURVES = ("ES256", "ES384", "ES512", "EdDSA")


@dataclass(frozen=True)
class PublicKey:
    """A key, and the names of the only signatures it may check: chosen by its kind, never by a token."""

    key: Any
    algorithms: tuple[str, ...]


Keys = Mapping[str | None, PublicKey]  # by `kid`; under None the only one of a set of one


class KeySet:
    """Keys by their `kid`, from where `load` gets them: a blocking function, run in a thread.

    load raises OSError or ValueError when it gets none; keys that were got before then go on.
    """

    def __init__(self, load: Callable[[], Keys], clock: Callable[[], float] = time.monotonic) -> None:
        self._load, self._clock = load, clock
        self._keys: Keys = {}
        self._tried = float("-inf")
        self._fetch: asyncio.Task[None] | None = None

    async def find(self, kid: str | None) -> PublicKey | None:
        """The key of that name; None if there is none. Raises ApiError 503 while no keys can be had at all."""
        known = kid in self._keys
        pause = _RENEW if known else _UNKNOWN if self._keys else _RETRY
        if (self._fetch is None or self._fetch.done()) and self._clock() - self._tried >= pause:
            self._tried = self._clock()
            self._fetch = asyncio.create_task(self._renew())
        if not known and self._fetch is not None:
            await asyncio.shield(self._fetch)  # others wait for the same fetch; one that goes away does not end it
        if not self._keys:
            raise ApiError(
                503, "login_unavailable", "the company login's keys cannot be had at the moment", retry_after=_RETRY
            )
        return self._keys.get(kid)

    async def _renew(self) -> None:
        try:
            self._keys = await asyncio.to_thread(self._load)
        except (OSError, ValueError) as error:
            _LOG.error("the company login's keys could not be fetched; those known so far go on: %s", error)


def read_key_file(file: Path) -> Keys:
    """Keys from a JSON file ("JWKS"). Raises SettingsError."""
    try:
        return parse_keys(json.loads(file.read_bytes()))
    except (OSError, ValueError) as error:
        raise SettingsError(f"--oidc-jwks {file}: expected a JSON Web Key Set ({error})") from error


def fetch_keys(url: str) -> Keys:
    """Keys from a URL. Raises OSError or ValueError."""
    return parse_keys(_fetch_json(url))


def discover_keys(issuer: str) -> Keys:
    """Keys from where the issuer says that they are. Raises OSError or ValueError."""
    document = _fetch_json(issuer.rstrip("/") + "/.well-known/openid-configuration")
    if document.get("issuer") != issuer:
        raise ValueError(f"expected the configuration of {issuer!r}, got that of {document.get('issuer')!r}")
    url = str(document.get("jwks_uri"))
    if not is_safe_url(url):
        raise ValueError(f"expected an https address for the keys, got {url!r}")
    return fetch_keys(url)


def parse_keys(document: Any) -> Keys:
    """The keys for signatures in a key set's JSON. Raises ValueError if there are none."""
    try:
        found = [(key.key_id, _public_key(key)) for key in PyJWKSet.from_dict(document).keys if _signs(key)]
    except (PyJWTError, AttributeError) as error:
        raise ValueError(f"not a key set: {error}") from error
    if not found:
        raise ValueError("a key set without a key for signatures")
    keys: dict[str | None, PublicKey] = {kid: key for kid, key in found if kid is not None}
    if len(found) == 1:
        keys[None] = found[0][1]
    return keys


def is_safe_url(url: str) -> bool:
    """Whether nobody on the way can change what comes from there: https, or this machine."""
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))


def _signs(key: PyJWK) -> bool:
    return key.public_key_use in ("sig", None) and (key.key_type == "RSA" or key.algorithm_name in _CURVES)


def _public_key(key: PyJWK) -> PublicKey:
    return PublicKey(key.key, _RSA if key.key_type == "RSA" else (key.algorithm_name,))


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect could lead to an address that was not checked."""

    def redirect_request(self, *_: Any) -> None:
        """Never follow."""


def _fetch_json(url: str) -> dict[str, Any]:
    opener = urllib.request.build_opener(_NoRedirect)
    try:
        with opener.open(url, timeout=_TIMEOUT) as response:
            data = response.read(_LONGEST + 1)
    except (URLError, HTTPException) as error:
        if isinstance(error, HTTPError):
            error.close()
        raise OSError(f"{url}: {error}") from error
    if len(data) > _LONGEST:
        raise ValueError(f"{url}: more than {_LONGEST} bytes")
    document = json.loads(data)
    if not isinstance(document, dict):
        raise ValueError(f"{url}: expected a JSON object")
    return document
