"""A project's folder: what is found in it, what is kept, and that nothing leads out of it."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from clickmask.models.errors import SettingsError
from clickmask.service.http import project as module
from clickmask.service.http.errors import ApiError
from clickmask.service.http.project import Project

SECRET = b"s" * 32
SESSION = b'{"clickmask":2,"x":1}'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Photos in natural order, those of a sub-folder last, among what is none."""
    root = tmp_path / "photos"
    for name in (
        "img10.jpg",
        "img2.JPG",
        "b.png",
        "sub/z.tif",
        "sub/a b%.webp",
        "notes.txt",
        ".hidden.jpg",
        ".git/x.jpg",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    return root


def _names(project: Project) -> list[str]:
    return [photo.name for photo in project.photos()]


def _id(project: Project, name: str) -> str:
    return next(photo.id for photo in project.photos() if photo.name == name)


def test_photos_are_listed_in_natural_order_with_those_below(folder: Path) -> None:
    project = Project(folder, SECRET)
    assert _names(project) == ["b.png", "img2.JPG", "img10.jpg", "sub/a b%.webp", "sub/z.tif"]
    assert project.read_photo(_id(project, "sub/z.tif"), 100) == b"sub/z.tif"
    (folder / "img2.JPG").unlink()
    (folder / "c.gif").touch()
    assert _names(project)[:2] == ["b.png", "c.gif"]


def test_the_list_tells_which_photos_have_work(folder: Path) -> None:
    project = Project(folder, SECRET)
    assert not any(photo.has_work for photo in project.photos())
    project.write_session(_id(project, "sub/a b%.webp"), b'{"a": 1}', None)
    assert [photo.name for photo in project.photos() if photo.has_work] == ["sub/a b%.webp"]


def test_ids_outlive_the_process_and_are_those_of_one_folder(folder: Path) -> None:
    first, again = Project(folder, SECRET), Project(folder, SECRET)
    id = _id(first, "b.png")
    assert again.read_photo(id, 100) == b"b.png"
    assert _id(Project(folder, b"t" * 32), "b.png") != id
    assert Project(folder / "sub", SECRET).photos()[0].id not in {photo.id for photo in first.photos()}


@pytest.mark.parametrize("id", ["", "b.png", "../secret.jpg", "pho_", "pho_" + "0" * 30, "..%2fsecret.jpg", "\x00"])
def test_what_was_not_listed_is_not_there(folder: Path, id: str) -> None:
    project = Project(folder, SECRET)
    for call in (lambda: project.read_photo(id, 9), lambda: project.write_session(id, SESSION, None)):
        with pytest.raises(ApiError, match="no such photo"):
            call()


def test_links_are_not_followed(folder: Path, tmp_path: Path) -> None:
    project = Project(folder, SECRET)
    id, below = _id(project, "b.png"), _id(project, "sub/z.tif")
    (folder / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    (folder / "out").symlink_to(tmp_path)
    assert not {"link.jpg", "out/secret.jpg"} & set(_names(project))
    (folder / "b.png").unlink()
    (folder / "b.png").symlink_to(tmp_path / "secret.jpg")
    (folder / "sub").rename(tmp_path / "elsewhere")
    (folder / "sub").symlink_to(tmp_path / "elsewhere")
    for one in (id, below):
        with pytest.raises(ApiError, match="no such photo"):
            project.read_photo(one, 100)


@pytest.mark.parametrize("what", ["folder", "session"])
def test_links_are_not_written_through(folder: Path, tmp_path: Path, what: str) -> None:
    project, outside = Project(folder, SECRET), tmp_path / "outside"
    outside.mkdir()
    (outside / "b.png.json").write_bytes(b"theirs")
    if what == "folder":
        (folder / ".clickmask").symlink_to(outside)
    else:
        (folder / ".clickmask").mkdir()
        (folder / ".clickmask" / "b.png.json").symlink_to(outside / "b.png.json")
    with pytest.raises(ApiError):
        project.read_session(_id(project, "b.png"))
    with pytest.raises(ApiError):
        project.write_session(_id(project, "b.png"), SESSION, None)
    assert [(one.name, one.read_bytes()) for one in outside.iterdir()] == [("b.png.json", b"theirs")]


def test_a_pipe_among_the_photos_holds_nobody_up(folder: Path) -> None:
    project = Project(folder, SECRET)
    id = _id(project, "b.png")
    (folder / "b.png").unlink()
    os.mkfifo(folder / "b.png")
    with pytest.raises(ApiError, match="no such photo"):
        project.read_photo(id, 100)
    assert "b.png" not in _names(project)


def test_work_is_kept_by_version_and_photos_are_left_alone(folder: Path) -> None:
    project = Project(folder, SECRET)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    id = _id(project, "sub/a b%.webp")
    assert project.read_session(id) is None
    first = project.write_session(id, SESSION, None)
    second = project.write_session(id, b' { "clickmask": 2 }\n', first)
    assert (first.split("-")[0], second.split("-")[0]) == ("1", "2")
    found = Project(folder, SECRET).read_session(id)
    assert found is not None and found.tag == second
    assert json.loads(found.data) == {"version": 2, "edition": second[2:], "clickmask": 2}
    (kept,) = (folder / ".clickmask").iterdir()
    assert kept.name == "sub%2Fa b%25.webp.json"
    assert before == {path: data for path, data in before.items() if path.read_bytes() == data}
    assert kept.name not in _names(project)


def test_work_that_has_changed_meanwhile_is_not_written_over(folder: Path) -> None:
    project = Project(folder, SECRET)
    id = _id(project, "b.png")
    tag = project.write_session(id, SESSION, None)
    for wrong in (None, "1-0000000000000000", "0-", "2" + tag[1:]):
        with pytest.raises(ApiError) as caught:
            project.write_session(id, b'{"x":2}', wrong)
        assert caught.value.status == 412
    assert json.loads(project.read_session(id).data)["x"] == 1  # pyright: ignore[reportOptionalMemberAccess]


def test_of_many_at_once_one_gets_through_each_time(folder: Path) -> None:
    project = Project(folder, SECRET)
    id, done = _id(project, "b.png"), list[str]()

    def write() -> None:
        try:
            done.append(project.write_session(id, SESSION, None))
        except ApiError as error:
            assert error.status == 412

    threads = [threading.Thread(target=write) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 1 and len(list((folder / ".clickmask").iterdir())) == 1


def test_a_session_that_somebody_put_there_has_a_tag_too(folder: Path) -> None:
    project = Project(folder, SECRET)
    id = _id(project, "b.png")
    (folder / ".clickmask").mkdir()
    (folder / ".clickmask" / "b.png.json").write_bytes(SESSION)
    found = project.read_session(id)
    assert found is not None and found.tag.startswith("0-") and found.data == SESSION
    assert project.write_session(id, SESSION, found.tag).startswith("1-")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b'{"a":',
        b'{"version":3}',
        b'{"edition":"x"}',
        b'{"a":NaN}',
        b'{"a":1}x',
        '{"a":1}'.encode("utf-16"),
    ],
)
def test_what_is_no_session_is_not_kept(folder: Path, data: bytes) -> None:
    project = Project(folder, SECRET)
    with pytest.raises(ApiError) as caught:
        project.write_session(_id(project, "b.png"), data, None)
    assert caught.value.status == 422 and not (folder / ".clickmask").exists()


def test_long_names_and_large_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project, name = Project(folder, SECRET), "é" * 120 + ".jpg"
    (folder / name).touch()
    id = _id(project, name)
    tag = project.write_session(id, SESSION, None)
    assert project.read_session(id).tag == tag  # pyright: ignore[reportOptionalMemberAccess]
    with pytest.raises(ApiError) as caught:
        project.read_photo(_id(project, "b.png"), 3)
    assert caught.value.status == 413
    monkeypatch.setattr(module, "MOST_PHOTOS", 2)
    assert len(project.photos()) == 2


def test_a_folder_that_cannot_be_written_is_said(folder: Path) -> None:
    project = Project(folder, SECRET)
    (folder / ".clickmask").write_text("a file is in the way")
    with pytest.raises(ApiError) as caught:
        project.write_session(_id(project, "b.png"), SESSION, None)
    assert (caught.value.status, caught.value.code) == (500, "not_kept")


def test_a_folder_that_is_none_is_refused_at_the_start(tmp_path: Path) -> None:
    for wrong in (tmp_path / "nowhere", tmp_path / "file"):
        (tmp_path / "file").touch()
        with pytest.raises(SettingsError, match="--project"):
            Project(wrong, SECRET)
