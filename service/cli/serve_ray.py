"""Encoding on a Ray cluster, as the command line asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import typer

from .batch_workers import opener
from .settings import Settings

if TYPE_CHECKING:
    from ..http.encoders import Encoders


@dataclass(frozen=True)
class RayChoice:
    """The cluster at an address, if any, and how many replicas there; devices: of the service itself."""

    address: str | None
    replicas: int | None
    devices: str

    def __post_init__(self) -> None:
        """Refuse what does not go together."""
        if self.address == "":
            raise typer.BadParameter("expected local, auto, or a cluster's address", param_hint="'--ray'")
        if self.replicas is not None and self.address is None:
            raise typer.BadParameter("goes with --ray", param_hint="'--ray-replicas'")
        if self.address is not None and (self.devices == "all" or "," in self.devices):
            raise typer.BadParameter("with --ray, one: it answers what the cluster encoded", param_hint="'--devices'")

    def encoders(
        self, models: Settings, provenance: Mapping[str, Any], port: int
    ) -> AbstractContextManager[Encoders | None]:
        """Who encodes there, while the context lasts; None where nobody does."""
        if self.address is None:
            return nullcontext()
        from ..cluster.encoders import ray_encoders

        return ray_encoders(self.address, partial(opener, models), self.replicas, provenance, port)
