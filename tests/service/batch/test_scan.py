"""Trees as nasty as file systems allow: everything is counted, nothing is written over, nothing outside OUT."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from clickmask.models.errors import ImageError
from clickmask.service.batch.naming import name_bases, safe
from clickmask.service.batch.sources import scan

from .conftest import Run, tree

UNIX = pytest.mark.skipif(os.name != "posix", reason="names and files of Unix")
NASTY = [
    b"-rf.png",
    b"a\nb.png",
    b"bad\xff\xfe.png",
    b"Twin.png",
    b"twin.png",
    b"twin.gif",  # by content a PNG: the name is not asked
    b"e\xcc\x81.png",
    b"\xc3\xa9.png",
    b"CON.png",
    b"trailing .png",
    b"name ",
    b"a%0Ab.png",
    b"x" * 250 + b".png",
    b"x" * 249 + b"y.png",
    b"sub./in.png",
    b"SUB./in.png",
    b"folder.png/photo.png",
]


@pytest.fixture
def nasty(photos: Path, tmp_path: Path) -> Path:
    """A photo by each of those names; a loop, a link out, a dangling link, a pipe and a socket."""
    folder = tmp_path / "nasty"
    folder.mkdir()
    for name in NASTY:
        path = os.path.join(os.fsencode(folder), name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        shutil.copy(os.fsencode(photos / "001.png"), path)
    (folder / "loop").symlink_to(folder)
    (folder / "etc").symlink_to("/etc")
    (folder / "dangling.png").symlink_to(folder / "nothing")
    (folder / "self.png").symlink_to(folder / "self.png")
    os.mkfifo(folder / "pipe.png")
    return folder


@UNIX
def test_a_nasty_tree_is_survived(nasty: Path, tmp_path: Path, segment: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(nasty)  # a socket's path must be short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket.png")
        report = segment(nasty, tmp_path / "out", "png,labelme,coco")
    tally = report.tally
    assert tally.done == len(NASTY)
    assert sorted(trouble.name for trouble in report.failures) == ["dangling.png", "self.png"]
    assert tally.skipped == 4  # the loop, the link out, the pipe, the socket
    assert tally.total == tally.done + tally.failed + tally.skipped
    names = list(tree(tmp_path / "out"))
    assert len(names) == 2 * len(NASTY) + 1
    assert len({name.casefold() for name in names}) == len(names)
    assert all(name.isprintable() and len(os.fsencode(Path(name).name)) <= 255 for name in names)
    assert segment(nasty, tmp_path / "out", "png,labelme,coco").tally.kept == len(NASTY)


@pytest.fixture
def ordinary_user() -> Iterator[Path]:
    """A folder of someone who is not root, whom this process is for a while: root may read everything."""
    folder = Path(tempfile.mkdtemp())  # not below tmp_path, which only its owner may enter
    folder.chmod(0o777)
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield folder
    finally:
        os.seteuid(before)
        for inner in folder.iterdir():
            inner.chmod(0o700)
        shutil.rmtree(folder)


@UNIX
def test_an_unreadable_folder_is_a_failure(ordinary_user: Path) -> None:
    (ordinary_user / "shut").mkdir()
    (ordinary_user / "shut").chmod(0)
    (ordinary_user / "a.png").write_bytes(b"")
    found = scan(str(ordinary_user), ordinary_user / "out")
    assert [(trouble.name, trouble.kind) for trouble in found.failed] == [("shut", "PermissionError")]
    assert [source.name for source in found.sources] == ["a.png"]


def test_order_is_by_name_folder_by_folder(tmp_path: Path) -> None:
    for name in ("b.png", "a/z.png", "a-b.png", "a.png", "B.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    found = [source.name for source in scan(str(tmp_path), tmp_path / "out").sources]
    assert found == ["B.png", "a/z.png", "a-b.png", "a.png", "b.png"]


def test_patterns_and_lists(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert len(scan(f"{photos}/**/*.png", out).sources) == 8
    assert [source.name for source in scan(f"{photos}/*.png", out).sources] == [
        "001.png",
        "003.png",
        "005.png",
        "007.png",
    ]
    (tmp_path / "list.txt").write_text(
        "# two photos\nphotos/even/000.png\r\n\nphotos/001.png\nphotos/001.png\nphotos/no.png\n"
    )
    found = scan(f"@{tmp_path}/list.txt", out)
    assert [source.name for source in found.sources] == ["001.png", "even/000.png"]
    assert [trouble.name for trouble in found.failed] == ["no.png"]
    assert [source.name for source in scan(f"{photos}/001.png", out).sources] == ["001.png"]


@pytest.mark.parametrize("photos", ["missing", "missing/*.png", "@missing.txt"])
def test_nothing_to_scan_is_said(photos: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ImageError, match="missing"):
        scan(photos, tmp_path / "out")


def test_names_that_would_meet_are_told_apart() -> None:
    names = ["a.jpg", "b.jpg", "b.png", "c.jpg", "C.jpg", "d/b.jpg"]
    bases = name_bases(names, ["png"])
    assert (bases["a.jpg"], bases["b.jpg"], bases["b.png"], bases["d/b.jpg"]) == ("a", "b.jpg", "b.png", "d/b")
    assert bases["c.jpg"].startswith("c.jpg~") and bases["C.jpg"].startswith("C.jpg~")
    assert name_bases(["a_objects.jpg"], ["png", "json"])["a_objects.jpg"] == "a_objects"
    assert name_bases(["a_objects.jpg"], ["labelme", "json"])["a_objects.jpg"] == "a_objects.jpg"


def test_a_photo_keeps_its_names_in_whatever_company() -> None:
    assert name_bases(["x/a.jpg"], ["png"])["x/a.jpg"] == "x/a"
    assert name_bases(["x/a.jpg", "y/a.png", "a.gif"], ["png"])["x/a.jpg"] == "x/a"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("photo.jpg", "photo.jpg"),
        ("größe 1.jpg", "größe 1.jpg"),
        ("-rf", "%2Drf"),
        ("..", ".%2E"),
        ("con.jpg", "%63on.jpg"),
        ("console.jpg", "console.jpg"),
        ("a\nb", "a%0Ab"),
        ("\udcff", "%FF"),
        ("a:b?", "a%3Ab%3F"),
        ("dot.", "dot%2E"),
    ],
)
def test_safe_names(name: str, expected: str) -> None:
    assert safe(name) == expected
