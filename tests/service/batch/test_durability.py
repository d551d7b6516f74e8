"""The order in which things come to the disk: what a journal says is true after a power cut, too."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from clickmask.service.batch.folders import Folders, sync_folder
from clickmask.service.batch.journal import Record

from .conftest import Run

pytestmark = pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="which file is meant is asked of Linux")
Call = tuple[str, str, bytes]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Call]]:
    """What was synced, renamed and written by `os.write`: (which call, path, data)."""
    made: list[Call] = []
    sync, replace, write = os.fsync, os.replace, os.write

    def path_of(descriptor: int) -> str:
        return os.readlink(f"/proc/self/fd/{descriptor}")

    def note_sync(descriptor: int) -> None:
        sync(descriptor)
        made.append(("sync", path_of(descriptor), b""))

    def note_replace(source: Path, target: Path) -> None:
        made.append(("rename", str(source), os.fsencode(target)))
        replace(source, target)

    def note_write(descriptor: int, data: bytes) -> int:
        count = write(descriptor, data)
        made.append(("write", path_of(descriptor), data[:count]))
        return count

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(os, "replace", note_replace)
    monkeypatch.setattr(os, "write", note_write)
    yield made


def test_files_come_to_the_disk_before_what_tells_of_them(
    photos: Path, tmp_path: Path, segment: Run, calls: list[Call]
) -> None:
    """A file's bytes before its name, its name and its folder before the journal that lists it is synced."""
    out = tmp_path / "out"
    segment(photos, out, "png,coco")
    journal = f"{out}/.clickmask-batch/journal.jsonl"
    synced, renamed, listed, begun = set[str](), list[str](), set[str](), set[str]()
    pending, waiting = set[str](), set[str]()  # folders, and listed files, not yet on the disk
    for call, path, data in calls:
        if call == "rename" and "/thumbnails/" in path:
            continue  # for looking at only: one that is lost is told as missing
        if call == "rename":
            target = os.fsdecode(data)
            assert path in synced, "renamed before its bytes were on the disk"
            renamed.append(target)
            pending.add(os.path.dirname(target))
        elif call == "sync" and path == journal:
            assert not {os.path.dirname(file) for file in waiting} & pending
            waiting.clear()
        elif call == "sync":
            synced.add(path)
            pending.discard(path)
        elif path == journal and (record := Record.parse(data)) is not None:
            assert record.name in begun
            files = {f"{out}/{name}" for name, _, _ in record.outputs}
            assert files <= set(renamed)
            waiting |= files
            listed |= files
        elif path == journal:
            begun.add(data.split(b'"')[3].decode())
    assert not waiting and len(listed) == 16
    assert synced >= {str(tmp_path), str(out), f"{out}/even", f"{out}/.clickmask-batch", f"{out}/.clickmask-batch/coco"}
    folders = [path for call, path, _ in calls if call == "sync" and os.path.isdir(path)]
    assert len(folders) < 16  # together, and not with each file


def test_new_folders_come_to_the_disk_with_the_one_they_stand_in(tmp_path: Path, calls: list[Call]) -> None:
    folders = Folders(tmp_path)
    (tmp_path / "a" / "b").mkdir(parents=True)
    for _ in range(2):
        folders.touch("a/b/c.png")
        folders.touch("a/b/d.png")
    folders.touch("gone/x.png")
    folders.sync()
    assert [path for _, path, _ in calls] == [str(tmp_path), f"{tmp_path}/a", f"{tmp_path}/a/b"]
    folders.sync()
    assert len(calls) == 3
    folders.touch("a/b/e.png")
    folders.sync()
    assert [path for _, path, _ in calls[3:]] == [f"{tmp_path}/a/b"]


@pytest.mark.parametrize(("number", "is_told"), [(errno.EIO, True), (errno.ENOSPC, True), (errno.EINVAL, False)])
def test_a_disk_that_fails_is_told_and_one_that_cannot_is_not(
    number: int, is_told: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    if is_told:
        with pytest.raises(OSError, match=os.strerror(number)):
            sync_folder(tmp_path)
    else:
        sync_folder(tmp_path)
