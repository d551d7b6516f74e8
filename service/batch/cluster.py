"""Machines that do photos: Ray Data hands chunks of a run's jobs to actors, each with a process of its own.

An actor is a `fleet` of one, so that photos that kill, hang or break a device are set aside here too. It writes the
results itself; what travels are jobs and records. Ray starts lost actors, and does lost chunks, anew: files that are
there already are written once more, the same bytes. The journal stays with whoever started the run.

The photos and the output folder must be where all machines find them under the same name.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...models.errors import ClickmaskError, MissingExtraError, SettingsError, StoppedError
from ..provenance import lasting
from .fleet import Fleet
from .journal import Record
from .task import Errand, Note, Task
from .worker_process import OpenSegmenter

if TYPE_CHECKING:
    pass

LOCAL = "local"
_CHUNKS_EACH = 64  # that an actor does in a run, if there are photos enough
_LEAST, _MOST = (
    8,
    256,
)  # photos a chunk: an actor is idle for a moment after each, and what a lost one did is done again

MakeOpener = Callable[[int], OpenSegmenter]  # for a number of threads


@dataclass(frozen=True)
class Share:
    """What an actor takes of its machine."""

    cpus: int
    gpus: int


@contextmanager
def cluster(address: str, make_opener: MakeOpener, workers: int | None) -> Generator[Cluster]:
    """The Ray cluster at an address, or one of this machine alone ("local"), for as long as the context lasts.

    workers: how many actors; None is one for each GPU or, where there are none, for each machine.
    Raises MissingExtraError without Ray, SettingsError when there is no such cluster or it is too small.
    """
    ray = _ray()
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray would report to its makers
    try:
        ray.init(address, include_dashboard=False if address == LOCAL else None, log_to_driver=False)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise SettingsError(f"--ray {address}: there is no such Ray cluster: {error}") from None
    try:
        share, count = _shares(ray.nodes(), workers)
        yield Cluster(make_opener(share.cpus), share, count)
    finally:
        ray.shutdown()


class Cluster:
    """Hands that are Ray actors."""

    def __init__(self, opener: OpenSegmenter, share: Share, count: int) -> None:
        self._opener, self._share, self._count = opener, share, count
        self._found: Mapping[str, Any] | None = None

    @property
    def provenance(self) -> Mapping[str, Any]:
        """Of a segmenter that is loaded for this alone. Raises what kept it from being loaded."""
        import ray

        if self._found is not None:
            return self._found
        ask = ray.remote(num_cpus=self._share.cpus, num_gpus=self._share.gpus)(_provenance)
        found = ray.get(ask.remote(self._opener))
        if isinstance(found, ClickmaskError):
            raise found
        self._found = found
        return found

    @property
    def takes_all_at_once(self) -> bool:
        """Yes."""
        return True

    def work(self, task: Task, errands: Iterable[Errand], note: Note) -> None:
        """Do all. Raises StoppedError as a fleet does, and when the cluster gives up."""
        all_of_them = list(errands)
        size = min(max(len(all_of_them) // (self._count * _CHUNKS_EACH), _LEAST), _MOST)
        chunks = [pickle.dumps(all_of_them[at : at + size]) for at in range(0, len(all_of_them), size)]
        for row in self._rows(chunks, task) if chunks else ():
            found = pickle.loads(row)
            if isinstance(found, ClickmaskError):
                raise found
            note(found)

    def _rows(self, chunks: Sequence[bytes], task: Task) -> Iterator[bytes]:
        import ray
        import ray.exceptions

        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        jobs = ray.data.from_items([{"chunk": chunk} for chunk in chunks], override_num_blocks=len(chunks))
        done = jobs.map_batches(
            _Actor,
            fn_constructor_args=(self._opener, task, lasting(self.provenance)),
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(size=self._count, max_tasks_in_flight_per_actor=2),
            num_cpus=self._share.cpus,
            num_gpus=self._share.gpus,
        )
        try:
            for row in done.iter_rows():
                yield row["found"]
        except ray.exceptions.RayError as error:
            raise StoppedError(f"the Ray cluster gave up: {error}; what is done is kept") from error


class _Actor:
    """What runs on the machines; made once by Ray, then called with a chunk at a time."""

    def __init__(self, opener: OpenSegmenter, task: Task, expected: Mapping[str, Any]) -> None:
        self._fleet, self._task, self._expected = Fleet([opener]), task, expected

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[bytes]]:
        """A chunk's records, or what made the process give up."""
        found: list[Record | ClickmaskError] = []
        try:
            self._check()
            self._fleet.work(self._task, pickle.loads(batch["chunk"][0]), found.append)
        except ClickmaskError as error:
            found.append(error)
        return {"found": [pickle.dumps(item) for item in found]}

    def _check(self) -> None:
        own = lasting(self._fleet.provenance)
        changes = [
            f"{key} is {own.get(key)}, not {value}" for key, value in self._expected.items() if own[key] != value
        ]
        if changes:
            raise SettingsError(f"the machines of the cluster differ ({'; '.join(changes)}): results would be mixed")


def _provenance(opener: OpenSegmenter) -> dict[str, Any] | ClickmaskError:
    try:
        return opener().provenance
    except ClickmaskError as error:
        return error


def _ray() -> Any:
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise MissingExtraError(f"--ray needs Ray ({error}): pip install 'clickmask[ray]'") from None
    return ray


def _shares(nodes: Sequence[Mapping[str, Any]], workers: int | None) -> tuple[Share, int]:
    """What each actor takes, and how many there are."""
    alive = [node["Resources"] for node in nodes if node["Alive"]]
    gpus = int(sum(node.get("GPU", 0) for node in alive))
    cpus = [int(node.get("CPU", 0)) for node in alive if node.get("CPU", 0) >= 1]
    if gpus:
        return Share(1, 1), min(workers or gpus, gpus)
    count = workers or len(cpus)
    if sum(cpus) < count or not cpus:
        raise SettingsError(f"--ray: {count} workers need a CPU each, the cluster has {sum(cpus)}")
    each = max(1, sum(cpus) // count)
    while sum(node // each for node in cpus) < count:  # an actor lies on one machine
        each -= 1
    return Share(each, 0), count
