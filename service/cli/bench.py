"""`clickmask bench`: what this machine gives, as a table, as JSON and as a picture; beside the originals if wanted."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from . import options as o
from .progress import download_bar
from .settings import parse_model
from .shell import STREAM, say, show, write_stdout

if TYPE_CHECKING:
    from ..bench.figures import Figure

Models = Annotated[
    list[str] | None,
    typer.Option("--model", metavar="NAME|FILE", parser=parse_model, help="As often as you like; without it vit_t."),
]
Photo = Annotated[
    Path | None, typer.Option(metavar="FILE", dir_okay=False, help="What is opened, at several sizes; without it dogs.")
]
Json = Annotated[
    str | None, typer.Option("--json", metavar="FILE", help="Write the figures as JSON too; - is standard output.")
]
Plot = Annotated[
    Path | None, typer.Option(metavar="FILE.svg", dir_okay=False, help="Draw the times as a picture, an SVG.")
]
Compare = Annotated[
    bool, typer.Option("--compare", metavar=o.FLAG, help="Measure the originals beside it, where they are installed.")
]
Rounds = Annotated[int, typer.Option(min=1, metavar="N", help="How often each thing is done; clicks three times that.")]


def bench(
    model: Models = None,
    device: o.Device = "auto",
    precision: o.PrecisionOption = "auto",
    fit: o.FitOption = "auto",
    graphs: o.Graphs = False,
    photo: Photo = None,
    rounds: Rounds = 7,
    compare: Compare = False,
    json_file: Json = None,
    plot: Plot = None,
    cache_dir: o.CacheDir = None,
    quiet: o.Quiet = False,
) -> None:
    """Measure this machine: start, opening, clicks, everything, memory. Takes about a minute a model."""
    from ..bench.measuring import PHOTO, Wishes
    from ..bench.report import machine
    from ..files import guard_output

    for path in (plot, None if json_file in (None, STREAM) else json_file):
        if path is not None:
            guard_output(path, [] if photo is None else [str(photo)])
    figures: list[Figure] = []
    provenances = dict[str, Any]()
    for name in model or ["vit_t"]:
        settings = {"device": device, "precision": precision, "fit": fit, "cache_dir": cache_dir}
        words = [
            word for key, value in settings.items() if value for word in (f"--{key.replace('_', '-')}", str(value))
        ]
        wishes = Wishes(rounds, photo or PHOTO, ["--model", name, *words])
        figures += _measured(name, {**settings, "graphs": graphs}, wishes, provenances, compare=compare, quiet=quiet)
    _write(figures, {**machine(), "models": provenances}, json_file, plot)


def _measured(
    name: str, settings: dict[str, Any], wishes: Any, provenances: dict[str, Any], *, compare: bool, quiet: bool
) -> list[Figure]:
    from ..bench.measuring import starts, uses
    from ..bench.peers import peer_of
    from ..segmenter import Segmenter

    begun = time.perf_counter()
    with download_bar(quiet=quiet) as progress:
        segmenter = Segmenter(name, **settings, progress=progress)
    load = time.perf_counter() - begun
    provenances[name] = segmenter.provenance
    peer = peer_of(segmenter) if compare else None
    if isinstance(peer, str):
        say(("Without its original: ", "bold"), peer)
        peer = None
    with _telling(name, quiet=quiet) as tell:
        figures = chain(starts(wishes, name), uses(segmenter, load, wishes, name, peer))
        return [tell(figure) for figure in figures]


@contextmanager
def _telling(model: str, *, quiet: bool) -> Generator[Callable[[Figure], Figure]]:
    """Says on a terminal how far it is."""
    console = Console(stderr=True, quiet=quiet)
    with console.status(f"Measuring {model}") as status:

        def tell(figure: Figure) -> Figure:
            status.update(f"Measuring {model}: {figure.name}")
            return figure

        yield tell


def _write(figures: list[Figure], about: dict[str, Any], json_file: str | None, plot: Path | None) -> None:
    from ..bench.chart import chart
    from ..bench.report import table, title
    from ..files import write_atomic

    document = json.dumps({**about, "figures": [figure.as_json() for figure in figures]}, indent=2) + "\n"
    if json_file == STREAM:
        write_stdout(document.encode())
    else:
        table(figures, about)
    if json_file not in (None, STREAM):
        write_atomic(json_file, document.encode())
    if plot is not None:
        write_atomic(plot, chart(figures, title(about)).encode())
        show(f"\n{plot}")
