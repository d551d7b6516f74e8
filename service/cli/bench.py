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

from ...models.errors import OutputError
from . import options as o
from .progress import download_bar
from .settings import parse_model
from .shell import STREAM, say, show, take_sigterm, write_stdout

if TYPE_CHECKING:
    from ..bench.figures import Figure

Models = Annotated[
    list[str] | None,
    typer.Option("--model", metavar="NAME|FILE", parser=parse_model, help="As often as you like; without it vit_t."),
]
Photo = Annotated[
    Path | None,
    typer.Option(metavar="FILE", dir_okay=False, help="What is opened, scaled to several sizes; without it dogs."),
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
Rounds = Annotated[
    int, typer.Option(min=1, max=1000, metavar="N", help="How often each thing is done; clicks three times that.")
]


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
    """Measure this machine: start, opening, clicks, everything, memory. Takes two minutes for vit_t, many for vit_h."""
    from ..bench.measuring import PHOTO, Wishes

    take_sigterm()
    models = list(dict.fromkeys(model or ["vit_t"]))
    _check_files(models, photo, json_file, plot)
    figures: list[Figure] = []
    about: dict[str, Any] = {"rounds": rounds, "photo": "dogs.jpg" if photo is None else photo.name}
    about |= {"models": {}, "peers": {}}
    for name in models:
        settings = {"device": device, "precision": precision, "fit": fit, "cache_dir": cache_dir}
        words = [
            word for key, value in settings.items() if value for word in (f"--{key.replace('_', '-')}", str(value))
        ]
        wishes = Wishes(rounds, photo or PHOTO, ["--model", name, *words])
        figures += _measured(name, {**settings, "graphs": graphs}, wishes, about, compare=compare, quiet=quiet)
    _write(figures, about, json_file, plot)


def _check_files(models: list[str], photo: Path | None, json_file: str | None, plot: Path | None) -> None:
    """Before minutes are measured. Raises WeightsError, ImageError or OutputError."""
    from ...models.checkpoints import load_checkpoint
    from ...models.variants import VARIANTS
    from ..cache import cache_folder
    from ..files import guard_output
    from ..images import read_picture
    from .outputs import check_folder

    files = [name for name in models if name not in VARIANTS]
    for path in files:
        load_checkpoint(path, cache_dir=cache_folder(None))
    if photo is not None:
        read_picture(photo)
    chosen = [path for path in (plot, None if json_file in (None, STREAM) else Path(json_file)) if path is not None]
    if plot is not None and plot.suffix.lower() != ".svg":
        raise OutputError(f"{plot}: the picture is an SVG: give it a name that ends in .svg")
    for number, path in enumerate(chosen):
        guard_output(path, [*files, *([] if photo is None else [photo]), *chosen[:number]])
        if path.is_dir():
            raise OutputError(f"{path} is a folder: name a file in it")
        check_folder(path)


def _measured(
    name: str, settings: dict[str, Any], wishes: Any, about: dict[str, Any], *, compare: bool, quiet: bool
) -> list[Figure]:
    import torch

    from ...models.precision import choose_device
    from ..bench.measuring import starts, uses
    from ..bench.memory import Peak
    from ..bench.peers import peer_of
    from ..segmenter import Segmenter

    device = choose_device(settings["device"])
    if device.type == "cuda":
        torch.cuda.set_device(device)  # whose work is waited for
    with download_bar(quiet=quiet) as progress:
        Segmenter(name, **settings, progress=progress)  # fetched, and what is remembered of it is there from now on
    memory, begun = Peak(device, graphs=settings["graphs"]), time.perf_counter()
    segmenter = Segmenter(name, **settings)
    load = time.perf_counter() - begun
    about["models"][name] = segmenter.provenance
    peer = peer_of(segmenter) if compare else None
    if isinstance(peer, str):
        say(("Without its original: ", "bold"), peer)
        peer = None
    if peer is not None:
        about["peers"][peer.name] = peer.package
    with _telling(name, quiet=quiet) as tell:
        figures = chain(starts(wishes, name), uses(segmenter, load, memory, wishes, name, peer))
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
    """Files first: whoever reads the table may have gone."""
    from ..bench.chart import chart
    from ..bench.report import NOTES, machine, table, title
    from ..files import write_atomic

    uses_gpu = any(model["device"] == "cuda" for model in about["models"].values())
    about = {**machine(uses_gpu=uses_gpu), **about}
    values = [figure.as_json() for figure in figures]
    document = (json.dumps({**about, "notes": NOTES, "figures": values}, indent=2) + "\n").encode()
    if json_file not in (None, STREAM):
        write_atomic(json_file, document)
    if plot is not None:
        write_atomic(plot, chart(figures, title(about)).encode())
    if json_file == STREAM:
        write_stdout(document)
        return
    table(figures, about)
    if plot is not None:
        show(f"\n{plot}")
