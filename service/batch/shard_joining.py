"""Output shards over a whole run: each is written once all its photos are done or given up; at the end the index."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...models.errors import StoppedError
from ..files import write_atomic
from ..shards.index import INDEX, index_document
from .history import History
from .journal import DONE, FAILED, Record
from .lock import idle, joining
from .plan import Job
from .settings import ShardOptions
from .shard_files import PayloadGoneError, PhotoChangedError, ShardMaker
from .shard_plan import ShardPlan, agree_on_plan
from .shard_store import SHARDS, ShardRow, numbers, recover, remove_index, remove_shard, spools_of
from .shards import Shard
from .sources import STATE, Source, Trouble
from .spool import Spool, cut_torn_tails


@dataclass(frozen=True)
class Shards:
    """The output shards of a run: which photos are in which, and how they are made.

    sources: all photos that are asked about, of all runs that share the work. unread: what could not be looked at.
    run: the part of the work that is ours.
    """

    plan: ShardPlan
    sources: Sequence[Source]
    unread: Sequence[Trouble]
    maker: ShardMaker
    run: Shard

    @property
    def out(self) -> Path:
        """The output folder."""
        return self.maker.out

    def members(self) -> dict[int, list[str]]:
        """Shards' numbers -> the names of their photos, all in their order."""
        found: dict[int, list[str]] = {}
        for source in self.sources:
            found.setdefault(self.plan.shard_of(source.name), []).append(source.name)
        return found

    def settle(self, number: int, records: Iterable[Record]) -> ShardRow:
        """Have a shard written where it is not as it should be, and give its spools' space back.

        Raises what `ShardMaker.settle` raises.
        """
        row = self.maker.settle(number, [record for record in records if record.state == DONE])
        for path in spools_of(self.out, number):
            suffix = path.stem[5:]
            if self.run.is_whole or suffix in (self.run.suffix, Shard().suffix):  # no whole run beside one of a part
                path.unlink(missing_ok=True)
                continue
            with idle(self.out / STATE, suffix, str(self.out)) as is_idle:
                if is_idle:
                    path.unlink(missing_ok=True)
        return row


def open_shards(
    sources: Sequence[Source], unread: Sequence[Trouble], options: ShardOptions, maker: ShardMaker, run: Shard
) -> Shards:
    """The output shards as earlier runs left them, what a crash left mended. Raises OutputError, SettingsError."""
    state = maker.out / STATE
    plan = agree_on_plan(state, [source.name for source in sources], options.size)
    cut_torn_tails(maker.out, run.suffix)
    with joining(state, str(maker.out)):
        recover(maker.out)
    return Shards(plan, sources, unread, maker, run)


def photo_reader(sources: Sequence[Source], options: ShardOptions) -> Callable[[str], bytes] | None:
    """From a photo's relative name to its file's bytes, where they shall lie in the tars."""
    if not options.photos:
        return None
    by_name = {source.name: source for source in sources}

    def read(name: str) -> bytes:
        with by_name[name].open() as file:
            return file.read()

    return read


def join_shards(shards: Shards, history: History) -> list[Trouble]:
    """Write what shards can be written, and once all are, the index; to be called within `lock.joining`.

    Shards of which other runs have photos yet to do are left to those. What is returned are photos that changed
    while the run was at it, whose shards, and the index, wait for the next run. Raises StoppedError when what was found
    in some photo is gone.
    """
    recover(shards.out)
    troubles: list[Trouble] = []
    rows: list[dict[str, Any]] = []
    unread = Counter(shards.plan.shard_of(trouble.name) for trouble in shards.unread)
    members, is_waiting = shards.members(), False
    for number, names in members.items():
        records = [record for name in names if (record := history.get(name)) is not None]
        try:
            if len(records) < len(names):
                is_waiting = True
                continue
            failed = sum(record.state == FAILED for record in records) + unread[number]
            rows.append(_describe(shards.settle(number, records), failed))
        except PhotoChangedError as error:
            reason = f"changed while the run was at it: {SHARDS}/{number:05} waits for it; run the same command again"
            troubles.append(Trouble(str(error), "PhotoChanged", reason))
        except PayloadGoneError as error:
            if shards.run.is_whole:
                raise _gone(error, number) from None
            is_waiting = True
    if is_waiting or troubles:
        remove_index(shards.out)
    else:
        for number in set(numbers(shards.out)) - set(members):  # photos that are no longer there
            remove_shard(shards.out, number)
        write_atomic(shards.out / SHARDS / INDEX, index_document(rows, shards.maker.provenance))
    return troubles


def _describe(row: ShardRow, failed: int) -> dict[str, Any]:
    return {
        "number": row.number,
        "first": row.first,
        "last": row.last,
        "photos": len(row.members),
        "objects": row.objects,
        "failed": failed,
        "labels": row.labels,
        "files": {name: {"bytes": size, "sha256": digest} for name, size, digest in row.files},
    }


def _gone(error: PayloadGoneError, number: int) -> StoppedError:
    return StoppedError(
        f"what was found in {error} is gone or spoilt, so that {SHARDS}/{number:05} cannot be written: "
        "run the same command with --verify, which does it again; what is done is kept"
    )


class EarlyShards:
    """Writes shards while the run goes on, in a thread, each as soon as its last photo is done or given up.

    Only for a run that has all the work: others cannot know when a shard's last photo is done. `note` is for the thread
    that writes records; leaving the context waits.
    """

    def __init__(self, shards: Shards, spool: Spool, history: History, jobs: Iterable[Job]) -> None:
        self._stop = threading.Event()
        self._shards = replace(shards, maker=replace(shards.maker, check=self._check))
        self._spool, self._history = spool, history
        self._members = shards.members()
        self._left = Counter(shards.plan.shard_of(job.source.name) for job in jobs)
        self._fresh: dict[int, dict[str, Record]] = {}
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="clickmask-shard")
        self._written: list[Future[None]] = []

    def note(self, record: Record) -> None:
        """A photo is done with. Raises what writing an earlier shard raised."""
        number = self._shards.plan.shard_of(record.name)
        self._fresh.setdefault(number, {})[record.name] = record
        self._left[number] -= 1
        if not self._left[number]:
            self._spool.finish(number)
            self._written.append(self._pool.submit(self._settle, number, self._fresh.pop(number)))
        for future in self._written:
            if future.done():
                future.result()

    def __enter__(self) -> EarlyShards:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        """Wait for what is being written; where the run was stopped, leave it. Raises what writing raised."""
        if error is not None:
            self._stop.set()
        self._pool.shutdown(cancel_futures=error is not None)
        for future in self._written if error is None else ():
            future.result()

    def _settle(self, number: int, fresh: Mapping[str, Record]) -> None:
        records = [fresh.get(name) or self._history.get(name) for name in self._members[number]]
        try:
            if None not in records:
                self._shards.settle(number, [record for record in records if record is not None])
        except (PayloadGoneError, PhotoChangedError):
            return  # the end of the run tells, where it is so still

    def _check(self) -> None:
        if self._stop.is_set():
            raise StoppedError("the run ends")
