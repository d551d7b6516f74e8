"""Output shards without a model: where photos belong, spools, crashes, and who writes what."""

from __future__ import annotations

import errno
import json
import os
import random
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clickmask.models.errors import OutputError, SettingsError, StoppedError
from clickmask.service.batch import shard_store
from clickmask.service.batch.lock import locked
from clickmask.service.batch.shard_files import ShardMaker
from clickmask.service.batch.shard_plan import ShardPlan, agree_on_plan
from clickmask.service.batch.shards import Shard
from clickmask.service.batch.sources import STATE
from clickmask.service.batch.spool import Spool, cut_torn_tails, read_entry
from clickmask.service.shards import parquet
from clickmask.service.shards.parquet import ParquetPhotos

from . import shard_work
from .shard_work import NAMES, Work, payload

MANY = [f"{number:03}.jpg" for number in range(18)]  # of which each of two or three runs has some of each shard
UNIX = pytest.mark.skipif(os.name != "posix", reason="signals of Unix")


class Crash(BaseException):
    """The process ends here."""


@pytest.fixture
def fresh(tmp_path: Path) -> Callable[..., dict[str, bytes]]:
    """The shards of a run that was left alone."""

    def run(**options: Any) -> dict[str, bytes]:
        work = Work(tmp_path / f"fresh{len(list(tmp_path.glob('fresh*')))}", **options)
        assert work.run() == [] and work.waste() == []
        return work.tree()

    return run


def test_photos_belong_where_their_names_sort_and_stay_there(tmp_path: Path) -> None:
    plan = ShardPlan(3).grown([f"{n:03}" for n in range(10, 18)])
    assert (plan.firsts, plan.last) == (("010", "013", "016"), "017")
    assert [plan.shard_of(name) for name in ("010", "012", "013", "017")] == [0, 0, 1, 2]
    assert [plan.shard_of(name) for name in ("000", "0125", "999")] == [0, 0, 2]
    names = ["000", *(f"{n:03}" for n in range(10, 18)), "0175", "018", "019", "020", "021", "022"]
    grown = plan.grown(names)  # one more has room in the last shard, the others begin new ones
    assert grown.firsts == ("010", "013", "016", "018", "021")
    assert all(grown.shard_of(name) == plan.shard_of(name) for name in names[:9])
    assert grown.grown(names) is grown and grown.grown(names[:4]) is grown
    with pytest.raises(
        SettingsError, match="100,001 shards of 1 photos, of at most 100,000: give a larger --shard-size"
    ):
        agree_on_plan(tmp_path, [f"{number:06}" for number in range(100_001)], 1)
    assert ShardPlan(3).grown([]) == ShardPlan(3) and ShardPlan(3).shard_of("a") == 0


def test_folders_sort_as_photos_do(tmp_path: Path) -> None:
    names = ["a/z", "a-b", "a.png", "b/\udcff"]
    plan = agree_on_plan(tmp_path, names, 1)
    assert [plan.shard_of(name) for name in names] == [0, 1, 2, 3]
    assert agree_on_plan(tmp_path, names, 1) == plan
    (tmp_path / "shard-plan.json").write_text("{}")
    with pytest.raises(OutputError, match="shard-plan.json is spoilt.*--restart"):
        agree_on_plan(tmp_path, names, 1)


def test_a_torn_tail_is_cut_and_what_is_spoilt_does_not_count(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "", lambda name: 0)
    entries = [(*spool.append(name, payload(name)), payload(name)) for name in NAMES[:3]]
    spool.sync()
    spool.close()
    path = tmp_path / STATE / "spool" / "00000.bin"
    whole = path.read_bytes()
    assert [read_entry(tmp_path, *entry[:3]) for entry in entries] == [entry[3] for entry in entries]
    last = int(entries[2][0].rpartition("@")[2])
    for torn in (whole[: last + 3], whole[: last + 8], whole[:-1], whole[:last] + bytes(500)):
        path.write_bytes(torn)
        cut_torn_tails(tmp_path, "")
        assert path.read_bytes() == whole[:last]
        assert read_entry(tmp_path, *entries[1][:3]) is not None and read_entry(tmp_path, *entries[2][:3]) is None
    path.write_bytes(whole[:20] + b"x" + whole[21:])  # the first is spoilt: the others are none the worse
    cut_torn_tails(tmp_path, "")
    assert [read_entry(tmp_path, *entry[:3]) is not None for entry in entries] == [False, True, True]
    assert read_entry(tmp_path, entries[1][0], entries[1][1] - 1, entries[1][2]) is None


def test_a_disk_that_fills_leaves_no_half_an_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path, "", lambda name: 0)
    spool.append("a", b"first")
    write, calls = os.write, [0]

    def full(descriptor: int, data: bytes) -> int:
        calls[0] += 1
        if calls[0] > 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(descriptor, data[:5])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space"):
        spool.append("b", b"second")
    monkeypatch.undo()
    assert read_entry(tmp_path, *spool.append("b", b"second")) == b"second"
    spool.close()


def test_failures_have_no_row_but_are_counted(tmp_path: Path) -> None:
    work = Work(tmp_path, failed=frozenset({"001.jpg", "003.jpg", "004.jpg", "005.jpg"}))
    assert work.run() == []
    index = json.loads((tmp_path / "shards" / "index.json").read_bytes())
    assert [(row["photos"], row["failed"]) for row in index["shards"]] == [(2, 1), (0, 3), (2, 0)]
    assert [(row["first"], row["last"]) for row in index["shards"]][:2] == [("000.jpg", "002.jpg"), (None, None)]
    assert (index["photos"], index["failed"]) == (4, 4) and sum(index["labels"].values()) == index["objects"]
    for row in index["shards"]:
        with_rows = ParquetPhotos(str(tmp_path / "shards" / f"{row['number']:05}.parquet"))
        assert len(with_rows) == row["photos"]
        with_rows.close()


def test_stopped_anywhere_it_goes_on_to_the_same(
    tmp_path: Path, fresh: Callable[..., dict[str, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash at each call that changes the disk for good, the first, the second, ...; then on to the end."""
    expected, crashes = fresh(), 0
    for last in range(60):
        work, calls = Work(tmp_path / f"out{last}"), [0]

        def dying(call: Callable[..., Any], calls: list[int] = calls, last: int = last) -> Callable[..., Any]:
            def do(*arguments: Any, **named: Any) -> Any:
                calls[0] += 1
                if calls[0] > last:  # and nothing happens any more
                    raise Crash
                return call(*arguments, **named)

            return do

        with monkeypatch.context() as patch:
            for owner, name in ((os, "fsync"), (os, "replace"), (Path, "unlink")):
                patch.setattr(owner, name, dying(getattr(owner, name)))
            try:
                work.run()
                assert calls[0] <= last
            except Crash:
                crashes += 1
        assert work.run() == []
        assert work.tree() == expected and work.waste() == []
        assert len(work.done) == 8  # nothing was done twice
        if calls[0] <= last:
            break
    assert crashes > 20


@UNIX
@pytest.mark.parametrize(("kills", "count"), [(2, 400), pytest.param(8, 1500, marks=pytest.mark.soak)])
def test_killed_and_gone_on_with_is_as_uninterrupted(kills: int, count: int, tmp_path: Path) -> None:
    draw, struck = random.Random(3), 0
    work = Work(tmp_path / "out", [f"{number:04}.jpg" for number in range(count)], size=20)
    for _ in range(kills):
        with subprocess.Popen([sys.executable, shard_work.__file__, str(work.out), str(count)]) as process:
            before, deadline = _journalled(work.out), time.monotonic() + 60
            while _journalled(work.out) <= before and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.001)
            time.sleep(draw.uniform(0, 0.2))
            struck += process.poll() is None
            process.kill()
    assert struck > kills / 2
    done = _journalled(work.out)
    assert work.run() == [] and len(work.done) == count - done
    other = Work(tmp_path / "fresh", work.names, size=20)
    other.run()
    assert work.tree() == other.tree() and work.waste() == []


def _journalled(out: Path) -> int:
    path = out / STATE / "journal.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def test_an_edited_photo_costs_itself_alone(tmp_path: Path, fresh: Callable[..., dict[str, bytes]]) -> None:
    work = Work(tmp_path / "out")
    work.run()
    before = {name: os.stat(work.out / "shards" / name).st_ino for name in work.tree()}
    work.done, work.editions = [], {"004.jpg": 1}
    assert work.run() == [] and work.done == ["004.jpg"]
    assert work.tree() == fresh(editions={"004.jpg": 1}) and work.waste() == []
    after = {name: os.stat(work.out / "shards" / name).st_ino for name in work.tree()}
    changed = sorted(name for name in before if before[name] != after[name])
    assert changed == ["00001.parquet", "00001.tar", "index.json"]


def test_shards_that_are_gone_or_spoilt_are_made_again(tmp_path: Path, fresh: Callable[..., dict[str, bytes]]) -> None:
    work, expected = Work(tmp_path / "out"), fresh()
    work.run()
    (work.out / "shards" / "00000.parquet").unlink()  # its photos are done again
    (work.out / "shards" / "00001.tar").unlink()  # which can be made from the Parquet file
    (work.out / "shards" / "00002.parquet").write_bytes(b"short")
    work.done = []
    assert work.run() == [] and work.done == [*NAMES[:3], *NAMES[6:]]
    assert work.tree() == expected and work.waste() == []
    data = bytearray(expected["00001.parquet"])
    data[len(data) // 2] ^= 255
    (work.out / "shards" / "00001.parquet").write_bytes(data)
    work.done, work.verify = [], True
    assert work.run() == [] and work.done == NAMES[3:6]
    assert work.tree() == expected


def test_what_is_spoilt_unseen_is_never_copied(tmp_path: Path, fresh: Callable[..., dict[str, bytes]]) -> None:
    work = Work(tmp_path / "out")
    work.run()
    path = work.out / "shards" / "00001.parquet"
    data = bytearray(path.read_bytes())
    data[40] ^= 255
    path.write_bytes(data)
    work.editions = {"004.jpg": 1}
    with pytest.raises(StoppedError, match="00[35].jpg is gone or spoilt.*--verify"):
        work.run()
    work.verify = True
    assert work.run() == [] and work.tree() == fresh(editions={"004.jpg": 1})


def test_photos_that_come_and_go(tmp_path: Path, fresh: Callable[..., dict[str, bytes]]) -> None:
    work = Work(tmp_path / "out")
    work.run()
    work.done, work.names = [], [*NAMES[:3], "0025.jpg", *NAMES[3:], "008.jpg", "009.jpg"]
    assert work.run() == [] and work.done == ["0025.jpg", "008.jpg", "009.jpg"]
    index = json.loads(work.tree()["index.json"])
    assert [(row["first"], row["photos"]) for row in index["shards"]] == [
        ("000.jpg", 4),
        ("003.jpg", 3),
        ("006.jpg", 3),
        ("009.jpg", 1),
    ]
    work.names, work.done = NAMES[:6], []
    assert work.run() == [] and work.done == []
    assert work.tree().keys() == fresh(names=NAMES[:6]).keys() and work.waste() == []
    assert {**work.tree()} == fresh(names=NAMES[:6])


def test_three_runs_that_share_the_work_are_as_one(tmp_path: Path, fresh: Callable[..., dict[str, bytes]]) -> None:
    work = Work(tmp_path / "out", MANY)
    assert work.run("1/3") == [] and work.run("3/3", most=1) is None and work.run("3/3") == []
    assert "index.json" not in work.tree() and work.waste()
    assert work.run("2/3") == []
    assert work.tree() == fresh(names=MANY) and work.waste() == [] and sorted(work.done) == MANY
    work.done, work.editions = [], {"004.jpg": 1}
    for number in (1, 2, 3):
        assert work.run(f"{number}/3") == []
    assert work.done == ["004.jpg"] and work.tree() == fresh(names=MANY, editions={"004.jpg": 1})
    assert work.waste() == []


def test_what_a_whole_run_left_others_finish(tmp_path: Path, fresh: Callable[..., dict[str, bytes]]) -> None:
    work = Work(tmp_path / "out", MANY)
    assert work.run(most=10) is None
    for number in (2, 1):
        assert work.run(f"{number}/2") == []
    assert work.tree() == fresh(names=MANY) and work.waste() == [] and sorted(work.done) == MANY


def test_the_index_is_there_only_when_all_is_done(tmp_path: Path) -> None:
    work = Work(tmp_path / "out", MANY)
    work.run()
    assert "index.json" in work.tree()
    work.editions = {"004.jpg": 1}
    work.names = [*MANY, "018.jpg"]
    work.run(most=1)
    assert "index.json" not in work.tree()
    work.run()
    assert "index.json" in work.tree()


def test_spools_of_a_run_that_goes_on_are_left_to_it(tmp_path: Path) -> None:
    work = Work(tmp_path / "out", MANY)
    work.run("1/2")
    with locked(work.out / STATE, Shard(1, 2), str(work.out)):
        assert work.run("2/2") == []
        assert work.waste() and all("1of2" in name for name in work.waste())
    assert work.run("1/2") == [] and work.waste() == []


def test_all_that_was_written_can_be_removed(tmp_path: Path) -> None:
    work = Work(tmp_path / "out")
    work.run()
    (work.out / "shards" / "mine.txt").write_text("mine")
    shard_store.remove_all(work.out)
    assert [path.name for path in (work.out / "shards").iterdir()] == ["mine.txt"]
    assert shard_store.numbers(work.out) == []


@pytest.mark.parametrize(("count", "rows"), [(300, 100), pytest.param(5000, 4096, marks=pytest.mark.soak)])
def test_a_shard_is_written_in_little_memory(
    count: int, rows: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row group at a time is held: for twice as many photos there is little more than the digest and name of each."""
    monkeypatch.setattr(parquet, "GROUP_ROWS", rows)

    def peak(count: int) -> int:
        out = tmp_path / str(count)
        spool = Spool(out, "", lambda name: 0)
        records = [_record(f"{number:05}.jpg", spool) for number in range(count)]
        spool.close()
        tracemalloc.start()
        try:
            ShardMaker(out, {}).settle(0, records)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(10)
    few, many = peak(count), peak(2 * count)
    assert many - few < count * 500 and len(payload(NAMES[3])) > 500, (few, many)


def _record(name: str, spool: Spool) -> shard_work.Record:
    return shard_work.Record(name, "done", outputs=(spool.append(name, payload(name)),))
