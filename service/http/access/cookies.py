"""Cookies that only this server, or one with the same secret, can have made."""

from __future__ import annotations

import hashlib
from http.cookies import SimpleCookie
from typing import Any

from itsdangerous import BadData, URLSafeTimedSerializer
from starlette.requests import HTTPConnection
from starlette.types import Scope

from ..secret import sign

SESSION_COOKIE, BROWSER_COOKIE = "clickmask_session", "clickmask_browser"
MONTH, YEAR = 30 * 86400, 365 * 86400  # seconds


class SignedCookie:
    """One cookie: its name, how long it holds (seconds), and `SameSite`. Scripts never see it (HttpOnly)."""

    def __init__(self, secret: bytes, name: str, *, max_age: int, same_site: str) -> None:
        self._name, self._max_age, self._same_site = name, max_age, same_site
        self._serializer = URLSafeTimedSerializer(
            sign(secret, "cookie", name), salt=name, signer_kwargs={"digest_method": hashlib.sha256}
        )

    def read(self, scope: Scope) -> Any:
        """What the request's cookie says; None without one, or when it is forged, damaged or too old."""
        text = HTTPConnection(scope).cookies.get(self._name)
        if text is None:
            return None
        try:
            return self._serializer.loads(text, max_age=self._max_age)
        except BadData:
            return None

    def write(self, scope: Scope, value: Any, *, max_age: int | None = None) -> str:
        """The `Set-Cookie` value that makes the browser keep `value` (of JSON's kinds) for max_age seconds at most."""
        text = self._serializer.dumps(value)
        lifetime = self._max_age if max_age is None else min(max_age, self._max_age)
        return self._set(scope, text if isinstance(text, str) else text.decode(), lifetime)

    def clear(self, scope: Scope) -> str:
        """The `Set-Cookie` value that makes the browser forget it."""
        return self._set(scope, "", 0)

    def _set(self, scope: Scope, text: str, lifetime: int) -> str:
        cookie = SimpleCookie({self._name: text})
        parts = cookie[self._name]
        # A mounted app's root_path is longer; the cookie is for the whole service.
        parts["path"] = scope.get("app_root_path", scope.get("root_path", "")) or "/"
        parts["max-age"] = lifetime
        parts["httponly"] = True
        parts["samesite"] = self._same_site
        parts["secure"] = scope["scheme"] == "https"
        return cookie.output(header="").strip()
