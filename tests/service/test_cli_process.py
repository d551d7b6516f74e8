"""The command line as a process: exit codes, streams, signals, and what it imports."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
from PIL import Image

from clickmask import __version__

COMMAND = [sys.executable, "-m", "clickmask"]
UNIX = pytest.mark.skipif(os.name != "posix", reason="signals and pipes of Unix")

LIGHT = """
import sys
from clickmask.service.cli import main
sys.argv = ["clickmask", *sys.argv[1:]]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
heavy = {"torch", "cv2", "numpy", "torchvision", "segment_anything"} & set(sys.modules)
assert not heavy, heavy
"""
SEGMENT = """
import sys
from clickmask.service.cli import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
heavy = {"torchvision", "segment_anything", "PIL"} & set(sys.modules)
assert not heavy, heavy
# Not ru_maxrss: a child inherits it from whoever started it.
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


def _run(*words: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*COMMAND, *map(str, words)], cwd=cwd, capture_output=True, stdin=subprocess.DEVNULL)


def test_version() -> None:
    done = _run("--version")
    assert (done.returncode, done.stdout.decode().strip()) == (0, f"clickmask {__version__}")


@pytest.mark.parametrize(
    "words", ["--help", "--version", "segment --help", "batch --help", "models", "models pull vit_t"]
)
def test_what_needs_no_model_imports_none_of_its_modules(words: str) -> None:
    done = subprocess.run([sys.executable, "-c", LIGHT, *words.split()], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_help_shows_an_example() -> None:
    help = _run("--help").stdout.decode()
    assert "clickmask segment photo.jpg --point 420,310" in help


def test_segment_writes_only_the_picture_to_standard_output(photo_path: Path, tmp_path: Path) -> None:
    done = _run("segment", photo_path, "--point", "290,300", "-o", "-", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert Image.open(io.BytesIO(done.stdout)).size == (682, 1024)
    assert done.stderr.startswith(b"standard output: ") and done.stderr.count(b"\n") == 1


@pytest.mark.parametrize("words", ["segment missing.jpg --point 1,1", "segment missing.jpg --point 1", "nothing"])
def test_unusable_arguments_or_input_exit_with_2(words: str, tmp_path: Path) -> None:
    done = _run(*words.split(), cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == b"" and b"Traceback" not in done.stderr and done.stderr


@UNIX
def test_interrupt_exits_with_130(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "photo.jpg")
    words = [*COMMAND, "segment", "photo.jpg", "--point", "1,1"]
    with subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.PIPE) as process:
        with (tmp_path / "photo.jpg").open("wb"):  # opens when the command does, which then waits for bytes
            process.send_signal(signal.SIGINT)
            _, said = process.communicate()
    assert process.returncode == 130
    assert said == b"Error: interrupted\n"


@UNIX
def test_reader_that_went_away_is_no_crash(photo_path: Path) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    words = [*COMMAND, "segment", str(photo_path), "--point", "290,300", "-o", "-"]
    done = subprocess.run(words, stdout=write_end, stderr=subprocess.PIPE)
    os.close(write_end)
    assert (done.returncode, done.stderr) == (1, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_full_disk_behind_standard_output_is_said(photo_path: Path) -> None:
    words = [*COMMAND, "segment", str(photo_path), "--point", "290,300", "-o", "-"]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 2
    assert b"standard output cannot be written: No space left" in done.stderr and b"Traceback" not in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_twelve_megapixels_are_light(photo_path: Path, tmp_path: Path) -> None:
    pixels = cv2.imread(str(photo_path))
    assert pixels is not None
    cv2.imwrite(str(tmp_path / "big.jpg"), cv2.resize(pixels, (3000, 4000)))
    words = ["segment", "big.jpg", "--point", "1275,1170", "--device", "cpu", "--precision", "float32"]
    done = subprocess.run([sys.executable, "-c", SEGMENT, *words], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 1_200_000
    assert (tmp_path / "big_mask.png").exists()
