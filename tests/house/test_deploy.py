"""The files for running the service name what exists, and their numbers fit those of the service."""

from __future__ import annotations

import importlib
import re
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

FILES = ("Dockerfile", "compose.yaml", "clickmask.service", "nginx.conf", "serve.toml")
NOT_OPTIONS = {
    "--build",
    "--build-arg",
    "--rm",
    "--entrypoint",
    "--gpus",
    "--now",
    "--scale",
}  # of docker and systemctl


@pytest.fixture(scope="module")
def texts(root: Path) -> dict[str, str]:
    """The deployment files, and the page of the docs about them."""
    found = {name: (root / "deploy" / name).read_text(encoding="utf-8") for name in FILES}
    return {**found, "serving.md": (root / "docs" / "serving.md").read_text(encoding="utf-8")}


@pytest.fixture(scope="module")
def commands(clickmask: ModuleType) -> dict[str, Any]:
    """`clickmask ui`, which takes all that `clickmask serve` takes, and the whole command line."""
    import typer

    app = importlib.import_module(f"{clickmask.__name__}.ui.cli").app
    group: Any = typer.main.get_command(app)
    return {"all": group, "serve": group.commands["ui"]}


@pytest.fixture(scope="module")
def settings(clickmask: ModuleType) -> Any:
    """The service's default settings."""
    return importlib.import_module(f"{clickmask.__name__}.service.http.settings").ServeSettings()


def _variables(commands: dict[str, Any]) -> set[str]:
    options = [*commands["all"].params, *commands["serve"].params]
    named = [option.envvar for option in options if option.envvar]
    return {name for names in named for name in ([names] if isinstance(names, str) else names)}


def test_variables_are_those_of_options(texts: dict[str, str], commands: dict[str, Any]) -> None:
    named = {(file, name) for file, text in texts.items() for name in re.findall(r"\bCLICKMASK_[A-Z_]+", text)}
    assert len(named) > 10
    assert not [(file, name) for file, name in named if name not in _variables(commands)]


def test_options_exist(texts: dict[str, str], commands: dict[str, Any]) -> None:
    known = {name for option in commands["serve"].params for name in option.opts} | {"--help"} | NOT_OPTIONS
    for file in ("serving.md", "serve.toml", "clickmask.service", "compose.yaml", "nginx.conf"):
        named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", texts[file]))
        assert named <= known, file


def test_the_docs_name_every_way_in_and_every_limit(texts: dict[str, str], commands: dict[str, Any]) -> None:
    panels = ("Who may call", "What one request may ask for", "Load", "What it remembers")
    options = [option for option in commands["serve"].params if option.rich_help_panel in panels]
    assert len(options) > 15
    assert not [option.opts[0] for option in options if option.opts[0] not in texts["serving.md"]]


def test_settings_file_holds_the_defaults(texts: dict[str, str], commands: dict[str, Any]) -> None:
    table = tomllib.loads(texts["serve.toml"])
    written = {**table, **table.pop("serve")}
    written.pop("serve", None)
    defaults = {option.opts[0].removeprefix("--"): option.default for option in commands["serve"].params}
    assert len(written) > 10
    assert {key: str(value) for key, value in written.items()} == {
        key: str(defaults[key]).removesuffix(".0") for key in written
    }


def test_what_is_copied_into_the_image_is_the_package(root: Path, texts: dict[str, str]) -> None:
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", texts["Dockerfile"], re.M)
    names = {name for line in copied for name in line.split()}
    rooms = {path.parent.name for path in root.glob("*/__init__.py")}
    assert {"pyproject.toml", "__init__.py", "py.typed", *rooms} <= names
    assert not [name for name in names if not (root / name).exists()]
    let_in = (root / "deploy" / "Dockerfile.dockerignore").read_text(encoding="utf-8")
    assert {line[1:] for line in let_in.splitlines() if line.startswith("!")} == names


def test_image_runs_as_an_ordinary_user_who_is_asked_for_health(texts: dict[str, str]) -> None:
    assert re.search(r"^USER 10001:10001$", texts["Dockerfile"], re.M)
    assert re.search(r"^STOPSIGNAL SIGTERM$", texts["Dockerfile"], re.M)
    assert re.search(r"^HEALTHCHECK .*\n.*/livez", texts["Dockerfile"], re.M)


def test_supervisors_wait_longer_than_the_service_needs_to_stop(texts: dict[str, str], settings: Any) -> None:
    graces = (
        re.search(r"stop_grace_period: (\d+)s", texts["compose.yaml"]),
        re.search(r"^TimeoutStopSec=(\d+)$", texts["clickmask.service"], re.M),
    )
    for grace in graces:
        assert grace and int(grace[1]) >= settings.drain + 10


def test_the_proxy_leaves_limits_to_the_service(texts: dict[str, str], settings: Any) -> None:
    body = re.search(r"client_max_body_size\s+(\d+)m;", texts["nginx.conf"])
    wait = re.search(r"proxy_read_timeout\s+(\d+)s;", texts["nginx.conf"])
    assert body and int(body[1]) << 20 > settings.limits.body
    assert wait and int(wait[1]) > settings.limits.longest_deadline


def test_the_proxy_gives_connections_up_before_the_service_does(texts: dict[str, str], clickmask: ModuleType) -> None:
    server = importlib.import_module(f"{clickmask.__name__}.service.http.server")
    idle = re.search(r"keepalive_timeout (\d+)s; # less than the service's (\d+)", texts["nginx.conf"])
    assert idle and int(idle[1]) < int(idle[2]) == server.KEEP_ALIVE
    assert "within 60 seconds" in texts["serving.md"] and server.KEEP_ALIVE > 60
    assert f"after {server.KEEP_ALIVE}, and whoever" in texts["serving.md"]


def test_clients_cannot_say_who_they_are(texts: dict[str, str]) -> None:
    headers = dict(re.findall(r"proxy_set_header (\S+)\s+([^;]+);", texts["nginx.conf"]))
    assert headers["X-Forwarded-User"] == headers["Forwarded"] == '""'
    assert headers["X-Forwarded-For"] == "$remote_addr"
    assert "--identity-header X-Forwarded-User" in texts["serving.md"]


def test_the_proxy_tells_replicas_apart_as_compose_names_them(texts: dict[str, str]) -> None:
    replicas = set(re.findall(r"^  (clickmask-\d+):$", texts["compose.yaml"], re.M))
    assert len(replicas) > 1
    assert set(re.findall(r"^\s+server (clickmask-\d+):7860 ", texts["nginx.conf"], re.M)) == replicas


def test_the_device_that_broke_is_a_reason_to_start_again(texts: dict[str, str], clickmask: ModuleType) -> None:
    server = importlib.import_module(f"{clickmask.__name__}.service.http.server")
    assert f"RestartForceExitStatus={server.BROKEN}\n" in texts["clickmask.service"]
    assert re.search(rf"^\| {server.BROKEN} \| the device broke", texts["serving.md"], re.M)
