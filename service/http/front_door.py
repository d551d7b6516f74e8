"""The layer that refuses what no honest page or program would send: wrong hosts, and other sites' pages."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from .access.middleware import HEALTH_PATHS, path_below_root
from .context import get_context
from .errors import ApiError, send_error
from .hosts import HostList, browser_origin, split_host, split_origin
from .settings import ServeSettings

_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_EXPOSED = ("X-Request-Id", "Retry-After")


class FrontDoor:
    """Checks a request's `Host` and `Origin`, and answers pages of the listed origins as CORS asks.

    Host: 400 for a name this server does not answer to, which stops pages whose name was pointed at this machine (DNS
    rebinding). Load balancers ask for health by address, or without a name: /livez and /readyz answer them all.
    Origin: a request that could change something and comes from a page of another origin, not listed, is refused with
    403, since the browser may have added a cookie, or the right to call this machine. Programs that are no browser
    send no `Origin` and pass.
    """

    def __init__(self, app: ASGIApp, settings: ServeSettings) -> None:
        """Raises SettingsError: a host name that no request could match."""
        self._hosts = HostList(settings.hosts)
        self._origins = frozenset(browser_origin(origin) for origin in settings.access.origins)
        self._app = app if not self._origins else _with_cors(app, self._origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        try:
            if scope["type"] == "http":
                self._check(scope)
        except ApiError as error:
            get_context(scope).notes["code"] = error.code
            await send_error(send, error, ((b"vary", b"Origin"),))
            return
        await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        if scope["method"] in _SAFE_METHODS and path_below_root(scope) in HEALTH_PATHS:
            return
        host = _host(headers)
        if not self._hosts.answers(host[0]):
            raise ApiError(400, "bad_host", "this server does not answer to that host name; see --allowed-host")
        preflight = scope["method"] == "OPTIONS" and "access-control-request-method" in headers
        if scope["method"] not in _SAFE_METHODS or preflight:
            self._check_origin(scope, headers, host)

    def _check_origin(self, scope: Scope, headers: Headers, host: tuple[str, int | None]) -> None:
        origins = headers.getlist("origin")
        if not origins:
            refused = headers.get("sec-fetch-site", "none") not in ("none", "same-origin")
        else:
            refused = len(origins) > 1 or not (origins[0] in self._origins or _is_own(origins[0], scope, host))
        if refused:
            raise ApiError(403, "cross_origin", "pages of other origins may not call unless listed; see --origin")


def _host(headers: Headers) -> tuple[str, int | None]:
    texts = headers.getlist("host")
    host = split_host(texts[0]) if len(texts) == 1 else None
    if host is None:
        raise ApiError(400, "bad_host", "expected one Host header with a name or an address")
    return host


def _is_own(text: str, scope: Scope, host: tuple[str, int | None]) -> bool:
    """Whether that origin is the one the request was sent to."""
    origin = split_origin(text)
    if origin is None:
        return False
    scheme, name, port = origin
    # A proxy that is not listed may speak TLS before this server: then https is right although the scope says http.
    if scope["scheme"] == "https" and scheme != "https":
        return False
    implied = 443 if scheme == "https" else 80
    return (name, port) == (host[0], implied if host[1] is None else host[1])


def _with_cors(app: ASGIApp, origins: frozenset[str]) -> ASGIApp:
    return CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=("*",),
        allow_headers=("*",),
        allow_credentials=True,
        allow_private_network=True,  # a listed page may call a server in its user's own network
        expose_headers=_EXPOSED,
    )
