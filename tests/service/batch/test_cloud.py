"""Photos in cloud storage: S3's protocol against a server on this machine, and fsspec's own memory."""

from __future__ import annotations

import errno
import os
import pickle
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import fsspec
import pytest

from clickmask.models.errors import ImageError, MissingExtraError
from clickmask.service.batch.inputs import cloud_object, retrying
from clickmask.service.batch.journal import FAILED, SKIPPED, Record
from clickmask.service.batch.outlet import Folder
from clickmask.service.batch.plan import Job, is_same_file
from clickmask.service.batch.questions import Nothing
from clickmask.service.batch.reading import Opened, read
from clickmask.service.batch.sources import STATE, scan

from .archive_maker import files, names, read_all
from .conftest import Run, tree

if TYPE_CHECKING:
    from .s3_stand_in import Bucket


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries follow one another at once."""
    monkeypatch.setattr(retrying, "FIRST_PAUSE", 0.0)


@pytest.fixture
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    """fsspec's storage in memory, empty."""
    storage = fsspec.filesystem("memory")
    storage.store.clear()
    storage.pseudo_dirs[:] = [""]
    yield storage
    storage.store.clear()


def _stamp(url: str, out: Path) -> Record:
    (source,) = scan(url, out).sources
    opened = read(Job(source, "base"), Nothing(), Folder(out))
    assert isinstance(opened, Opened)
    return opened.stamp


def test_results_are_those_of_the_folder(
    s3: Bucket, make: Callable[[Path, int], None], tmp_path: Path, segment: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "2")
    make(tmp_path / "photos", 4)
    for name, data in files(tmp_path / "photos"):
        s3.put(f"my photos/{name}", data)
    segment(tmp_path / "photos", tmp_path / "plain")
    assert segment(f"{s3.url}/my photos/", tmp_path / "out").tally.done == 4
    assert tree(tmp_path / "out") == tree(tmp_path / "plain")
    assert s3.asked("GET /") == 2 + 4  # two pages of a list, and each photo once
    s3.put("my photos/001.png", (tmp_path / "photos/001.png").read_bytes())  # as it was
    s3.put("my photos/003.png", (tmp_path / "photos/001.png").read_bytes())
    report = segment(f"{s3.url}/my photos", tmp_path / "out")
    assert (report.tally.kept, report.tally.done) == (3, 4)


def test_lists_are_read_page_by_page_in_our_order(s3: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "3")
    keys = ["b.png", "a/z.png", "a-b.png", "a.png", "ä ?#%+.png", "a/", "empty/../x.png", f"out/{STATE}/j", "out/a.png"]
    for key in keys:
        s3.fs.call_s3("put_object", Bucket=s3.name, Key=key, Body=b"12345")
    found = scan(s3.url, tmp_path)
    assert names(found) == ["a/z.png", "a-b.png", "a.png", "b.png", "ä ?#%+.png"]
    assert s3.asked(f"GET /{s3.name}?list") == 3
    assert [(trouble.name, trouble.kind) for trouble in found.failed] == [("empty/../x.png", "UnsafeName")]
    assert [(trouble.name, trouble.kind) for trouble in found.skipped] == [("out", "Output")]
    for source in pickle.loads(pickle.dumps(list(found.sources))):  # as other processes get them
        with source.open() as file:
            assert file.read() == b"12345"
    assert names(scan(f"{s3.url}/**/z.png", tmp_path)) == ["a/z.png"]
    assert names(scan(f"{s3.url}/a.png", tmp_path)) == ["a.png"]


def test_what_fails_for_a_moment_is_tried_again(s3: Bucket, photos: Path, tmp_path: Path) -> None:
    s3.put("a.png", (photos / "001.png").read_bytes())
    s3.fail(4)
    assert names(scan(s3.url, tmp_path)) == ["a.png"]
    s3.fail(4, "500 InternalError")
    assert _stamp(s3.url, tmp_path).size > 0
    assert s3.asked("GET /") == 2 + 4 * 2 + 1


def test_what_keeps_failing_costs_its_row(s3: Bucket, photos: Path, tmp_path: Path) -> None:
    for name in ("a.png", "b.png", "c.png"):
        s3.put(name, (photos / "001.png").read_bytes())
    found = scan(s3.url, tmp_path)
    s3.fs.rm_file(f"{s3.name}/c.png")
    s3.front.requests.clear()
    s3.fail(1000, where="a.png")
    read_now = read_all(found, tmp_path)
    assert isinstance(read_now["b.png"], Opened)
    slow, gone = read_now["a.png"], read_now["c.png"]
    assert isinstance(slow, Record) and slow.state == FAILED and "SlowDown" in slow.reason
    assert isinstance(gone, Record) and (gone.state, gone.kind) == (FAILED, "FileNotFoundError")
    assert (s3.asked(f"GET /{s3.name}/a.png"), s3.asked(f"GET /{s3.name}/c.png")) == (5, 1)


def test_a_wrong_place_or_key_is_said(s3: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    s3.put("a.png", b"")
    for url in (f"{s3.url}/none", f"{s3.url}/*.jpg", f"{s3.url}-not"):
        with pytest.raises(ImageError, match=url.replace("*", r"\*")):
            scan(url, tmp_path)
    s3.fail(100, "403 SignatureDoesNotMatch")
    with pytest.raises(ImageError, match=f"{s3.url} cannot be listed: SignatureDoesNotMatch.*credentials"):
        scan(s3.url, tmp_path)
    assert s3.asked("GET /") <= 5  # what will not pass is not tried again
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    type(s3.fs).clear_instance_cache()
    with pytest.raises(ImageError, match=f"{s3.url} cannot be listed"):
        scan(s3.url, tmp_path)


def test_a_server_that_is_not_there_is_said(s3: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    type(s3.fs).clear_instance_cache()
    with pytest.raises(ImageError, match=f"{s3.url} cannot be listed: .*127.0.0.1:9"):
        scan(s3.url, tmp_path)


def test_any_storage_of_fsspec_will_do(memory: fsspec.AbstractFileSystem, photos: Path, tmp_path: Path) -> None:
    for name, data in files(photos):
        memory.pipe_file(f"/bucket/photos/{name}", data)
    memory.pipe_file(f"/bucket/photos/even/{STATE}/x.png", b"")
    found = scan("memory://bucket/photos", tmp_path)
    assert names(found) == ["001.png", "003.png", "005.png", "007.png"]
    memory.rm_file(f"/bucket/photos/even/{STATE}/x.png")
    found = scan("memory://bucket/photos", tmp_path)
    assert names(found) == sorted(name for name, _ in files(photos))
    assert all(isinstance(item, Opened) for item in read_all(found, tmp_path).values())
    assert names(scan("memory://bucket/*/even/*.png", tmp_path)) == [
        f"photos/even/00{number}.png" for number in (0, 2, 4, 6)
    ]
    (tmp_path / "list.txt").write_text("memory://bucket/photos/001.png\nmemory://bucket/photos/even/000.png\n")
    found = scan(f"@{tmp_path}/list.txt", tmp_path)
    assert names(found) == ["001.png", "even/000.png"]
    assert all(isinstance(item, Opened) for item in read_all(found, tmp_path).values())


def test_lists_of_several_places_are_refused(tmp_path: Path) -> None:
    for lines in ("s3://a/x.png\ns3://b/x.png", "s3://a/x.png\nx.png", "s3://a/x.png\ngs://a/x.png"):
        (tmp_path / "list.txt").write_text(lines)
        with pytest.raises(ImageError, match="one place"):
            scan(f"@{tmp_path}/list.txt", tmp_path)


def test_without_tags_size_and_time_tell(memory: fsspec.AbstractFileSystem, photos: Path, tmp_path: Path) -> None:
    data = (photos / "001.png").read_bytes()
    memory.pipe_file("/b/a.png", data)
    stamp = _stamp("memory://b", tmp_path)
    (source,) = scan("memory://b", tmp_path).sources
    assert stamp.mtime_ns > 0 and stamp.identity == "" and is_same_file(stamp, source)
    memory.pipe_file("/b/a.png", data)  # written again, at another time
    (source,) = scan("memory://b", tmp_path).sources
    assert not is_same_file(stamp, source)


def test_large_objects_are_not_fetched(
    memory: fsspec.AbstractFileSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cloud_object, "MOST_BYTES", 1000)
    fetched: list[int] = []
    whole = type(memory).cat_file

    def noted(self: object, path: str, start: int | None = None, end: int | None = None) -> bytes:
        data = whole(memory, path, start=start, end=end)
        fetched.append(len(data))
        return data

    monkeypatch.setattr(type(memory), "cat_file", noted)
    memory.pipe_file("/b/film.mp4", b"\0\0\0\x18ftypmp42" + bytes(5000))
    memory.pipe_file("/b/photo.png", b"\x89PNG\r\n\x1a\n" + bytes(5000))
    memory.pipe_file("/b/void.png", b"")
    read_now = read_all(scan("memory://b", tmp_path), tmp_path)
    states = {name: (item.state, item.kind) for name, item in read_now.items() if isinstance(item, Record)}
    assert states == {
        "film.mp4": (SKIPPED, "NotAPhoto"),
        "photo.png": (FAILED, "ImageError"),
        "void.png": (FAILED, "ImageError"),
    }
    assert fetched == [64]
    monkeypatch.setattr(cloud_object, "MOST_BYTES", 2000)
    (tmp_path / "list.txt").write_text("memory://b/photo.png\n")  # whose size nobody listed
    (item,) = read_all(scan(f"@{tmp_path}/list.txt", tmp_path), tmp_path).values()
    assert isinstance(item, Record) and "more than the limit of 2,000" in item.reason and fetched == [64, 2001]


def test_what_is_not_installed_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fsspec.register_implementation("nowhere", "no_such_module.Storage", clobber=True, errtxt="Install nowherefs")
    with pytest.raises(MissingExtraError, match="nowhere://a: Install nowherefs"):
        scan("nowhere://a", tmp_path)
    with pytest.raises(ImageError, match="never://a: Protocol not known"):
        scan("never://a", tmp_path)
    with pytest.raises(ImageError, match="no web addresses"):
        scan("https://example.org/photos", tmp_path)
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(MissingExtraError, match=r"clickmask\[cloud\]"):
        scan("s3://a", tmp_path)


def test_pauses_grow_and_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(retrying, "FIRST_PAUSE", 1.0)
    monkeypatch.setattr(retrying.time, "sleep", pauses.append)

    def call() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        retrying.retried(call)
    assert len(pauses) == 4
    assert all(0.5 <= pause / middle <= 1.5 for pause, middle in zip(pauses, (1, 2, 4, 8), strict=True))
    assert len({pause / middle for pause, middle in zip(pauses, (1, 2, 4, 8), strict=True)}) == 4


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(errno.EBUSY, "slow down"), True),
        (ConnectionResetError(), True),
        (TimeoutError(), True),
        (FileNotFoundError(), False),
        (PermissionError(), False),
        (OSError(errno.EINVAL, "no such region"), False),
        (type("HttpError", (OSError,), {"code": 404})(), False),
        (type("HttpResponseError", (Exception,), {"status_code": 503})(), True),
        (type("ReadTimeoutError", (Exception,), {})(), True),
        (ValueError(), False),
    ],
)
def test_what_may_pass(error: Exception, expected: bool) -> None:
    assert retrying.is_passing(error) is expected


def test_own_files_by_url(photos: Path, tmp_path: Path) -> None:
    found = scan(f"file://{os.fspath(photos)}", tmp_path / "out")
    assert names(found) == sorted(name for name, _ in files(photos))
    assert all(isinstance(item, Opened) for item in read_all(found, tmp_path).values())
