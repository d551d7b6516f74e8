"""`clickmask ui --project`: like every other option, and `clickmask serve` has it not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from clickmask.service.cli.serve import serve_settings
from clickmask.ui import cli


def _options(name: str) -> dict[str, Any]:
    command: Any = typer.main.get_command(cli.app)
    return {option.name: option for option in command.commands[name].params}


def test_the_page_takes_a_project_beside_all_that_the_service_takes() -> None:
    page, service = _options("ui"), _options("serve")
    assert page.keys() - service.keys() == {"project"} and not service.keys() - page.keys()
    assert page["project"].envvar == "CLICKMASK_PROJECT" and page["project"].default is None


@pytest.mark.parametrize("way", ["flag", "variable", "file"])
def test_the_folder_reaches_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    found: list[Any] = []
    monkeypatch.setattr(cli, "run_service", lambda options, *_: found.append(serve_settings(options)))
    words, environment = ["ui"], {}
    if way == "flag":
        words += ["--project", str(tmp_path)]
    elif way == "variable":
        environment["CLICKMASK_PROJECT"] = str(tmp_path)
    else:
        (tmp_path / "settings.toml").write_text(f'[ui]\nproject = "{tmp_path}"\n')
        words += ["--config", str(tmp_path / "settings.toml")]
    done = CliRunner().invoke(cli.app, words, env=environment)
    assert done.exit_code == 0, done.output
    assert found[0].project == tmp_path


def test_a_folder_that_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli.app, ["ui", "--project", str(tmp_path / "nowhere")], env={"COLUMNS": "300"})
    assert done.exit_code == 2 and "--project" in done.output
