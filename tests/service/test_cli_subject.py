"""`clickmask segment --subject` and `clickmask batch --subject`."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from clickmask.service.cli.app import app

MODEL = ("--device", "cpu", "--precision", "float32", "--fit", "rectangle", "--refine", "off")


@pytest.fixture
def photo(tmp_path: Path, strip: np.ndarray) -> Path:
    """A strip of 256 x 16."""
    path = tmp_path / "photo.png"
    cv2.imwrite(str(path), cv2.resize(strip, (256, 16), interpolation=cv2.INTER_AREA))
    return path


def _run(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [*map(str, words)])


def test_a_photo_without_a_subject_is_told_with_the_reason(photo: Path, tmp_path: Path) -> None:
    done = _run("segment", photo, "--subject", "--min-confidence", "1", "-o", tmp_path / "none.png", *MODEL)
    assert done.exit_code == 1 and "No subject: " in done.stderr and "wanted 1.00" in done.stderr
    assert not (tmp_path / "none.png").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("segment", "--subject", "--point", "3,4"), "--subject needs no pointing at"),
        (("segment", "--subject", "--candidates"), "--subject has one answer"),
        (("segment", "--point", "3,4", "--min-confidence", "0.4"), "it is an option of --subject"),
        (("batch", "--everything", "--min-confidence", "0.4"), "it is an option of --subject"),
        (("batch", "--subject", "--box", "full"), "got --subject and --box"),
    ],
)
def test_what_does_not_go_together_is_refused(words: tuple[str, ...], message: str, photo: Path) -> None:
    command, *options = words
    places = [photo.parent, photo.parent / "out"] if command == "batch" else [photo]
    done = _run(command, *places, *options)
    assert done.exit_code == 2
    assert message in " ".join(done.stderr.replace("\u2502", " ").split())
