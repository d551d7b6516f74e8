"""`clickmask bench`: what it measures, beside whom, and how it tells."""

from __future__ import annotations

import json
import re
import signal
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from typer.testing import CliRunner

from clickmask import Segmenter
from clickmask.service.bench import measuring, memory, peers
from clickmask.service.bench.chart import chart
from clickmask.service.bench.figures import Figure, shown, times_better
from clickmask.service.cli.app import app

NAMES = [
    "process start to a mask",
    "memory of that, at most",
    "load the model",
    "open a JPEG, 0.0 MP",
    "encode, 0.0 MP",
    "open a JPEG, 0.6 MP",
    "encode, 0.6 MP",
    "first click",
    "click, plain",
    "click, with edges",
    "4 boxes, plain",
    "everything, 0.0 MP",
    "memory of all this, at most",
]


@pytest.fixture
def little(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many things as ever, but each of them small."""
    for name, value in (
        ("SIZES", ((96, 64), (960, 640))),
        ("MIDDLE", (96, 64)),
        ("STARTS", 1),
        ("BOXES", 4),
        ("GRID", 2),
    ):
        monkeypatch.setattr(measuring, name, value)


@pytest.fixture
def model(tiny_sam_state: dict[str, Tensor], tmp_path: Path) -> str:
    """A small plain ViT with random weights."""
    path = tmp_path / "tiny.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in tiny_sam_state.items()}, path)
    return str(path)


def test_everything_is_measured_and_told_in_three_ways(little: None, model: str, tmp_path: Path) -> None:
    files = {"--json": tmp_path / "b.json", "--plot": tmp_path / "b.svg"}
    words = ["bench", "--model", model, "--rounds", "2", "--compare", "--device", "cpu"]
    told = CliRunner().invoke(app, [*words, *(str(word) for pair in files.items() for word in pair)])
    assert told.exit_code == 0, told.output
    document = json.loads(files["--json"].read_text())
    ours = [figure for figure in document["figures"] if figure["who"] == "clickmask"]
    names = [*NAMES[:-1], "memory of both, at most"]
    assert list(dict.fromkeys(figure["name"] for figure in ours)) == names
    for figure in document["figures"]:
        assert 0 < figure["least"] <= figure["median"] <= figure["most"]
        assert figure["unit"] == ("MB" if "memory" in figure["name"] else "s")
    runs = {figure["name"]: figure["runs"] for figure in ours}
    assert runs["encode, 0.0 MP"] == 2 and runs["click, plain"] == 6 and runs["process start to a mask"] == 1
    peers = {figure["name"] for figure in document["figures"] if figure["who"] == "segment_anything"}
    assert peers == {"encode, 0.0 MP", "encode, 0.6 MP", "click, plain"}
    assert document["models"][model]["device"] == "cpu" and document["torch"] and document["processor"]
    for name in (*names, "segment_anything", "times ours"):
        assert name in re.sub(r"\s+", " ", told.output), name
    texts = [element.text for element in ElementTree.parse(files["--plot"]).iter() if element.tag.endswith("text")]
    assert "click, plain" in texts and "segment_anything" in texts and model in texts


def test_of_hq_sam_all_but_everything_is_measured(little: None, hq_file: Path) -> None:
    told = CliRunner().invoke(app, ["bench", "--model", str(hq_file), "--rounds", "1", "--compare", "--json", "-"])
    assert told.exit_code == 0, told.output
    names = [figure["name"] for figure in json.loads(told.stdout)["figures"]]
    assert names == [name for name in NAMES if not name.startswith("everything")]
    assert "of HQ-SAM none is measured" in told.stderr


def test_json_alone_goes_to_standard_output(little: None, model: str, tmp_path: Path) -> None:
    """Of a model that was named twice, and with a picture to be drawn besides; of a photo of one pixel."""
    assert cv2.imwrite(str(tmp_path / "dot.png"), np.zeros((1, 1, 3), np.uint8))
    words = ["--model", model, "--model", model, "--rounds", "1", "--json", "-", "-q", "--device", "cpu"]
    words += ["--plot", str(tmp_path / "b.svg"), "--photo", str(tmp_path / "dot.png")]
    told = CliRunner().invoke(app, ["bench", *words])
    assert told.exit_code == 0 and not told.stderr, told.output
    document = json.loads(told.stdout)
    assert [figure["name"] for figure in document["figures"]] == NAMES and document["photo"] == "dot.png"
    assert len(document["figures"][4]["values"]) == 1 and document["gpu"] is None
    assert (tmp_path / "b.svg").exists()


def test_a_process_does_not_count_what_its_parent_held() -> None:
    held = np.ones(400_000_000, np.uint8)
    _, peak = memory.run([sys.executable, "-S", "-c", "pass"])
    assert peak is not None and 1 < peak < 100 and len(held)


def test_a_peak_is_that_from_then_on() -> None:
    held = np.ones(600_000_000, np.uint8)
    del held
    peak = memory.Peak(torch.device("cpu"))
    before = peak.read()
    held = np.ones(300_000_000, np.uint8)
    after = peak.read()
    assert before is not None and after is not None and len(held)
    assert 250 < after - before < 400


def test_a_process_that_is_waited_for_ends_with_the_wait(tmp_path: Path) -> None:
    """As when Ctrl-C comes."""
    file = tmp_path / "left"
    line = [sys.executable, "-c", f"import time; time.sleep(3); open({str(file)!r}, 'w')"]

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 1)
    try:
        with pytest.raises(KeyboardInterrupt):
            memory.run(line)
    finally:
        signal.signal(signal.SIGALRM, before)
    time.sleep(4)
    assert not file.exists()


def test_a_peer_that_does_not_work_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(state: object) -> object:
        raise ImportError("no such thing")

    monkeypatch.setattr(peers, "_mobile_sam", broken)
    monkeypatch.setattr(peers, "find_spec", lambda name: True)
    assert peers.peer_of(Segmenter(device="cpu")) == (
        "MobileSAM's own code does not work here (ImportError: no such thing)"
    )


def test_what_cannot_be_used_is_refused_before_anything_is_measured(model: str, tmp_path: Path) -> None:
    runner = CliRunner()
    for words, message in (
        (["--model", "vit_x"], "vit_x"),
        (["--rounds", "0"], "--rounds"),
        (["--photo", str(tmp_path / "none.jpg")], "none.jpg"),
        (["--plot", str(tmp_path)], "directory"),
        (["--json", str(tmp_path)], "is a folder"),
        (["--plot", "b.png"], "ends in .svg"),
        (["--json", "/dev/null/x.json"], "cannot be written"),
        (["--model", model, "--json", model], "is the input itself"),
        (["--json", "same.svg", "--plot", "same.svg"], "is the input itself"),
        (["--model", "vit_t", "--model", "missing.pth"], "missing.pth"),
        (["--graphs", "--device", "cpu"], "graphs=True is for CUDA GPUs"),
    ):
        told = runner.invoke(app, ["bench", *words])
        assert told.exit_code == 2 and message in told.output, told.output


def test_a_peers_figure_is_told_in_times_of_ours() -> None:
    ours, theirs = Figure("g", "click", "s", (0.02, 0.03, 0.04)), Figure("g", "click", "s", (0.3, 0.09, 0.06), "peer")
    assert times_better(theirs, [ours, theirs]) == pytest.approx(3)
    assert times_better(ours, [ours, theirs]) is None and times_better(theirs, [theirs]) is None
    fast, slow = Figure("g", "rate", "1/s", (90.0,)), Figure("g", "rate", "1/s", (30.0,), "peer")
    assert times_better(slow, [fast, slow]) == pytest.approx(3)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0213, "s", "21.3 ms"),
        (1.0, "s", "1 s"),
        (0.9996, "s", "1 s"),
        (1234.5, "s", "1,234 s"),
        (22.51, "s", "22.5 s"),
        (1438.2, "MB", "1,438 MB"),
        (95.2, "1/s", "95.2 a second"),
    ],
)
def test_values_are_written_for_people(value: float, unit: str, text: str) -> None:
    assert shown(value, unit) == text


def test_bars_are_as_long_as_the_logarithm_says() -> None:
    names = ("a <b>", "c", "d")
    figures = [Figure("g", name, "s", (seconds,)) for name, seconds in zip(names, (0.01, 0.1, 1.0), strict=True)]
    root = ElementTree.fromstring(chart(figures, "on & on"))
    widths = [float(one.get("width", "0")) for one in root.iter() if one.tag.endswith("rect") and one.get("rx")]
    assert widths[0] == 1 and widths[2] == pytest.approx(2 * widths[1], abs=0.2)
    assert "a <b>" in [element.text for element in root.iter()]
