"""How the server is: what liveness, readiness and the outermost middleware look at."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Health:
    """One per process; the event loop alone changes it.

    ready: the model has answered a first, artificial request. draining: a stop was asked for; nothing new is admitted.
    broken: why the process must be replaced (a sticky device error), or None.
    """

    ready: bool = False
    draining: bool = False
    broken: str | None = field(default=None)
