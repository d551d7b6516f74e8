"""The command `clickmask`: its sub-commands and what is common to them."""

from __future__ import annotations

import os
import sys
from io import TextIOWrapper
from typing import Annotated

import typer

from ..version import version
from .batch import batch
from .bench import bench
from .config import ConfigFile
from .convert import convert
from .models import models
from .options import FLAG
from .segment import segment
from .serve import serve
from .shell import Shell

EXAMPLES = """[bold]Examples[/]

$ clickmask segment photo.jpg --point 420,310
$ clickmask segment photo.jpg --box 40,30,600,420 --format cutout -o dog.png
$ clickmask batch photos masks --point center
$ clickmask convert photo_coco.json photo.geojson
$ clickmask serve
$ clickmask models
$ clickmask bench
"""
SEGMENT_EXAMPLES = """[bold]Examples[/]

$ clickmask segment photo.jpg --point 420,310
$ clickmask segment photo.jpg --point 420,310 --point 380,90,0 -o marked.jpg
$ clickmask segment photo.jpg --box 40,30,600,420 --format cutout -o dog.png
$ clickmask segment - --point 420,310 --format json < photo.jpg
"""
BATCH_EXAMPLES = """[bold]Examples[/]

$ clickmask batch photos masks --point center
$ clickmask batch photos found --everything --search points_per_side=16 --format coco,overlay
$ clickmask batch photos cut --prompts dogs.csv --format cutout
$ clickmask batch @list.txt out --box full --shard 1/4
"""
CONVERT_EXAMPLES = """[bold]Examples[/]

$ clickmask convert photo_coco.json photo.geojson
$ clickmask convert photo.txt photo_coco.json --to coco --photo photo.jpg --classes data.yaml
$ clickmask convert photo_labels.png photo.json --to labelme
"""
BENCH_EXAMPLES = """[bold]Examples[/]

$ clickmask bench
$ clickmask bench --compare --plot bench.svg --json bench.json
$ clickmask bench --model vit_b --model vit_h --device cuda
"""
SERVE_EXAMPLES = """[bold]Examples[/]

$ clickmask serve
$ clickmask serve --host 0.0.0.0 --token-file tokens.txt
$ clickmask serve --config serve.toml --devices all
"""

app = typer.Typer(
    cls=Shell,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"clickmask {version()}")
        raise typer.Exit


@app.callback(epilog=EXAMPLES)
def clickmask(
    show_version: Annotated[
        bool, typer.Option("--version", metavar=FLAG, help="Show the version.", callback=_show_version, is_eager=True)
    ] = False,
    config: ConfigFile = None,
    debug: Annotated[
        bool,
        typer.Option("--debug", metavar=FLAG, help="Show where in the code an error arose.", envvar="CLICKMASK_DEBUG"),
    ] = False,
) -> None:
    """Cut any object out of any photo with a click."""


app.command(epilog=SEGMENT_EXAMPLES)(segment)
app.command(epilog=BATCH_EXAMPLES)(batch)
app.command(epilog=CONVERT_EXAMPLES)(convert)
app.command(epilog=SERVE_EXAMPLES)(serve)
app.command(epilog=BENCH_EXAMPLES)(bench)
app.add_typer(models, name="models")


def main() -> None:
    """Run the command line with the arguments of this process, and leave it with an exit code (see `shell`)."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal of plain ASCII cannot show all we print
    # Read when torch is loaded. Threads that spin for one another cost five times as much where a core is not theirs.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    app()
