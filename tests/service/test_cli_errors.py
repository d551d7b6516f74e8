"""What cannot be used is refused: exit code 2, a message that names it, no traceback, nothing written."""

from __future__ import annotations

import os
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from clickmask.models.checkpoints import EMBEDDED
from clickmask.service.cli.app import app
from clickmask.service.cli.settings import Settings

WIDE = {"COLUMNS": "400", "NO_COLOR": "1"}  # so that messages stay on a line


class _RunsCode:
    """Unpickled the unsafe way, it makes a folder called canary."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("canary",)


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, photo_path: Path) -> Path:
    """The current folder, with good and bad files in it."""
    monkeypatch.chdir(tmp_path)
    photo = photo_path.read_bytes()
    Path("photo.jpg").write_bytes(photo)
    Path("cut.jpg").write_bytes(photo[: len(photo) // 2])
    Path("empty.jpg").write_bytes(b"")
    Path("text.jpg").write_text("This is not a picture.\n" * 9)
    cv2.imwrite("thin.png", np.zeros((60_000, 1, 3), np.uint8))
    Path("cut.safetensors").write_bytes(EMBEDDED.read_bytes()[:1_000_000])
    torch.save({"weight": torch.zeros(2, 2)}, "other.pth")
    torch.save({"state_dict": _RunsCode()}, "evil.pth")
    return tmp_path


def _refused(*words: str, stdin: bytes | None = None) -> str:
    """The message, on one line; what was in the folder is there as it was, and nothing else."""
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    done = CliRunner().invoke(app, list(words), input=stdin, env=WIDE)
    message = re.sub(r"[\s│]+", " ", done.stderr)
    assert done.exit_code == 2, done.output
    assert done.stdout == "" and "Traceback" not in message
    assert {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()} == before
    return message


@pytest.mark.parametrize(
    ("photo", "reason"),
    [
        ("missing.jpg", "'missing.jpg' does not exist"),
        ("text.jpg", "text.jpg looks like text"),
        ("cut.jpg", "cut.jpg is cut short"),
        ("empty.jpg", "empty.jpg is empty"),
        ("thin.png", "thin.png is 1 x 60000 pixels, too thin"),
        (".", "is a folder"),
        ("https://example.com/a.jpg", "opens no web addresses"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_photo_that_cannot_be_used(photo: str, reason: str) -> None:
    assert reason in _refused("segment", photo, "--point", "0,0")


@pytest.mark.usefixtures("folder")
def test_standard_input_that_is_no_photo() -> None:
    assert "standard input looks like text" in _refused("segment", "-", "--point", "0,0", stdin=b"not a picture " * 9)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("", "give --point X,Y"),
        ("--point 5000,10", "--point 5000,10 lies outside the photo, which is 682 x 1024"),
        ("--point 682,0", "--point 682,0 lies outside"),
        ("--point -5,10", "--point -5,10 lies outside"),
        ("--point nan,1", "'--point': 'nan,1': expected finite numbers"),
        ("--point 1,inf", "'--point': '1,inf': expected finite numbers"),
        ("--point 1e999,1", "expected finite numbers"),
        ("--point 420", "'--point': '420': expected x,y"),
        ("--point 1,2,1,1", "'--point': '1,2,1,1': expected x,y"),
        ("--point 420, 310", "'--point': '420,': expected x,y or x,y,label, such as 420,310"),
        ("--point a,b", "'--point': 'a,b': expected x,y"),
        ("--point 9,9,7", "'--point': '9,9,7': the label is 1 (on the object) or 0"),
        ("--box 9,9,5,20", "'--box': '9,9,5,20': expected x0,y0,x1,y1 with x0 < x1"),
        ("--box 9,9,20,9", "'--box': '9,9,20,9': expected x0,y0,x1,y1 with x0 < x1"),
        ("--box 9,9,20", "'--box': '9,9,20': expected x0,y0,x1,y1"),
        ("--box 9,9,20,2000", "--box 9,9,20,2000 reaches outside the photo, which is 682 x 1024"),
        ("--box 9,9,20,20 --box 1,1,2,2", "'--box': one object has one box"),
        ("--point 9,9 --window 0,0,683,9", "--window 0,0,683,9 reaches outside the photo"),
        ("--point 9,9 --window 20,20,90,90", "--point 9,9 lies outside --window 20,20,90,90"),
        ("--box 9,9,30,30 --window 20,20,90,90", "--box 9,9,30,30 reaches outside --window 20,20,90,90"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_question_that_makes_no_sense(words: str, reason: str) -> None:
    assert reason in _refused("segment", "photo.jpg", *words.split())


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("-o photo.jpg", "photo.jpg is the input itself"),
        ("-o other/../photo.jpg", "is the input itself"),
        ("--model cut.safetensors -o cut.safetensors", "unknown extension"),
        ("-o out.gif", "out.gif: unknown extension '.gif'"),
        ("-o out", "out: unknown extension ''"),
        ("-o .", "is a folder"),
        ("-o out.png --format tiff", "unknown format 'tiff': expected one of png, cutout, overlay, json"),
        ("-o - --format tiff", "unknown format 'tiff'"),
        ("-o out.png --format json", "format json is written to .json"),
        ("-o photo.jpg/out.png", "photo.jpg is not a folder"),
        ("-o - --candidates", "with --candidates give -o a file's name"),
        ("-o out.png --pad 3", "format png has no pad: that is for cutout"),
        ("-o - --format json --feather 3", "format json has no feather"),
        ("-o - --format cutout --soft --feather 3", "'--soft': it is another way to make an edge than --feather"),
        ("--pad -3 --format cutout", "'--pad'"),
        ("--clean-specks 1.5", "'--clean-specks'"),
        ("--clean-holes nan", "holes"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_output_that_cannot_be_written(words: str, reason: str) -> None:
    assert reason in _refused("segment", "photo.jpg", "--point", "9,9", *words.split())


@pytest.mark.usefixtures("folder")
def test_numbered_output_is_no_input_either() -> None:
    Path("photo.jpg").rename("photo_2.jpg")
    assert "photo_2.jpg is the input itself" in _refused(
        "segment", "photo_2.jpg", "--point", "9,9", "--candidates", "-o", "photo.jpg", "--force"
    )


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_folder_that_may_not_be_written_to(folder: Path) -> None:
    (folder / "locked").mkdir(mode=0o500)
    assert "locked may not be written to" in _refused("segment", "photo.jpg", "--point", "9,9", "-o", "locked/out.png")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("--model vit_x", "'--model' (env var: 'CLICKMASK_MODEL'): There is no model called 'vit_x'. Did you mean"),
        ("--model large", "Did you mean 'vit_l'?"),
        ("--model missing.pth", "missing.pth"),
        ("--model photo.jpg", "photo.jpg"),
        ("--model other.pth", "other.pth: "),
        ("--model cut.safetensors", "cut.safetensors: "),
        ("--model evil.pth", "evil.pth: "),
        ("--device tpu", "'--device' (env var: 'CLICKMASK_DEVICE'): 'tpu' is not a device"),
        ("--device cuda:99", "device='cuda:99' is not on this machine"),
        ("--precision int8", "'--precision' (env var: 'CLICKMASK_PRECISION')"),
        ("--fit oval", "'--fit' (env var: 'CLICKMASK_FIT')"),
        ("--refine matte", "'--refine' (env var: 'CLICKMASK_REFINE')"),
        ("--device cpu --precision float16", "precision='float16' is for GPUs"),
        ("--cache-dir photo.jpg", "'--cache-dir' (env var: 'CLICKMASK_CACHE_DIR')"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_model_or_setting_that_cannot_be_used(words: str, reason: str) -> None:
    assert reason in _refused("segment", "photo.jpg", "--point", "9,9", *words.split())
    assert not Path("canary").exists()


@pytest.mark.usefixtures("folder")
def test_setting_from_the_environment_is_checked_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLICKMASK_FIT", "oval")
    assert "CLICKMASK_FIT" in _refused("segment", "photo.jpg", "--point", "9,9")


@pytest.mark.parametrize("words", ["segment", "segment photo.jpg extra.jpg --point 1,1", "nothing", "models nothing"])
@pytest.mark.usefixtures("folder")
def test_command_that_makes_no_sense(words: str) -> None:
    assert "Usage:" in _refused(*words.split())


@pytest.mark.usefixtures("folder")
def test_unexpected_error_is_one_line_unless_debugged(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Settings, progress: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(Settings, "segmenter", fail)
    words = ["segment", "photo.jpg", "--point", "9,9"]
    plain, debugged = (CliRunner().invoke(app, [*before, *words], env=WIDE) for before in ([], ["--debug"]))
    assert (plain.exit_code, debugged.exit_code) == (1, 1)
    assert plain.stderr.startswith("Error: unexpected error: ZeroDivisionError: a bug (please report it")
    assert plain.stderr.count("\n") == 1
    assert "Traceback" in debugged.stderr and 'raise ZeroDivisionError("a bug")' in debugged.stderr
