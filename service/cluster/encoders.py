"""Encoding on a Ray cluster: a Ray Serve deployment whose replicas hold the model.

Serve starts replicas that die, or whose device fails, anew, and gives each a bounded queue. Who asks is a lane for each
place in those queues: what waits beyond them waits in the lanes, in their order, and counts for 429 and 503.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from ...models.errors import SettingsError
from ...models.frame import Frame
from ..http.engine import ENCODE, MOST_ENCODED, Encode, Engine
from ..http.errors import ApiError
from ..images import Picture
from ..provenance import check_equal
from .connect import MakeOpener, Share, connected

if TYPE_CHECKING:
    from ..segmenter import Segmenter

_LOG = logging.getLogger("clickmask.encoders")
_EACH = 2  # calls that a replica has: the one it is at, and the next, which has travelled by then
_TRIES = 3  # replicas that a picture is given, if they are lost
_PATIENCE = 180.0  # seconds for a call: the largest model takes 20 on two cores, and a replica that is lost must start
_HEALTH = 120.0  # seconds without a word of a replica until it counts as hung


@contextmanager
def ray_encoders(
    address: str, make_opener: MakeOpener, replicas: int | None, provenance: Mapping[str, Any], port: int
) -> Generator[RayEncoders]:
    """Encoders on the cluster at an address, or on one of this machine alone ("local"), while the context lasts.

    replicas: None is one for each GPU or, where there are none, for each machine. provenance: of the segmenter whose
    embeddings theirs must equal. port: of the service, which with the host's name tells its deployment from others'.
    Raises MissingExtraError, and SettingsError when the cluster is too small or different, or they do not start.
    """
    with connected(address, replicas) as (share, count):
        from ray import serve

        name = f"clickmask-{socket.gethostname()}-{port}"
        logging.getLogger("ray.serve").setLevel(logging.ERROR)
        serve.start(proxy_location="Disabled", logging_config={"log_level": "WARNING"})
        try:
            yield RayEncoders(_deploy(name, make_opener(share.cpus), provenance, share, count), share, count)
        finally:
            serve.delete(name)


class RayEncoders:
    """The replicas, as one: `Encoders`."""

    def __init__(self, handle: Any, share: Share, count: int) -> None:
        self._handle = handle
        self.at_once = _EACH * count
        self.together = MOST_ENCODED if share.gpus else 1

    def encode(self, scaled: Sequence[np.ndarray]) -> list[np.ndarray | Exception]:
        """Ask a replica, and another one where it is lost meanwhile. Raises what went wrong in the program there."""
        from ray.exceptions import RayActorError, RayError, RayTaskError
        from ray.serve.exceptions import RayServeException

        for _ in range(_TRIES):
            try:
                return self._handle.encode.remote(list(scaled)).result(timeout_s=_PATIENCE)
            except RayActorError as error:
                _LOG.warning("a replica was lost: %s", type(error).__name__)
            except RayTaskError:
                raise
            except (RayError, RayServeException, TimeoutError) as error:
                _LOG.error("the encoders do not answer: %s", type(error).__name__)
                break
        refusal = ApiError(503, "encoders_lost", "the machines that encode do not answer now", retry_after=10)
        return [refusal] * len(scaled)


class _Replica:
    """What runs on the machines."""

    def __init__(self, opener: Callable[[], Segmenter], expected: Mapping[str, Any]) -> None:
        segmenter = opener()
        check_equal(segmenter.provenance, expected)
        self._broken = ""
        self._thread = ThreadPoolExecutor(1, "encoding")
        self._engine = Engine(segmenter, on_broken=self._break)

    async def encode(self, scaled: list[np.ndarray]) -> list[np.ndarray | Exception]:
        """As `Encoders.encode`; one call at a time, and always in the same thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._encode, scaled)

    def _encode(self, scaled: list[np.ndarray]) -> list[np.ndarray | Exception]:
        works = [Encode(Picture(one), Frame.whole(one.shape[1], one.shape[0])) for one in scaled]
        found = self._engine.run(ENCODE, works)
        return [one if isinstance(one, Exception) else one.encoded() for one in found]

    def check_health(self) -> None:
        """Asked by Serve, which replaces a replica that raises. Raises RuntimeError once the device has failed."""
        if self._broken:
            raise RuntimeError(self._broken)

    def _break(self, reason: str) -> None:
        self._broken = reason


def _deploy(name: str, opener: Callable[[], Segmenter], provenance: Mapping[str, Any], share: Share, count: int) -> Any:
    """The handle to replicas that are ready. Raises SettingsError."""
    from ray import serve

    deployment = serve.deployment(
        _Replica,
        name="encoders",
        num_replicas=count,
        max_ongoing_requests=_EACH,
        max_queued_requests=_EACH * count,
        ray_actor_options={"num_cpus": share.cpus, "num_gpus": share.gpus},
        health_check_timeout_s=_HEALTH,
        max_constructor_retry_count=2,
    )
    try:
        return serve.run(deployment.bind(opener, dict(provenance)), name=name, route_prefix=None)
    except RuntimeError as error:
        raise SettingsError(f"--ray: the encoders do not start: {_cause(name) or error}") from None


def _cause(name: str) -> str:
    """What kept the replicas from starting, in a line; nothing where Serve does not say."""
    from ray import serve

    application = serve.status().applications.get(name)
    told = [] if application is None else [one.message for one in application.deployments.values()]
    lines = "\n".join(told).strip().splitlines()  # a traceback of a traceback
    return lines[-1].rpartition("Error: ")[2] if lines else ""
