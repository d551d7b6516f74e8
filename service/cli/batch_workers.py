"""The processes of a batch: how many, on which devices."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import typer

from ...models.variants import VARIANTS, get_variant
from .progress import download_bar
from .settings import Settings, parse_device

if TYPE_CHECKING:
    from ..batch.task import Hands
    from ..segmenter import Segmenter

ALL = "all"
_MANY = 32  # photos for which further processes are worth their start
_MOST = 8  # processes that are started unasked
_ROOM = 1 << 30  # bytes that one of them takes


def parse_devices(text: str) -> tuple[str, ...]:
    """The devices of "all" or of a list; "all" stands for itself until it is known that there is work to do."""
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not names:
        raise typer.BadParameter("expected all, or devices such as cuda:0,cuda:2")
    return names if names == (ALL,) else tuple(parse_device(name) for name in names)


@dataclass(frozen=True)
class Crew:
    """Who works: `workers` processes on each of `devices`; or `workers` actors in all, on the cluster at `ray`.

    photos: how many there are at most, by which it is decided how many processes where nobody says.
    """

    devices: tuple[str, ...] | None
    workers: int | None
    ray: str | None
    photos: int = 0

    def __post_init__(self) -> None:
        """Refuse what does not go together."""
        if self.ray == "":
            raise typer.BadParameter("expected local, or a cluster's address", param_hint="'--ray'")
        if self.ray is not None and self.devices is not None:
            raise typer.BadParameter("a Ray cluster knows its devices itself", param_hint="'--devices'")


def open_workers(settings: Settings, crew: Crew, *, quiet: bool) -> AbstractContextManager[Hands]:
    """Processes, or a cluster. Raises SettingsError or WeightsError, the latter when a download fails."""
    from ..batch.fleet import fleet

    if crew.ray is not None:
        from ..batch.cluster import cluster

        return cluster(crew.ray, partial(opener, settings), crew.workers)
    _fetch(settings, quiet=quiet)
    places = (settings.device,) if crew.devices is None else _found(crew.devices)
    count = crew.workers or (_unasked(settings, places[0], crew.photos) if len(places) == 1 else 1)
    threads = max(1, _cores() // count) if count > 1 else None
    return fleet([opener(replace(settings, device=place), threads) for place in places for _ in range(count)])


def _unasked(settings: Settings, place: str, photos: int) -> int:
    """How many processes a device gets: on a CPU several, but only of the small model: the others take gigabytes."""
    if settings.model != "vit_t" or photos < _MANY:
        return 1
    from ...models.precision import choose_device
    from ..memory import free_memory

    if choose_device(place).type != "cpu":
        return 1
    return processes(photos, _cores(), free_memory())


def processes(photos: int, cores: int, free: int) -> int:
    """How many do the photos soonest on a CPU: threads that encode one photo together wait for each other, processes
    do not. Masks are the same.

    free: bytes of memory.
    """
    return max(1, min(_MOST, cores, free // _ROOM)) if photos >= _MANY else 1


def _cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def opener(settings: Settings, threads: int | None) -> Callable[[], Segmenter]:
    return partial(_open, settings, threads)


def _open(settings: Settings, threads: int | None) -> Segmenter:
    """In the worker."""
    if threads is not None:
        import torch

        torch.set_num_threads(threads)
    return settings.segmenter(None)


def _found(devices: tuple[str, ...]) -> tuple[str, ...]:
    if devices != (ALL,):
        return devices
    import torch

    gpus = tuple(f"cuda:{number}" for number in range(torch.cuda.device_count()))
    return gpus or ("auto",)


def _fetch(settings: Settings, *, quiet: bool) -> None:
    """A model that must be downloaded is, once, with a bar."""
    from ...models.download import fetch
    from ..cache import cache_folder

    if settings.model in VARIANTS and settings.model != "vit_t":  # which is in the package
        with download_bar(quiet=quiet) as progress:
            fetch(get_variant(settings.model), cache_folder(settings.cache_dir), progress=progress)
