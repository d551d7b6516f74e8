"""Settings from a file: a flag goes before a variable, that before the file, that before the default."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from clickmask.service.cli.app import app
from clickmask.service.cli.config import ConfigFile, ConfigFileHere
from clickmask.service.cli.options import FitOption, Quiet
from clickmask.service.cli.serve_limits import BODY, MaxBody
from clickmask.service.cli.serve_options import Port, Proxies

WIDE = {"COLUMNS": "400", "NO_COLOR": "1"}  # so that messages stay on a line

Seen = dict[str, Any]


@pytest.fixture
def toy() -> tuple[typer.Typer, Seen]:
    """A small command line of real options, and what its commands were given."""
    toy, seen = typer.Typer(), {}
    inner = typer.Typer()

    @toy.callback()
    def top(config: ConfigFile = None) -> None:
        pass

    @toy.command()
    def serve(
        port: Port = 7860,
        proxy: Proxies = None,
        max_body: MaxBody = BODY,
        fit: FitOption = "auto",
        quiet: Quiet = False,
        config: ConfigFileHere = None,
    ) -> None:
        seen.update(port=port, proxy=proxy, max_body=max_body, fit=fit, quiet=quiet)

    @inner.command()
    def pull(fit: FitOption = "auto") -> None:
        seen.update(fit=fit)

    toy.add_typer(inner, name="models")
    return toy, seen


@pytest.fixture
def run(toy: tuple[typer.Typer, Seen], tmp_path: Path) -> Callable[..., Seen]:
    """Run the toy with a file of this text."""
    command_line, seen = toy

    def run(text: str, *words: str, before: bool = True, env: dict[str, str] | None = None) -> Seen:
        path = tmp_path / "settings.toml"
        path.write_text(text)
        named = ["--config", str(path)]
        words = (*named, *words) if before else (*words, *named)
        done = CliRunner().invoke(command_line, list(words), env={**WIDE, **(env or {})})
        assert done.exit_code == 0, done.output
        return seen

    return run


def test_file_goes_before_the_default(run: Callable[..., Seen]) -> None:
    seen = run('[serve]\nport = 8080\nproxy = ["10.0.0.7", "10.1.0.0/16"]\nmax-body = "32MiB"\nquiet = true\n', "serve")
    assert seen == {
        "port": 8080,
        "proxy": ["10.0.0.7", "10.1.0.0/16"],
        "max_body": 32 << 20,
        "fit": "auto",
        "quiet": True,
    }


def test_variable_goes_before_the_file(run: Callable[..., Seen]) -> None:
    assert run("[serve]\nport = 8080\n", "serve", env={"CLICKMASK_PORT": "9090"})["port"] == 9090


def test_flag_goes_before_the_variable(run: Callable[..., Seen]) -> None:
    assert run("[serve]\nport = 8080\n", "serve", "--port", "70", env={"CLICKMASK_PORT": "9090"})["port"] == 70


def test_file_may_be_named_after_the_command(run: Callable[..., Seen]) -> None:
    assert run("[serve]\nport = 8080\n", "serve", before=False)["port"] == 8080


def test_file_may_be_named_by_a_variable(toy: tuple[typer.Typer, Seen], tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text("[serve]\nport = 8080\n")
    done = CliRunner().invoke(toy[0], ["serve"], env={"CLICKMASK_CONFIG": str(path)})
    assert done.exit_code == 0 and toy[1]["port"] == 8080


@pytest.mark.parametrize("words", [["serve"], ["models", "pull"]])
def test_key_at_the_top_is_for_every_command_that_has_it(run: Callable[..., Seen], words: list[str]) -> None:
    assert run('fit = "square"\n', *words)["fit"] == "square"


def test_table_goes_before_the_top(run: Callable[..., Seen]) -> None:
    text = 'fit = "square"\n[serve]\nfit = "rectangle"\n[models]\nfit = "auto"\n[models.pull]\nfit = "rectangle"\n'
    assert run(text, "serve")["fit"] == "rectangle"
    assert run(text, "models", "pull")["fit"] == "rectangle"
    assert run(text.replace("[models.pull]\nfit", "[models.pull]\n#"), "models", "pull")["fit"] == "auto"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("prt = 1", "prt: there is no such setting. Did you mean port?"),
        ("[serve]\nprt = 1", "[serve] prt: there is no such setting. Did you mean port?"),
        ("[serv]\nport = 1", "serv: there is no such table. Did you mean serve?"),
        ("[models.pll]\nquiet = true", "[models] pll: there is no such table. Did you mean pull?"),
        ("[segment]\nport = 1", "[segment] port: there is no such setting"),
        ("config = 'other.toml'", "config: there is no such setting"),
        ("serve = 1", "serve: there is no such setting"),
        ("[serve]\nport = true", "[serve] port: expected a text or a number, got True"),
        ("[serve]\nport = [1]", "[serve] port: expected a text or a number, got [1]"),
        ("[serve.port]\nx = 1", "[serve] port: expected a text or a number, got {'x': 1}"),
        ("[serve]\nproxy = '10.0.0.7'", "[serve] proxy: expected a list of texts, got '10.0.0.7'"),
        ("[serve]\nproxy = [1]", "[serve] proxy: expected a list of texts, got [1]"),
        ("[serve]\npublic = 'yes'", "[serve] public: expected true or false, got 'yes'"),
        ("[serve]\nport = 70000", "[serve] port: "),
        ("[serve]\nport = 1.5", "[serve] port: "),
        ("[serve]\nmax-body = 'much'", "[serve] max-body: 'much': expected a number of bytes above 0"),
        ("[serve]\ntimeout = inf", "[serve] timeout: 'inf': expected a number of seconds above 0"),
        ("[serve]\ntoken-file = 'missing'", "[serve] token-file: "),
        ("fit = 'oval'", "toml, fit: "),
        ("model = 'vit_x'", "toml, model: There is no model called 'vit_x'"),
        ("port = ", "is not TOML"),
    ],
)
def test_what_cannot_be_used_is_named(text: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text(text)
    done = CliRunner().invoke(app, ["--config", str(path), "models"], env=WIDE)
    assert done.exit_code == 2
    assert f"'--config' (env var: 'CLICKMASK_CONFIG'): {path}" in done.stderr
    assert reason in re.sub(r"[\s│]+", " ", done.stderr)


def test_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_bytes(b"\xff\xfe")
    done = CliRunner().invoke(app, ["--config", str(tmp_path / "x.toml"), "models"], env=WIDE)
    assert done.exit_code == 2 and "is not TOML" in done.stderr


def test_real_command_takes_its_settings_from_the_file(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text(f"[models]\ncache-dir = '{tmp_path}/here'\n")
    done = CliRunner().invoke(app, ["--config", str(tmp_path / "x.toml"), "models", "list"], env=WIDE)
    assert done.exit_code == 0 and f"{tmp_path}/here" in done.stdout
