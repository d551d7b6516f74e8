"""`clickmask serve`: what its options become, what is refused before torch is imported, and one whole life."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from functools import wraps
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from clickmask.service.cli.app import app
from clickmask.service.cli.quantities import Size, parse_megapixels, parse_seconds
from clickmask.service.cli.serve import serve, serve_settings
from clickmask.service.cli.serve_options import parse_devices
from clickmask.service.http.settings import Access, Decoders, Limits, ServeSettings, Storage

UNIX = pytest.mark.skipif(os.name != "posix", reason="signals of Unix")
WIDE = {"COLUMNS": "400", "NO_COLOR": "1"}  # so that messages stay on a line
COMMAND = [sys.executable, "-m", "clickmask", "serve"]
PATIENCE = 60.0  # seconds until a test gives up on what should take a few

LIGHT = """
import sys
from clickmask.service.cli import main
sys.argv = ["clickmask", *sys.argv[1:]]
try:
    main()
except SystemExit as end:
    assert "torch" not in sys.modules
    raise
"""


def _settings(words: list[str]) -> ServeSettings:
    """What `serve` makes of these words."""
    found: list[ServeSettings] = []

    @wraps(serve)
    def look(**options: Any) -> None:
        found.append(serve_settings(options))

    command_line = typer.Typer()
    command_line.command()(look)
    done = CliRunner().invoke(command_line, words, env=WIDE)
    assert done.exit_code == 0, done.output
    return found[0]


def test_defaults_are_those_of_the_service() -> None:
    found = _settings([])
    assert found == ServeSettings()
    assert repr(found) == repr(ServeSettings())  # sizes are plain numbers again


def test_every_option_reaches_its_setting(tmp_path: Path) -> None:
    (tmp_path / "tokens").touch()
    words = f"""--host 0.0.0.0 --port 81 --root-path /mask --allowed-host a.example --allowed-host b.example
        --origin https://c.example --token-file {tmp_path}/tokens --proxy 10.0.0.7 --proxy 10.1.0.0/16 --max-body 1MiB
        --max-megapixels 2 --max-prompts 3 --max-points 4 --queue 5 --queue-memory 6MiB --timeout 7 --max-timeout 8
        --store-memory 9MiB --mask-memory 10MiB --forget-after 11 --state-dir {tmp_path} --decoders 12
        --decoder-memory 1.5GiB --decoder-timeout 14 --drain 15 --everything-timeout 16""".split()
    limits = Limits(1 << 20, 2_000_000, 3, 4, 5, 6 << 20, 7.0, 8.0, 16.0)
    access = Access(
        token_file=tmp_path / "tokens",
        proxies=(ip_network("10.0.0.7"), ip_network("10.1.0.0/16")),
        hosts=("a.example", "b.example"),
        origins=("https://c.example",),
    )
    storage, decoders = Storage(9 << 20, 10 << 20, 11.0, tmp_path), Decoders(12, 3 << 29, 14.0)
    assert _settings(words) == ServeSettings("0.0.0.0", 81, "/mask", 15.0, limits, storage, decoders, access)


@pytest.mark.parametrize(
    ("words", "access"),
    [
        ("--oidc-issuer I --oidc-audience A --oidc-jwks J", Access(oidc_issuer="I", oidc_audience="A", oidc_jwks="J")),
        ("--identity-header X --proxy ::1", Access(identity_header="X", proxies=(ip_network("::1"),))),
        ("--public", Access(public=True)),
    ],
)
def test_every_way_in_reaches_its_setting(words: str, access: Access) -> None:
    assert _settings(words.split()).access == access


def test_every_option_has_a_variable_of_its_name() -> None:
    command: Any = typer.main.get_command(app)
    for option in command.commands["serve"].params:
        if option.name not in ("config", "help"):
            names = [option.envvar] if isinstance(option.envvar, str) else option.envvar
            assert f"CLICKMASK_{option.name.upper()}" in names


def test_variable_may_hold_several_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLICKMASK_PROXY", "10.0.0.7 10.1.0.0/16")
    monkeypatch.setenv("CLICKMASK_PUBLIC", "1")
    assert _settings([]).access == Access(proxies=(ip_network("10.0.0.7"), ip_network("10.1.0.0/16")), public=True)


@pytest.mark.parametrize(
    ("text", "count", "shown"),
    [
        ("64MiB", 64 << 20, "64MiB"),
        ("64 mib", 64 << 20, "64MiB"),
        ("64Mi", 64 << 20, "64MiB"),
        ("1.5GiB", 3 << 29, "1536MiB"),
        ("2GB", 2_000_000_000, "1953125KiB"),
        ("1001", 1001, "1001"),
        ("1 k", 1000, "1000"),
    ],
)
def test_size_is_read_as_people_write_it(text: str, count: int, shown: str) -> None:
    assert (Size.parse(text), str(Size.parse(text))) == (count, shown)
    assert Size.parse(str(Size.parse(text))) == count


@pytest.mark.parametrize("text", ["", "0", "-1", "MiB", "1 lb", "1e9", "nan", "0.1", "1MiBs", "1,5MiB"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="expected a number of bytes above 0, such as 64MiB"):
        Size.parse(text)


@pytest.mark.parametrize("text", ["", "0", "-1", "nan", "inf", "1s"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    for parse in (parse_seconds, parse_megapixels):
        with pytest.raises(typer.BadParameter, match="above 0"):
            parse(text)


def test_devices_are_one_or_several_different_ones() -> None:
    for text in ("auto", "all", "cpu", "mps", "cuda", "cuda:1", "cuda:0,cuda:1"):
        assert parse_devices(text) == text
    for text in ("", "tpu", "cuda:0,cuda:0", "auto,cpu", "all,cpu", "cuda:0, cuda:1"):
        with pytest.raises(typer.BadParameter, match="expected auto, all"):
            parse_devices(text)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("--host 0.0.0.0", "Say who may: --token-file"),
        ("--token-file missing", "File 'missing' does not exist"),
        ("--oidc-issuer https://login.example", "needs --oidc-audience"),
        ("--identity-header X-User", "needs --proxy"),
        ("--identity-header X-User --proxy nonsense", "--proxy: expected an address or a network"),
        ("--public --oidc-issuer https://login.example", "choose one way"),
        ("--origin example.com", "--origin: expected scheme://host"),
        ("--root-path mask", "--root-path: expected /something"),
        ("--port 70000", "'--port'"),
        ("--max-body 0", "'--max-body'"),
        ("--timeout nan", "'--timeout'"),
        ("--decoder-memory 1MiB", "decoders: expected"),
        ("--device tpu", "'tpu': expected auto, all"),
        ("--refine views", "'--refine': views are for Python, segment and batch"),
        ("--ray-replicas 2", "'--ray-replicas': goes with --ray"),
        ("--ray local --devices all", "'--devices': with --ray, one"),
        ("--model vit_x", "There is no model called 'vit_x'"),
    ],
)
def test_what_makes_no_sense_is_refused(words: str, reason: str) -> None:
    done = CliRunner().invoke(app, ["serve", *words.split()], env=WIDE)
    message = re.sub(r"[\s│]+", " ", done.stderr)
    assert done.exit_code == 2, done.output
    assert reason.lower() in message.lower() and "Traceback" not in message


def test_bad_token_file_and_taken_port_are_said_before_torch_is_imported(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("no colon here\n")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for words, reason in ((["--token-file", "tokens"], "tokens"), (["--port", port], f"port {port} is in use")):
            words = ["serve", "--state-dir", "state", *words]
            done = subprocess.run([sys.executable, "-c", LIGHT, *words], cwd=tmp_path, capture_output=True, text=True)
            assert done.returncode == 2, done.stderr
            assert done.stderr.startswith("Error: ") and reason in done.stderr


def test_extra_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    done = CliRunner().invoke(app, ["serve"], env=WIDE)
    assert (done.exit_code, done.stderr) == (
        2,
        "Error: clickmask serve needs more than is installed: pip install 'clickmask[serve]'\n",
    )


def test_weights_that_cannot_be_used_end_it_before_anybody_is_let_in(tmp_path: Path) -> None:
    (tmp_path / "bad.pth").write_bytes(b"no weights")
    words = [*COMMAND, "--port", "0", "--model", "bad.pth", "--state-dir", "state"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 2
    assert done.stderr.startswith("Error: ") and "bad.pth" in done.stderr and "http://" not in done.stderr


@UNIX
def test_server_starts_answers_and_stops(tmp_path: Path, cache_folder: Path) -> None:
    words = [*COMMAND, "--port", "0", "--devices", "cpu", "--precision", "float32", "--drain", "4"]
    words += ["--state-dir", "state", "--cache-dir", str(cache_folder), "--decoders", "1"]
    with subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        lines = (json.loads(line) for line in process.stderr)
        told = next(line["message"] for line in lines if "clickmask serves" in line.get("message", ""))
        found = re.fullmatch(r"clickmask serves vit_t on cpu at (http://127\.0\.0\.1:\d+) \(docs: /docs\)", told)
        assert found
        with contextlib.closing(urllib.request.urlopen(f"{found[1]}/readyz", timeout=PATIENCE)) as answer:
            assert answer.status == 200
        process.send_signal(signal.SIGTERM)
        assert list(lines) is not None  # what it still logs is JSON to the end
        assert process.wait(PATIENCE) == 0
    assert (tmp_path / "state" / "secret").is_file()
