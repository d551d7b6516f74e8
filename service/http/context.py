"""What is known about one request while it runs: kept in its ASGI scope, filled by middlewares and routes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from starlette.types import Scope

_KEY = "clickmask"


@dataclass
class Context:
    """One request.

    id: on the answer (`X-Request-Id`) and in the log. caller: whose images these are, or None before that is known.
    deadline: when it is too late, in seconds of the event loop's clock; a route may put it off. timeout: seconds that
    the client gives it, None where it does not say. notes: what the log line will tell besides; plain values only,
    never names of files or contents.
    """

    id: str
    caller: str | None = None
    deadline: float = float("inf")
    timeout: float | None = None
    notes: dict[str, Any] = field(default_factory=dict)


def put_context(scope: Scope, context: Context) -> None:
    """Attach it to a request's scope."""
    scope.setdefault("state", {})[_KEY] = context


def get_context(scope: Scope) -> Context:
    """The request's context; every request has one once the outermost middleware has seen it."""
    return scope["state"][_KEY]
