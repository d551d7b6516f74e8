"""Machines that do photos: Ray Data hands chunks of a run's jobs to actors, each with a process of its own.

An actor is a `fleet` of one, so that photos that kill, hang or break a device are set aside here too. It writes the
results itself; what travels are jobs and records. Ray starts lost actors, and does lost chunks, anew: files that are
there already are written once more, the same bytes. The journal stays with whoever started the run.

The photos and the output folder must be where all machines find them under the same name.
"""

from __future__ import annotations

import pickle
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from ...models.errors import ClickmaskError, StoppedError
from ..cluster.connect import MakeOpener, Share, connected
from ..provenance import check_equal
from .fleet import Fleet
from .journal import Record
from .task import Errand, Note, Task
from .worker_process import OpenSegmenter

_CHUNKS_EACH = 64  # that an actor does in a run, if there are photos enough
# Photos a chunk: an actor is idle for a moment after each, and what a lost one did is done again.
_LEAST, _MOST = 8, 256


@contextmanager
def cluster(address: str, make_opener: MakeOpener, workers: int | None) -> Generator[Cluster]:
    """The Ray cluster at an address, or one of this machine alone ("local"), for as long as the context lasts.

    workers: how many actors; None is one for each GPU or, where there are none, for each machine.
    Raises MissingExtraError without Ray, SettingsError when there is no such cluster or it is too small.
    """
    with connected(address, workers) as (share, count):
        yield Cluster(make_opener(share.cpus), share, count)


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
            fn_constructor_args=(self._opener, task, self.provenance),
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
            check_equal(self._fleet.provenance, self._expected)
            self._fleet.work(self._task, pickle.loads(batch["chunk"][0]), found.append)
        except ClickmaskError as error:
            found.append(error)
        return {"found": [pickle.dumps(item) for item in found]}


def _provenance(opener: OpenSegmenter) -> dict[str, Any] | ClickmaskError:
    try:
        return opener().provenance
    except ClickmaskError as error:
        return error
