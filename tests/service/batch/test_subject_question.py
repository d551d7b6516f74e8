"""A run that asks each photo for its subject."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from clickmask.models.errors import SettingsError
from clickmask.service.batch.journal import Record
from clickmask.service.batch.sources import STATE
from clickmask.service.batch.subject_question import Subject

from .conftest import Run, tree


def test_photos_without_a_subject_are_done_and_have_no_objects(
    segment: Run, make: Callable[[Path, int], None], tmp_path: Path
) -> None:
    make(tmp_path / "photos", 2)
    sure = segment(tmp_path / "photos", tmp_path / "none", "png", Subject(1.0))
    assert (sure.tally.done, sure.tally.objects, sure.tally.failed) == (2, 0, 0)
    assert tree(tmp_path / "none") == {}
    lines = (tmp_path / "none" / STATE / "journal.jsonl").read_bytes().splitlines(keepends=True)
    records = [record for line in lines if (record := Record.parse(line)) is not None]
    assert [(record.state, record.objects) for record in records] == [("done", 0)] * 2


def test_another_threshold_is_another_question() -> None:
    assert Subject(0.5).describe() == Subject().describe() != Subject(0.6).describe()
    with pytest.raises(SettingsError, match="min_confidence"):
        Subject(1.5)
