"""`clickmask models`: which there are, fetching them, and looking into their files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ...models.errors import OutputError
from ...models.variants import VARIANTS, Variant, get_variant
from ..cache import cache_folder
from . import options as o
from .progress import download_bar
from .shell import say, show

EMBEDDED = "vit_t"

models = typer.Typer(invoke_without_command=True, help="List the models, fetch one, check or convert a file of one.")

Checkpoint = Annotated[Path, typer.Argument(metavar="FILE", help="A .pth, .pt or .safetensors checkpoint.")]


@models.callback()
def _without_command(ctx: typer.Context, cache_dir: o.CacheDir = None) -> None:
    if ctx.invoked_subcommand is None:
        list_models(cache_dir)


@models.command("list")
def list_models(cache_dir: o.CacheDir = None) -> None:
    """The models that clickmask knows by name. Also without `list`."""
    from rich.console import Console
    from rich.table import Table

    folder = cache_folder(cache_dir)
    table = Table("Name", "Model", "Parameters", "Size", "Where", "Licence", box=None, pad_edge=False)
    for column in (2, 3):
        table.columns[column].justify = "right"
    for variant in VARIANTS.values():
        parameters, size = f"{variant.parameters / 1e6:.1f} M", f"{_megabytes(4 * variant.parameters)}"
        table.add_row(variant.name, variant.title, parameters, size, _where(variant, folder), variant.licence)
    Console().print(table)
    show(f"\nDownloads are kept in {folder}")


@models.command()
def pull(
    name: Annotated[str, typer.Argument(metavar="NAME", help="vit_b, vit_l or vit_h.")],
    cache_dir: o.CacheDir = None,
    quiet: o.Quiet = False,
) -> None:
    """Fetch a model now, and check it, so that it is there when it is needed."""
    from ...models.download import fetch

    variant = get_variant(name)
    if variant.name == EMBEDDED:
        done = f"{variant.name} is in the package already: nothing to fetch"
    else:
        with download_bar(quiet=quiet) as progress:
            path = fetch(variant, cache_folder(cache_dir), progress=progress)
        done = f"{variant.name} is ready: {path}"
    if not quiet:
        say(done)


@models.command()
def check(file: Checkpoint) -> None:
    """Say what a checkpoint is, or why it cannot be used."""
    from ...models.checkpoints import describe_file

    report = describe_file(file)
    origin = "published: byte for byte the official file" if report.official else "not byte for byte an official file"
    rows = {
        "File": f"{report.path} ({report.container}, {_megabytes(report.path.stat().st_size)})",
        "Model": report.title if report.variant is None else f"{report.title}, --model {report.variant}",
        "Numbers": f"{report.parameters:,} in {report.tensors} tensors, {', '.join(report.dtypes)}",
        "Origin": origin,
        "SHA-256": report.sha256,
        "MD5": report.md5,
    }
    for label, value in rows.items():
        show((f"{label:<9}", "bold"), value)


@models.command()
def convert(
    file: Checkpoint,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="OUT", help="A .safetensors file. Without it FILE's name in this folder."
        ),
    ] = None,
    float16: Annotated[
        bool, typer.Option("--float16", metavar=o.FLAG, help="Half as long; the numbers are rounded.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", metavar=o.FLAG, help="Write over a file that was not named with -o.")
    ] = False,
    quiet: o.Quiet = False,
) -> None:
    """Write a checkpoint as .safetensors, which loads at once and cannot hold code."""
    from ...models.checkpoints import convert_checkpoint

    target = Path(f"{file.stem}.safetensors") if output is None else output
    if output is None and target.exists() and not force:
        raise OutputError(f"{target} exists already: choose another name with -o, or write over it with --force")
    convert_checkpoint(file, target, dtype="float16" if float16 else "float32")
    if not quiet:
        say((str(target), "bold"), f": {_megabytes(target.stat().st_size)}")


def _where(variant: Variant, folder: Path) -> str:
    if variant.name == EMBEDDED:
        return "embedded"
    return "in cache" if (folder / variant.file_name).is_file() else "to download"


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.0f} MB"
