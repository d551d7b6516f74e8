"""Photos in archives: the results of a folder with the same photos, and whatever else stands in there does no harm."""

from __future__ import annotations

import os
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from clickmask.models.errors import ImageError
from clickmask.service.batch.journal import DONE, FAILED, SKIPPED, Record
from clickmask.service.batch.outlet import Folder
from clickmask.service.batch.plan import Job, is_same_file
from clickmask.service.batch.questions import Nothing
from clickmask.service.batch.reading import Opened, read
from clickmask.service.batch.sources import STATE, scan

from .archive_maker import failures, files, make_tar, make_zip, names, read_all, scanned
from .conftest import Run, tree

MODES = {"tar": "w", "tgz": "w:gz", "tar.bz2": "w:bz2", "tar.xz": "w:xz"}
UNSAFE = ["/etc/a.png", "../a.png", "sub/../../a.png", "..\\a.png", "C:/a.png", "C:\\a.png"]
CHANGED = 1_000_000_000 * 10**9


def _make(kind: str, path: Path, members: list[tuple[str, bytes]]) -> Path:
    return make_zip(path, members) if kind == "zip" else make_tar(path, members, MODES[kind])


def test_results_are_those_of_the_folder(make: Callable[[Path, int], None], tmp_path: Path, segment: Run) -> None:
    photos = tmp_path / "photos"
    make(photos, 4)
    segment(photos, tmp_path / "plain")
    for kind in ("zip", "tgz"):
        archive = _make(kind, tmp_path / f"{kind}.bin", files(photos))  # its name says nothing
        assert segment(archive, tmp_path / kind).tally.done == 4
        assert tree(tmp_path / kind) == tree(tmp_path / "plain")
        assert segment(archive, tmp_path / kind).tally.kept == 4
    assert "even/000_mask.png" in tree(tmp_path / "zip")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photos", "plain", "tgz", "tgz.bin", "zip", "zip.bin"]


@pytest.mark.parametrize("kind", ["zip", *MODES])
def test_every_member_is_as_the_file(kind: str, photos: Path, tmp_path: Path) -> None:
    archive = _make(kind, tmp_path / "packed", [("./readme.md", b"of photos"), ("empty", b""), *files(photos)])
    found = scanned(archive)
    assert names(found) == sorted([name for name, _ in files(photos)] + ["empty", "readme.md"], key=os.fsencode)
    read_now = read_all(found, tmp_path)
    assert {name for name, item in read_now.items() if isinstance(item, Record) and item.state == SKIPPED} == {
        "empty",
        "readme.md",
    }
    again = pickle.loads(pickle.dumps(list(found.sources)))  # as other processes get them
    for source in again:
        with source.open() as file:
            expected = dict(files(photos)).get(source.name)
            assert expected is None or (file.read(10), file.read()) == (expected[:10], expected[10:])


@pytest.mark.parametrize("kind", ["zip", "tgz"])
def test_threads_share_an_archive(kind: str, photos: Path, tmp_path: Path) -> None:
    sources = list(scanned(_make(kind, tmp_path / "photos.x", files(photos))).sources) * 10

    def content(at: int) -> bool:
        with sources[at].open() as file:
            return file.read() == (photos / sources[at].name).read_bytes()

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(content, range(len(sources))))


@pytest.mark.parametrize("kind", ["zip", "tar", "tgz"])
def test_names_that_lead_elsewhere_cost_a_row_each(kind: str, photos: Path, tmp_path: Path) -> None:
    photo = (photos / "001.png").read_bytes()
    members = [(name, photo) for name in [*UNSAFE, f"{STATE}/settings.png", "__MACOSX/._a.png", "good.png"]]
    found = scanned(_make(kind, tmp_path / "photos.x", members))
    assert names(found) == ["good.png"]
    assert sorted(failures(found)) == sorted((name, "UnsafeName") for name in UNSAFE)
    assert sorted(trouble.kind for trouble in found.skipped) == ["NotAPhoto", "Output"]


def test_nothing_is_written_outside_out(photos: Path, tmp_path: Path, segment: Run) -> None:
    photo = (photos / "001.png").read_bytes()
    archive = make_zip(tmp_path / "a.zip", [(name, photo) for name in ("../slip.png", "x\\..\\y.png", "ok/a.png")])
    report = segment(archive, tmp_path / "deep" / "out", "png")
    assert (report.tally.done, report.tally.failed, report.tally.total) == (1, 2, 3)
    assert [name for name in tree(tmp_path / "deep") if STATE not in name] == ["out/ok/a_mask.png"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip", "deep", "photos"]


def test_members_of_other_kinds_are_no_photos(photos: Path, tmp_path: Path) -> None:
    members: list[tuple[str | tarfile.TarInfo, bytes]] = [("a.png", (photos / "001.png").read_bytes())]
    for number, kind in enumerate((tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, b"5")):
        info = tarfile.TarInfo(f"{number}.png")
        info.type, info.linkname = kind, "/etc/passwd"
        members.append((info, b""))
    found = scanned(make_tar(tmp_path / "a.tar", members))
    assert names(found) == ["a.png"]
    assert failures(found) == [("0.png", "Link"), ("1.png", "Link")]
    assert [(trouble.name, trouble.kind) for trouble in found.skipped] == [("2.png", "NotAFile"), ("3.png", "NotAFile")]

    link = zipfile.ZipInfo("link.png")
    link.create_system, link.external_attr = 3, 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    assert failures(scanned(tmp_path / "a.zip")) == [("link.png", "Link")]


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_of_twins_the_later_counts(kind: str, photos: Path, tmp_path: Path) -> None:
    twins = [("a.png", b"older"), ("./a.png", (photos / "001.png").read_bytes()), ("b.png", b"")]
    found = scanned(_make(kind, tmp_path / "x", twins))
    assert names(found) == ["a.png", "b.png"] and failures(found) == [("a.png", "Duplicate")]
    with found.sources[0].open() as file:
        assert file.read() == twins[1][1]


def test_names_of_any_bytes_come_through(photos: Path, tmp_path: Path, segment: Run) -> None:
    photo = (photos / "001.png").read_bytes()
    raw = bytes(byte for byte in range(1, 256) if byte not in b"/\\")
    path = make_zip(tmp_path / "a.zip", [("N" * len(raw), photo)], zipfile.ZIP_STORED)
    path.write_bytes(path.read_bytes().replace(b"N" * len(raw), raw))
    tar = make_tar(tmp_path / "a.tar", [(os.fsdecode(b"caf\xe9.png"), photo), ("größe.png", photo)])
    assert [os.fsencode(name) for name in names(scanned(path))] == [raw]
    assert [os.fsencode(name) for name in names(scanned(tar))] == [b"caf\xe9.png", "größe.png".encode()]
    report = segment(tar, tmp_path / "out", "png")
    assert report.tally.done == 2 and sorted(tree(tmp_path / "out")) == ["caf%E9_mask.png", "größe_mask.png"]
    assert segment(tar, tmp_path / "out", "png").tally.kept == 2


def test_the_same_members_in_a_rewritten_zip_are_the_same(photos: Path, tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", files(photos))
    records = {}
    for source in scanned(path).sources:
        opened = read(Job(source, source.name), Nothing(), Folder(tmp_path))
        assert isinstance(opened, Opened)
        records[source.name] = opened.stamp
    members = dict(files(photos))
    members["001.png"], members["new.png"] = members["003.png"], members["003.png"]
    make_zip(path, members.items(), zipfile.ZIP_STORED)
    os.utime(path, ns=(CHANGED, CHANGED))
    later = {source.name: source for source in scanned(path).sources}
    assert {name for name, record in records.items() if not is_same_file(record, later[name])} == {"001.png"}


def test_a_tar_that_was_written_anew_is_read_again_but_not_done_again(
    photos: Path, tmp_path: Path, segment: Run
) -> None:
    path = make_tar(tmp_path / "a.tar", files(photos)[:2])
    segment(path, tmp_path / "out", "png")
    before = {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in tree(tmp_path / "out")}
    make_tar(path, files(photos)[:2])
    os.utime(path, ns=(CHANGED, CHANGED))
    report = segment(path, tmp_path / "out", "png")
    assert (report.tally.kept, report.tally.done) == (0, 2)
    assert before == {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in tree(tmp_path / "out")}


def test_a_tar_that_changes_meanwhile_is_not_trusted(photos: Path, tmp_path: Path) -> None:
    path = make_tar(tmp_path / "a.tar", files(photos)[:1])
    (source,) = scanned(path).sources
    os.utime(path, ns=(CHANGED, CHANGED))
    record = read(Job(source, "x"), Nothing(), Folder(tmp_path))
    assert isinstance(record, Record) and record.state == FAILED and "was changed" in record.reason


def test_journals_without_identities_are_read() -> None:
    line = Record("a.png", DONE, 5, 6, "0" * 64).line().replace(b',"identity":""', b"")
    assert b"identity" not in line and Record.parse(line) == Record("a.png", DONE, 5, 6, "0" * 64)


@pytest.mark.parametrize("head", [b"\x1f\x8b no gzip", b"BZh91AY nothing", b"PK\3\4 no zip", b"\xfd7zXZ\0 no xz"])
def test_what_only_begins_like_an_archive_is_refused_by_name(head: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(head * 100)
    with pytest.raises(ImageError, match=r"a\.bin"):
        scan(str(tmp_path / "a.bin"), tmp_path / "out")


def test_a_compressed_file_that_is_no_tar_is_refused(tmp_path: Path) -> None:
    import gzip

    (tmp_path / "a.gz").write_bytes(gzip.compress(b"text" * 1000))
    with pytest.raises(ImageError, match="no tar archive"):
        scan(str(tmp_path / "a.gz"), tmp_path / "out")


def test_a_photo_is_no_archive(photos: Path, tmp_path: Path) -> None:
    assert names(scan(str(photos / "001.png"), tmp_path / "out")) == ["001.png"]


def test_a_file_of_zeros_is_no_archive_without_members(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(bytes(10240))
    (item,) = read_all(scan(str(tmp_path / "a.jpg"), tmp_path / "out"), tmp_path).values()
    assert isinstance(item, Record) and item.state == FAILED
