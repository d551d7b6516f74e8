"""What was found out once is found again; a cache folder that cannot be used is no failure."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from clickmask.models import facts as facts_module
from clickmask.models.facts import Facts

CPU = torch.device("cpu")
VALUE = torch.tensor([[0.25, -3.0]], dtype=torch.bfloat16)
SHAPE = (1, 2)


def test_fact_is_remembered_by_the_next_one_who_asks(tmp_path: Path) -> None:
    Facts(tmp_path, "model", CPU).remember("value", VALUE)
    found = Facts(tmp_path, "model", CPU).recall("value", SHAPE)
    assert found is not None
    assert found.dtype == VALUE.dtype
    assert torch.equal(found, VALUE)


def test_unknown_fact_is_none(tmp_path: Path) -> None:
    facts = Facts(tmp_path, "model", CPU)
    assert facts.recall("value", SHAPE) is None
    facts.remember("value", VALUE)
    assert facts.recall("other") is None


def test_later_value_replaces_the_earlier(tmp_path: Path) -> None:
    facts = Facts(tmp_path, "model", CPU)
    facts.remember("value", VALUE)
    facts.remember("value", VALUE + 1)
    found = facts.recall("value", SHAPE)
    assert found is not None and torch.equal(found, VALUE + 1)


def test_another_model_or_another_torch_knows_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Facts(tmp_path, "model", CPU).remember("value", VALUE)
    assert Facts(tmp_path, "another model", CPU).recall("value", SHAPE) is None
    monkeypatch.setattr(torch, "__version__", "1.2.3")
    assert Facts(tmp_path, "model", CPU).recall("value", SHAPE) is None


def test_another_set_of_vector_instructions_knows_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Facts(tmp_path, "model", CPU).remember("value", VALUE)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "ABACUS")
    assert Facts(tmp_path, "model", CPU).recall("value", SHAPE) is None


@pytest.mark.parametrize("damage", [b"", b"a text", b"\xff" * 100])
def test_damaged_file_counts_as_forgotten_and_is_written_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: bytes
) -> None:
    facts = Facts(tmp_path, "model", CPU)
    facts.remember("value", VALUE)
    (file,) = (path for path in tmp_path.rglob("*") if path.is_file())
    file.write_bytes(damage)
    with caplog.at_level(logging.WARNING, "clickmask"):
        assert facts.recall("value", SHAPE) is None
    assert str(file) in caplog.text
    facts.remember("value", VALUE)
    assert facts.recall("value", SHAPE) is not None


@pytest.mark.parametrize(
    "value", [VALUE[0], VALUE.int(), VALUE / 0, VALUE * torch.nan], ids=["shape", "type", "inf", "nan"]
)
def test_value_of_another_kind_counts_as_forgotten(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, value: torch.Tensor
) -> None:
    facts = Facts(tmp_path, "model", CPU)
    facts.remember("value", value)
    with caplog.at_level(logging.WARNING, "clickmask"):
        assert facts.recall("value", SHAPE) is None
    assert "unexpected content" in caplog.text


def test_another_version_of_the_arithmetic_knows_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Facts(tmp_path, "model", CPU).remember("value", VALUE)
    monkeypatch.setattr(facts_module, "_arithmetic", lambda: "another")
    assert Facts(tmp_path, "model", CPU).recall("value", SHAPE) is None


def _folder_below_a_file(tmp_path: Path) -> Path:
    (tmp_path / "file").write_text("not a folder")
    return tmp_path / "file" / "cache"


def _name_too_long(tmp_path: Path) -> Path:
    return tmp_path / ("long" * 100)


@pytest.mark.parametrize("place", [_folder_below_a_file, _name_too_long])
def test_folder_that_cannot_be_used_is_no_failure(tmp_path: Path, place: Callable[[Path], Path]) -> None:
    facts = Facts(place(tmp_path), "model", CPU)
    facts.remember("value", VALUE)
    assert facts.recall("value", SHAPE) is None


def test_failed_write_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def disk_full(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("clickmask.models.facts.save_file", disk_full)
    Facts(tmp_path, "model", CPU).remember("value", VALUE)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
