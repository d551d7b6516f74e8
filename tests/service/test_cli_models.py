"""`clickmask models`: the table, fetching from a server on this machine, and looking into files."""

from __future__ import annotations

import functools
import hashlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner, Result

from clickmask.models.checkpoints import EMBEDDED, load_checkpoint
from clickmask.models.variants import VARIANTS
from clickmask.service.cli.app import app

PAYLOAD = b"weights, as far as a server knows\n" * 20_000


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder whose file small.pth is what this machine's server has for vit_b."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "small.pth").write_bytes(PAYLOAD)
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(folder)))
    sha256 = hashlib.sha256(PAYLOAD).hexdigest()
    url = f"http://127.0.0.1:{server.server_port}/small.pth"
    row = replace(VARIANTS["vit_b"], url=url, file_name="small.pth", sha256=sha256, md5_prefix=None)
    monkeypatch.setitem(VARIANTS, "vit_b", row)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield folder
    server.shutdown()
    thread.join()
    server.server_close()


def _run(*words: str | Path) -> Result:
    return CliRunner().invoke(app, ["models", *map(str, words)], env={"COLUMNS": "200", "NO_COLOR": "1"})


def _rows(result: Result) -> dict[str, str]:
    assert result.exit_code == 0, result.output
    return {line.split()[0]: line for line in result.stdout.splitlines() if line.startswith("vit_")}


def test_list_says_what_there_is_and_where(here: Path) -> None:
    (here / VARIANTS["vit_l"].file_name).touch()
    rows = _rows(_run("list", "--cache-dir", here))
    assert list(rows) == list(VARIANTS)
    assert "MobileSAM" in rows["vit_t"] and "embedded" in rows["vit_t"] and "9.8 M" in rows["vit_t"]
    assert "to download" in rows["vit_b"] and "375 MB" in rows["vit_b"]
    assert "in cache" in rows["vit_l"]
    assert all("Apache-2.0" in row for row in rows.values())


def test_models_alone_is_the_list(here: Path) -> None:
    assert _run("--cache-dir", here).stdout == _run("list", "--cache-dir", here).stdout


def test_embedded_model_need_not_be_pulled() -> None:
    done = _run("pull", "vit_t")
    assert done.exit_code == 0 and "in the package already" in done.stderr


def test_pull_fetches_once(served: Path, here: Path) -> None:
    done = _run("pull", "vit_b", "--cache-dir", here / "cache")
    assert done.exit_code == 0, done.output
    assert "Fetching" in done.stderr and f"vit_b is ready: {here / 'cache' / 'small.pth'}" in done.stderr
    assert (here / "cache" / "small.pth").read_bytes() == PAYLOAD
    (served / "small.pth").unlink()
    again = _run("pull", "vit_b", "--cache-dir", here / "cache", "--quiet")
    assert (again.exit_code, again.output) == (0, "")


def test_pull_refuses_another_file_than_the_published_one(served: Path, here: Path) -> None:
    (served / "small.pth").write_bytes(b"something else")
    done = _run("pull", "vit_b", "--cache-dir", here)
    assert done.exit_code == 2 and "is not the published file" in done.stderr
    assert not (here / "small.pth").exists()


def test_pull_that_cannot_be_names_the_way_out(served: Path, here: Path) -> None:
    (served / "small.pth").unlink()
    done = _run("pull", "vit_b", "--cache-dir", here)
    assert done.exit_code == 2 and f"put the file at {here / 'small.pth'} by hand" in done.stderr


def test_pull_suggests_the_nearest_name() -> None:
    done = _run("pull", "huge")
    assert done.exit_code == 2 and "Did you mean 'vit_h'?" in done.stderr


def test_check_describes_a_checkpoint() -> None:
    done = _run("check", EMBEDDED)
    assert done.exit_code == 0, done.output
    for part in ("MobileSAM (TinyViT), --model vit_t", "9,818,564", "float32", "safetensors"):
        assert part in done.stdout
    assert hashlib.sha256(EMBEDDED.read_bytes()).hexdigest() in done.stdout


@pytest.mark.parametrize("command", ["check", "convert"])
def test_file_that_is_no_checkpoint_is_refused(command: str, here: Path) -> None:
    torch.save({"weight": torch.zeros(3)}, "other.pth")
    for name in ("other.pth", "missing.pth"):
        done = _run(command, name)
        assert done.exit_code == 2 and name in done.stderr and done.stdout == ""
    assert not (here / "other.safetensors").exists()


def test_convert_writes_what_loads_again(here: Path) -> None:
    done = _run("convert", EMBEDDED, "--float16")
    assert done.exit_code == 0, done.output
    assert "mobile_sam.safetensors: 20 MB" in done.stderr
    assert load_checkpoint(here / "mobile_sam.safetensors", cache_dir=here).architecture.variant == "vit_t"
    again = _run("convert", EMBEDDED, "--float16")
    assert again.exit_code == 2 and "exists already" in again.stderr
    assert _run("convert", EMBEDDED, "--float16", "--force").exit_code == 0


def test_convert_never_writes_over_its_input(here: Path) -> None:
    (here / "mine.safetensors").write_bytes(EMBEDDED.read_bytes())
    for words in (("-o", "mine.safetensors"), ("--force",)):
        done = _run("convert", "mine.safetensors", *words)
        assert done.exit_code == 2 and "file to be converted" in done.stderr
    assert (here / "mine.safetensors").read_bytes() == EMBEDDED.read_bytes()
