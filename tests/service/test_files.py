"""Files written whole, and never over an input."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from clickmask.models.errors import OutputError
from clickmask.service.files import guard_output, write_atomic


def test_data_arrive_and_nothing_is_left_beside_them(tmp_path: Path) -> None:
    write_atomic(tmp_path / "a.bin", b"first")
    write_atomic(str(tmp_path / "a.bin"), b"second")
    assert (tmp_path / "a.bin").read_bytes() == b"second"
    assert os.listdir(tmp_path) == ["a.bin"]


def test_data_may_come_in_pieces(tmp_path: Path) -> None:
    write_atomic(tmp_path / "a.bin", (piece for piece in (b"one", b"", b"two")))
    assert (tmp_path / "a.bin").read_bytes() == b"onetwo"


def test_missing_folders_are_made(tmp_path: Path) -> None:
    write_atomic(tmp_path / "new" / "newer" / "a.bin", b"data")
    assert (tmp_path / "new" / "newer" / "a.bin").read_bytes() == b"data"


def test_failure_keeps_the_old_file_and_leaves_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "a.bin"
    target.write_bytes(b"old")

    def no_space(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OutputError, match=r"a\.bin cannot be written: No space left"):
        write_atomic(target, b"new")
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.bin"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no umask to speak of")
def test_mode_obeys_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_atomic(tmp_path / "a.bin", b"data")
    finally:
        os.umask(before)
    assert (tmp_path / "a.bin").stat().st_mode & 0o777 == 0o640


def test_symbolic_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real.bin").write_bytes(b"old")
    (tmp_path / "link.bin").symlink_to(tmp_path / "real.bin")
    write_atomic(tmp_path / "link.bin", b"new")
    assert (tmp_path / "link.bin").is_symlink()
    assert (tmp_path / "real.bin").read_bytes() == b"new"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in the file system here")
def test_device_or_pipe_is_written_to_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_atomic(pipe, b"data")
        assert os.read(reader, 99) == b"data"
    finally:
        os.close(reader)
    assert pipe.is_fifo()


def test_reason_is_told_when_writing_is_impossible(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file" / "a.bin", tmp_path / ("x" * 300), tmp_path / "a\0b"):
        with pytest.raises(OutputError, match="cannot be written: .*choose another"):
            write_atomic(path, b"data")
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_folder_without_permission_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    with pytest.raises(OutputError, match="Permission denied"):
        write_atomic(folder / "a.bin", b"data")


def test_input_is_not_written_over_by_any_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photo = tmp_path / "dog.jpg"
    photo.write_bytes(b"a photo")
    (tmp_path / "sub").mkdir()
    (tmp_path / "link.jpg").symlink_to(photo)
    os.link(photo, tmp_path / "hard.jpg")
    monkeypatch.chdir(tmp_path)
    for name in (photo, "dog.jpg", "./sub/../dog.jpg", "link.jpg", "hard.jpg"):
        with pytest.raises(OutputError, match="is the input itself"):
            guard_output(name, [tmp_path / "other.jpg", photo])


def test_other_outputs_pass(tmp_path: Path) -> None:
    (tmp_path / "dog.jpg").touch()
    guard_output(tmp_path / "dog.png", [tmp_path / "dog.jpg", tmp_path / "missing.jpg"])
    guard_output(tmp_path / "dog.jpg", [])


def test_name_that_no_file_can_have_is_left_to_the_writer(tmp_path: Path) -> None:
    guard_output(tmp_path / "a\0b", [tmp_path / "dog.jpg"])


def test_input_that_does_not_exist_yet_is_guarded_too(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="input"):
        guard_output(tmp_path / "a" / ".." / "new.jpg", [tmp_path / "new.jpg"])
