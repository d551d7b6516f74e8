"""Archives made to fill memory, disk or time, and archives that are broken: refused, or a row each."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import resource
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from clickmask.models.errors import ImageError
from clickmask.service.batch.inputs.member import check_size
from clickmask.service.batch.journal import FAILED, SKIPPED, Record
from clickmask.service.batch.reading import Opened

from .archive_maker import failures, files, make_tar, make_zip, names, read_all, scanned

ZEROS = 1 << 30
PACKERS: dict[str, Callable[[bytes], bytes]] = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}


@contextmanager
def _memory(megabytes: int) -> Iterator[None]:
    """The address space may grow by so much and no more."""
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (now + (megabytes << 20), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _zeros(pack: Callable[[bytes], bytes], size: int) -> bytes:
    """A tar of a photo by name and nothing but zeros, packed in pieces."""
    info = tarfile.TarInfo("a.png")
    info.size = size
    return pack(info.tobuf()) + pack(bytes(1 << 24)) * (size >> 24) + pack(bytes(1024))


def _reason(item: object) -> str:
    assert isinstance(item, Record) and item.state == FAILED
    return item.reason


@pytest.mark.parametrize("kind", PACKERS)
def test_a_compressed_tar_of_zeros_is_refused(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"bomb.tar.{kind}"
    path.write_bytes(_zeros(PACKERS[kind], ZEROS))
    with _memory(400), pytest.raises(ImageError, match="bomb"):
        scanned(path)


def test_a_zip_of_zeros_costs_rows(photos: Path, tmp_path: Path) -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    some = packer.compress(bytes(1 << 24)) + packer.flush(zlib.Z_FULL_FLUSH)  # behind which nothing refers to it
    squeezed = some * (ZEROS >> 24) + packer.flush()
    path = make_zip(tmp_path / "a.zip", [("good.png", (photos / "001.png").read_bytes())])
    _append(
        path, [(b"huge.png", squeezed, ZEROS, 0), (b"liar.png", squeezed, 1000, 0), (b"huge.txt", squeezed, ZEROS, 0)]
    )
    with _memory(100):
        read_now = read_all(scanned(path), tmp_path)
    assert isinstance(read_now["good.png"], Opened)
    assert "more than the limit" in _reason(read_now["huge.png"])
    assert "more than the 1,000 bytes it states" in _reason(read_now["liar.png"])
    text = read_now["huge.txt"]
    assert isinstance(text, Record) and text.state == SKIPPED


def test_ratios_are_suspicious_from_some_size_on() -> None:
    check_size("a", 10 << 20, 1)
    check_size("a", 20_000_000, 100_000)
    with pytest.raises(ImageError, match="bomb"):
        check_size("a", 20_000_000, 99_999)


def test_archives_within_archives_are_no_photos(tmp_path: Path) -> None:
    inner = make_zip(tmp_path / "inner.zip", [("a.png", bytes(1 << 20))]).read_bytes()
    found = scanned(make_zip(tmp_path / "outer.zip", [(f"{number}.zip", inner) for number in range(3)]))
    assert {item.kind for item in read_all(found, tmp_path).values() if isinstance(item, Record)} == {"NotAPhoto"}


def test_members_that_overlap_are_refused(tmp_path: Path) -> None:
    """As in D. Fifield's "A better zip bomb": one kernel, and many members whose data it is."""
    path = make_zip(tmp_path / "a.zip", [("a.png", bytes(1 << 20))])
    data = path.read_bytes()
    start = data.index(b"PK\1\2")
    entry = data[start : data.index(b"PK\5\6")]
    again = b"".join(entry.replace(b"a.png", b"%c.png" % letter) for letter in b"bcdefg")
    _close(path, data[:start], entry + again, 7)
    with pytest.raises(ImageError, match="bomb, or damaged: 6 of its members lie in others"):
        scanned(path)


@pytest.mark.parametrize("count", [1_000_001, 1 << 40])
def test_a_zip_of_too_many_members_is_refused_unread(count: int, tmp_path: Path) -> None:
    wide = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, 46 * count, 0)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, 4, 1)
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    (tmp_path / "a.zip").write_bytes(b"PK\3\4" + wide + locator + end)
    with pytest.raises(ImageError, match="more than 1,000,000 members"):
        scanned(tmp_path / "a.zip")


def test_a_zip_with_large_numbers_and_something_before_it_is_read(photos: Path, tmp_path: Path) -> None:
    path, photo = make_zip(tmp_path / "a.zip", []), (photos / "001.png").read_bytes()
    with zipfile.ZipFile(path, "w") as archive, archive.open("a.png", "w", force_zip64=True) as file:
        file.write(photo)
    data = path.read_bytes()
    start, end = data.index(b"PK\1\2"), data.index(b"PK\5\6")
    entry, wide = bytearray(data[start:end]), struct.pack("<2HQQQ", 1, 24, len(photo), len(photo), 0)
    entry[20:28], entry[30:32], entry[42:46] = b"\xff" * 8, struct.pack("<H", len(wide)), b"\xff" * 4
    entry += wide
    after = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, len(entry), start)
    after += struct.pack("<4sLQL", b"PK\6\7", 0, start + len(entry), 1)
    after += struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    for before in (b"", b"PK\3\4 a program that unpacks what follows"):
        path.write_bytes(before + data[:start] + entry + after)
        (item,) = read_all(scanned(path), tmp_path).values()
        assert isinstance(item, Opened) and item.stamp.size == len(photo)


def test_an_encrypted_member_costs_a_row(photos: Path, tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", [(name, (photos / "001.png").read_bytes()) for name in ("a.png", "b.png")])
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(data)
    found = scanned(path)
    assert failures(found) == [("a.png", "Encrypted")] and names(found) == ["b.png"]


def test_damaged_and_unknown_members_cost_rows(photos: Path, tmp_path: Path) -> None:
    photo = (photos / "001.png").read_bytes()
    path = make_zip(tmp_path / "a.zip", [("good.png", photo)], zipfile.ZIP_BZIP2)
    _append(
        path,
        [(b"spoilt.png", b"\xff" * 50, 9, 8), (b"sum.png", photo, len(photo), 0), (b"lzma.png", photo, 9, 14)],
        raw=True,
    )
    read_now = read_all(scanned(path), tmp_path)
    assert isinstance(read_now["good.png"], Opened)
    assert "damaged" in _reason(read_now["spoilt.png"])
    assert "check sum" in _reason(read_now["sum.png"])
    assert "method 14" in _reason(read_now["lzma.png"])


def test_a_zip_without_its_end_is_refused(photos: Path, tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", files(photos))
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ImageError, match=r"a\.zip is no whole zip"):
        scanned(path)


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_of_a_tar_that_is_cut_off_the_rest_is_lost(mode: str, photos: Path, tmp_path: Path) -> None:
    noise = random.Random(1).randbytes(2_500_000)  # bzip2 packs 900,000 bytes at a time
    members = [*files(photos)[:2], ("noise.bin", noise), ("late.png", files(photos)[0][1])]
    path = make_tar(tmp_path / "a.tar", members, mode)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    found = scanned(path)
    assert failures(found) == [("a.tar", "Damaged")] and "late.png" not in names(found)
    read_now = read_all(found, tmp_path)
    done = [name for name, item in read_now.items() if isinstance(item, Opened)]
    assert sorted(done) == sorted(name for name, _ in members[:2])


def test_a_tar_that_is_spoilt_in_the_middle_gives_what_comes_before(photos: Path, tmp_path: Path) -> None:
    path = make_tar(tmp_path / "a.tar", [("a.png", files(photos)[0][1]), ("b.png", b"")])
    data = bytearray(path.read_bytes())
    data[data.index(b"b.png")] ^= 1
    path.write_bytes(data)
    found = scanned(path)
    assert names(found) == ["a.png"] and failures(found) == [("a.tar", "Damaged")]


@pytest.mark.parametrize("kind", [b"x", b"L"])
def test_headers_without_end_are_not_held(kind: bytes, tmp_path: Path) -> None:
    info = tarfile.TarInfo("long")
    info.type, info.size = kind, 1 << 32
    with (tmp_path / "a.tar").open("wb") as file:
        file.write(tarfile.TarInfo("a.png").tobuf() + info.tobuf())
        file.truncate(1 << 32)  # a hole, which takes no room
    with _memory(50):
        found = scanned(tmp_path / "a.tar")
    assert names(found) == ["a.png"] and failures(found) == [("a.tar", "Damaged")]


def test_members_of_no_known_kind_are_passed_over_with_their_content(photos: Path, tmp_path: Path) -> None:
    listing = tarfile.TarInfo("folder")
    listing.type, listing.size = b"D", 600
    late = tarfile.TarInfo("late.png")
    (tmp_path / "a.tar").write_bytes(listing.tobuf() + b"Ya.png".ljust(1024, b"\0") + late.tobuf() + bytes(1024))
    found = scanned(tmp_path / "a.tar")
    assert names(found) == ["late.png"] and [trouble.kind for trouble in found.skipped] == ["NotAFile"]


def test_long_names_and_times_of_both_dialects_are_read(tmp_path: Path) -> None:
    name = "/".join(["folder" * 20] * 3) + "/é.png"
    for dialect in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        info = tarfile.TarInfo(name)
        info.size, info.mtime = 3, 1_700_000_000.5 if dialect == tarfile.PAX_FORMAT else 1_700_000_000
        headers = info.tobuf(dialect, "utf-8", "surrogateescape")
        (tmp_path / "a.tar").write_bytes(headers + b"abc".ljust(512, b"\0") + bytes(1024))
        (source,) = scanned(tmp_path / "a.tar").sources
        assert source.name == name and source.stamp()[:2] == (3, int(info.mtime * 10) * 10**8)
        with source.open() as file:
            assert file.read() == b"abc"


def _append(path: Path, members: list[tuple[bytes, bytes, int, int]], *, raw: bool = False) -> None:
    """Members of any claims: name, packed bytes, size as stated, method (deflate unless `raw`); their CRC is wrong."""
    data = path.read_bytes()
    start, end = data.index(b"PK\1\2"), data.rindex(b"PK\5\6")
    body, directory = io.BytesIO(data[:start]), data[start:end]
    body.seek(0, 2)
    for name, packed, size, method in members:
        method = method if raw else 8
        at = body.tell()
        body.write(struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, method, 0, 33, 1, len(packed), size, len(name), 0))
        body.write(name + packed)
        head = (b"PK\1\2", 20, 20, 0, method, 0, 33, 1, len(packed), size, len(name), 0, 0, 0, 0, 0, at)
        directory += struct.pack("<4s6H3L5H2L", *head) + name
    _close(path, body.getvalue(), directory, 1 + len(members))


def _close(path: Path, body: bytes, directory: bytes, count: int) -> None:
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, len(directory), len(body), 0)
    path.write_bytes(body + directory + end)
