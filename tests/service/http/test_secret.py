"""The secret: made once, the same for all, and refused when it cannot be trusted."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from clickmask.models.errors import SettingsError
from clickmask.service.http.secret import load_secret, sign


def test_a_secret_is_made_once_and_for_this_user_alone(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    first = load_secret(folder)
    assert len(first) == 32 and load_secret(folder) == first
    assert (folder / "secret").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in folder.iterdir()] == ["secret"]
    assert load_secret(tmp_path / "other") != first


def test_without_a_choice_it_lies_in_the_users_state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert load_secret() == (tmp_path / "clickmask" / "secret").read_bytes()


def test_processes_that_start_together_get_the_same(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from clickmask.service.http.secret import load_secret\n"
        "print('here', flush=True); sys.stdin.read(1)\n"
        f"print(load_secret(Path({str(tmp_path)!r})).hex())\n"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    started = [subprocess.Popen([sys.executable, "-c", code], **pipes) for _ in range(6)]
    for process in started:
        assert process.stdout.readline() == "here\n"
    for process in started:
        process.stdin.write("x")
        process.stdin.flush()
    assert len({process.communicate()[0] for process in started}) == 1
    assert [process.returncode for process in started] == [0] * 6


@pytest.mark.parametrize("content", [b"", b"x" * 31, b"x" * 33])
def test_a_damaged_secret_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "secret"
    file.touch(mode=0o600)
    file.write_bytes(content)
    with pytest.raises(SettingsError, match="expected the server's secret, 32 bytes, got .*remove the file"):
        load_secret(tmp_path)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o622])
def test_a_secret_that_others_can_reach_is_refused_with_the_way_to_mend_it(tmp_path: Path, mode: int) -> None:
    secret = load_secret(tmp_path)
    (tmp_path / "secret").chmod(mode)
    with pytest.raises(SettingsError, match="chmod 600"):
        load_secret(tmp_path)
    (tmp_path / "secret").chmod(0o600)
    assert load_secret(tmp_path) == secret


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="file/secret.*--state-dir"):
        load_secret(tmp_path / "file")


def test_a_user_without_home_has_a_folder_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setenv("HOME", "nowhere")  # a home that is not absolute counts as none
    monkeypatch.setattr("pwd.getpwuid", _nobody)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    secret = load_secret()
    (folder,) = tmp_path.iterdir()
    assert folder.stat().st_mode & 0o777 == 0o700 and load_secret() == secret
    folder.chmod(0o755)
    with pytest.raises(SettingsError, match="only this user can open"):
        load_secret()


def test_a_signature_depends_on_secret_parts_and_their_borders() -> None:
    signatures = [
        sign(b"s", "ab", "c"),
        sign(b"s", "a", "bc"),
        sign(b"s", "abc"),
        sign(b"s", "ab", "c", ""),
        sign(b"t", "ab", "c"),
    ]
    assert len(set(signatures)) == 5
    assert sign(b"s", "é", b"c") == sign(b"s", "é".encode(), "c")


def _nobody(_: int) -> None:
    raise KeyError
