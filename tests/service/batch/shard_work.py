"""Shards of photos that nobody took: what was found in each is a document, put where a run puts it.

All but the model is the product's own: plan, spool, journal, lock, files, index.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from clickmask.service import rle
from clickmask.service.batch.history import History
from clickmask.service.batch.journal import DONE, FAILED, Journal, Record
from clickmask.service.batch.lock import joining
from clickmask.service.batch.outlet import Folder
from clickmask.service.batch.plan import Job, are_there
from clickmask.service.batch.settings import ShardOptions
from clickmask.service.batch.shard_files import ShardMaker
from clickmask.service.batch.shard_joining import EarlyShards, Shards, join_shards, open_shards
from clickmask.service.batch.shards import Shard
from clickmask.service.batch.sources import STATE, Source, Trouble
from clickmask.service.batch.spool import Spool
from clickmask.service.shards.payload import dump

NAMES = [f"{number:03}.jpg" for number in range(8)]
RUNS = rle.compressed({"size": [4, 5], "counts": [3, 6, 11]})


def payload(name: str, edition: int = 0) -> bytes:
    """What is found in a photo: as many objects as its name says, of two labels."""
    digest = hashlib.sha256(f"{name} {edition}".encode()).hexdigest()
    image = {"name": name, "width": 5, "height": 4, "sha256": digest, "orientation": 1}
    objects = [
        {"index": n, "label": "ab"[n % 2], "score": n / 7 + edition, "stability": None, "area": 6}
        | {"box": [0, 0, 3, 4], "rle": RUNS, "prompt": None}
        for n in range(sum(map(ord, name)) % 4)
    ]
    return dump({"image": image, "key": name[:-4], "file_sha256": digest, "objects": objects})


@dataclass
class Work:
    """Runs over photos of these names. failed: those that cannot be done. editions: what photos were edited to."""

    out: Path
    names: Sequence[str] = tuple(NAMES)
    size: int = 3
    failed: frozenset[str] = frozenset()
    editions: dict[str, int] = field(default_factory=dict)
    verify: bool = False
    done: list[str] = field(default_factory=list)

    def run(self, shard: str = "1/1", most: int | None = None) -> list[Trouble] | None:
        """Do what is left, or `most` photos of it; then join."""
        self.out.joinpath(STATE).mkdir(parents=True, exist_ok=True)
        for part in self.out.rglob(".clickmask-*.part"):
            part.unlink()
        shards = self._shards(Shard.parse(shard))
        mine = [name for name in self.names if shards.run.holds(name)]
        history = self._history()
        try:
            left = [name for name in mine if not self._is_done(history.get(name))]
            self._do(left[:most], shards, history, [Job(Source(name, name), name[:-4]) for name in left])
        finally:
            history.close()
        if most is None or most >= len(left):
            return self.join(shards)
        return None

    def join(self, shards: Shards) -> list[Trouble]:
        """As a run ends."""
        with joining(self.out / STATE, str(self.out)):
            history = self._history()
            try:
                return join_shards(shards, history)
            finally:
                history.close()

    def tree(self) -> dict[str, bytes]:
        """The shards, by name."""
        return {path.name: path.read_bytes() for path in sorted((self.out / "shards").glob("*"))}

    def waste(self) -> list[str]:
        """What should not be there once all is done."""
        folders = [self.out / STATE / name for name in ("spool", "staged")]
        return [path.name for folder in folders for path in folder.glob("*")]

    def _shards(self, run: Shard) -> Shards:
        maker = ShardMaker(self.out, {"model": "none"}, self.verify)
        return open_shards([Source(name, name) for name in self.names], [], ShardOptions(self.size), maker, run)

    def _history(self) -> History:
        return History(sorted((self.out / STATE).glob("journal*.jsonl")))

    def _is_done(self, record: Record | None) -> bool:
        if record is None or record.state != DONE or record.name in self.failed:
            return False
        return record.size == self.editions.get(record.name, 0) and are_there(
            record, Folder(self.out), verify=self.verify
        )

    def _do(self, names: Iterable[str], shards: Shards, history: History, left: Sequence[Job]) -> None:
        spool = Spool(self.out, shards.run.suffix, shards.plan.shard_of)
        journal = Journal(self.out / STATE / f"journal{shards.run.suffix}.jsonl", self.out, spool.sync)
        try:
            if shards.run.is_whole:
                with EarlyShards(shards, spool, history, left) as early:
                    for name in names:
                        early.note(self._put(name, spool, journal))
            else:
                for name in names:
                    self._put(name, spool, journal)
        finally:
            journal.close()
            spool.close()

    def _put(self, name: str, spool: Spool, journal: Journal) -> Record:
        edition = self.editions.get(name, 0)
        if name in self.failed:
            record = Record(name, FAILED, size=edition)
        else:
            record = Record(name, DONE, size=edition, outputs=(spool.append(name, payload(name, edition)),))
        journal.add(record)
        self.done.append(name)
        return record


if __name__ == "__main__":  # python shard_work.py OUT COUNT: a run to be killed
    Work(Path(sys.argv[1]), [f"{number:04}.jpg" for number in range(int(sys.argv[2]))], size=20).run()
