"""Bad files among good ones, disks that fill up, and trees of thousands of nasty names: counted, told, and outlived."""

from __future__ import annotations

import builtins
import csv
import errno
import io
import os
import shutil
import socket
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from clickmask.models.errors import StoppedError
from clickmask.service.batch.sources import STATE
from clickmask.service.cli.app import app

from .conftest import MODEL, Run, tree

UNIX = pytest.mark.skipif(os.name != "posix", reason="files of Unix")
WORDS = ("--point", "center", "--format", "png,coco", "--quiet")


def _bomb() -> bytes:
    """A PNG that says it is 100,000 pixels a side."""
    body = b"IHDR" + struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))


def _make_bad(folder: Path, good: bytes, number: int) -> dict[str, set[str]]:
    """One bad file of each kind; which may be looked at at all, and which classes of errors tell of them."""
    whole = {"empty": b"", "cut": good[: len(good) // 2], "magic": b"\x89PNX" + good[4:], "html": b"<!DOCTYPE html>"}
    size = good[:16] + bytes(8) + good[24:]  # 0 x 0 pixels
    whole |= {"size": size, "bomb": _bomb(), "head": good[:20]}
    for kind, data in whole.items():
        (folder / f"bad{number}_{kind}.png").write_bytes(data)
    (folder / f"bad{number}_dangling.png").symlink_to(folder / "nothing")
    expected = dict.fromkeys((f"bad{number}_{kind}.png" for kind in whole), {"ImageError"})
    expected[f"bad{number}_dangling.png"] = {"FileNotFoundError"}
    if os.geteuid() != 0:  # root may read everything
        (folder / f"bad{number}_shut.png").write_bytes(good)
        (folder / f"bad{number}_shut.png").chmod(0)
        expected[f"bad{number}_shut.png"] = {"PermissionError"}
    (folder / f"bad{number}_folder.png").mkdir()
    os.mkfifo(folder / f"bad{number}_pipe.png")
    return expected


@UNIX
@pytest.mark.parametrize(("good", "times"), [(9, 1), pytest.param(270, 3, marks=pytest.mark.soak)])
def test_ten_in_a_hundred_are_bad(
    good: int, times: int, make: Callable[[Path, int], None], tmp_path: Path, segment: Run
) -> None:
    """Of each kind one or more: a row each with class and reason, and the others as if they were alone."""
    photos, out = tmp_path / "photos", tmp_path / "out"
    make(photos, good)
    segment(photos, tmp_path / "clean")
    expected: dict[str, set[str]] = {}
    for number in range(times):
        expected |= _make_bad(photos, (photos / "001.png").read_bytes(), number)
    done = CliRunner().invoke(app, ["batch", str(photos), str(out), *WORDS, *MODEL])
    assert done.exit_code == 3 and f"{len(expected)} photos failed" in done.stderr
    rows = list(csv.DictReader((out / STATE / "failures.csv").read_text().splitlines()))
    assert sorted(row["image"] for row in rows) == sorted(expected)
    assert all(row["class"] in expected[row["image"]] and row["reason"] for row in rows), rows
    assert tree(out) == tree(tmp_path / "clean")


class _FullDisk:
    """Lets so many bytes through, of all files together, and no more."""

    def __init__(self, room: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.room = room
        self._write, self._fdopen = os.write, os.fdopen
        monkeypatch.setattr(os, "write", self._plainly)
        monkeypatch.setattr(os, "fdopen", self._opened)

    def _plainly(self, descriptor: int, data: bytes) -> int:
        taken = self._take(len(data))
        return self._write(descriptor, data[:taken])

    def _take(self, wanted: int) -> int:
        taken = min(wanted, self.room)
        self.room -= taken
        if wanted and not taken:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return taken

    def _opened(self, descriptor: int, mode: str = "r", *words: Any, **options: Any) -> Any:
        return (
            _through(self._plainly, descriptor) if mode == "wb" else self._fdopen(descriptor, mode, *words, **options)
        )


def _through(write: Callable[[int, bytes], int], descriptor: int) -> io.BufferedWriter:
    class Raw(io.FileIO):
        def write(self, data: Any) -> int:
            return write(self.fileno(), bytes(data))

    return io.BufferedWriter(Raw(descriptor, "wb"))


@pytest.mark.soak
def test_a_disk_that_is_full_at_any_byte_is_told_and_gone_on_from(
    make: Callable[[Path, int], None], tmp_path: Path, segment: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the settings, within files and journal, between them, and in the joined document."""
    photos, fresh = tmp_path / "photos", tmp_path / "fresh"
    make(photos, 3)
    with monkeypatch.context() as patch:
        disk = _FullDisk(1 << 30, patch)
        segment(photos, fresh)
        used = (1 << 30) - disk.room
    expected, summary = tree(fresh), sum(path.stat().st_size for path in (fresh / STATE).glob("s*.json"))
    for part in range(10):
        out, room = tmp_path / f"out{part}", part * (used - summary) // 10 + 7 * part
        with monkeypatch.context() as patch:
            _FullDisk(room, patch)
            with pytest.raises(StoppedError, match=rf"{out}.*No space left"):
                segment(photos, out)
        tree(out)  # no half a file
        segment(photos, out)
        assert tree(out) == expected, room


def test_the_command_line_says_that_the_disk_is_full(
    make: Callable[[Path, int], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path / "photos", 2)
    words = ["batch", str(tmp_path / "photos"), str(tmp_path / "out"), *WORDS, *MODEL]
    with monkeypatch.context() as patch:
        _FullDisk(2000, patch)
        done = CliRunner().invoke(app, words)
    assert done.exit_code == 1
    assert str(tmp_path / "out") in done.stderr and "No space left" in done.stderr and "is kept" in done.stderr
    assert CliRunner().invoke(app, words).exit_code == 0


NASTY = [
    *(
        b"a.jpg",
        b"a.png",
        b"-rf.png",
        b"a\nb.png",
        b"bad\xff\xfe.png",
        b"CON.png",
        b"con.jpg",
        b"Twin.png",
        b"twin.png",
    ),
    *(
        b"e\xcc\x81.png",
        b"\xc3\xa9.png",
        b"x" * 251 + b".png",
        b"x" * 250 + b"y.png",
        b"a%0Ab.png",
        b"name ",
        b"dot..png",
    ),
    *("\u202egnp.png".encode(), b"a_mask.png", b"a_mask_2.png", b"a.json.png", b"\\up\\..\\x.png", b"NUL", b"~.png"),
]


def _plant(folder: Path, good: bytes, outside: Path) -> dict[str, int]:
    """A tree of nasty names, in folders side by side and fifty deep; how many there are of each fate."""
    counts = {"done": 0, "failed": 0, "skipped": 0}
    places = [*(os.fsencode(folder / f"f{number}") for number in range(8)), os.fsencode(folder / "/".join("d" * 50))]
    for place in places:
        os.makedirs(place)
        for name in NASTY:
            with builtins.open(os.path.join(place, name), "wb") as file:
                file.write(good)
        counts["done"] += len(NASTY)
        for number in range(200):  # fill up
            Path(os.fsdecode(place), f"{number}.jpg").write_bytes(b"" if number % 40 else good)
        counts["done"] += 5
        counts["failed"] += 195
        os.symlink(place, os.path.join(place, b"loop"))
        os.symlink(outside, os.path.join(place, b"out"))
        os.symlink(b"self.png", os.path.join(place, b"self.png"))
        os.mkfifo(os.path.join(place, b"pipe.png"))
        os.makedirs(os.path.join(place, b"folder.jpg"))
        Path(os.fsdecode(place), "notes.txt").write_text("no photo")
        counts["failed"] += 1
        counts["skipped"] += 4
    return counts


def _listing(folder: Path) -> dict[bytes, tuple[int, int, int]]:
    """All that lies there: kind and mode, size, and time of the last change."""
    found: dict[bytes, tuple[int, int, int]] = {}
    for place, folders, names in os.walk(os.fsencode(folder)):
        for name in (*folders, *names):
            path = os.path.join(place, name)
            state = os.lstat(path)
            found[path] = state.st_mode, state.st_size, state.st_mtime_ns
    return found


@pytest.fixture
def listener(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of photos with a socket in it."""
    folder = tmp_path / "around" / "photos"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)  # a socket's path must be short
    with socket.socket(socket.AF_UNIX) as open_socket:
        open_socket.bind("socket.png")
        yield folder


@UNIX
@pytest.mark.soak
def test_two_thousand_nasty_files_are_counted_and_nothing_else_is_touched(
    listener: Path, photos: Path, tmp_path: Path, segment: Run
) -> None:
    outside, out = tmp_path / "outside", tmp_path / "out"
    shutil.copytree(photos, outside)
    counts = _plant(listener, (photos / "001.png").read_bytes(), outside)
    before = {place: _listing(place) for place in (listener.parent, outside, photos)}
    report = segment(listener, out, "png,labelme,amg,coco")
    tally = report.tally
    assert tally.total >= 2000 and tally.total == tally.done + tally.failed + tally.skipped
    assert (tally.done, tally.failed, tally.skipped) == (counts["done"], counts["failed"], counts["skipped"] + 1)
    assert {place: _listing(place) for place in before} == before
    assert sorted(os.listdir(tmp_path)) == ["around", "out", "outside", "photos"]
    names = list(tree(out))
    assert len(names) == 4 * tally.done + 1  # a mask, a labelme, two of amg, and the joined document
    assert len({name.casefold() for name in names}) == len(names)
    assert all(name.isprintable() for name in names)
    assert segment(listener, out, "png,labelme,amg,coco").tally.kept == tally.done
