"""`clickmask convert`: results from one format to another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...models.errors import PromptError
from . import options as o
from .losses import tell_losses
from .shell import say

if TYPE_CHECKING:
    from ..formats.loss import Loss
    from ..formats.reading import Known
    from ..formats.result import Result

Source = Annotated[Path, typer.Argument(metavar="A", help="Results: what `segment`, `batch` or others wrote.")]
Target = Annotated[Path, typer.Argument(metavar="B", help="The file to write.")]
From = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="NAME",
        help="A's format: json, coco, labelme, sa1b, yolo, labelmap, geojson, amg (a folder or zip) or png (one mask). "
        "Without it as A itself shows.",
    ),
]
To = Annotated[
    str | None,
    typer.Option(
        "--to",
        metavar="NAME",
        help="B's format, of those of `segment --format`. Without it as B's name says: .json, .geojson, .csv, "
        ".txt (yolo), .png (black and white mask), .jpg (overlay).",
    ),
]
Image = Annotated[
    Path | None,
    typer.Option(
        "--photo",
        metavar="PHOTO",
        help="The photo: for yolo's lines, which do not say how large it is, and formats that show it.",
    ),
]
ImageName = Annotated[
    str | None, typer.Option("--image", metavar="NAME", help="Which image of A, by its file name: for COCO of several.")
]
Classes = Annotated[
    Path | None,
    typer.Option(
        "--classes",
        metavar="FILE",
        help="The names that yolo's numbers stand for: a data.yaml, or one name a line.",
    ),
]
Tolerance = Annotated[
    float,
    typer.Option(min=0.0, metavar="PIXELS", help="Make outlines simpler by so much: coco, labelme, yolo, geojson."),
]
Polygons = Annotated[
    bool | None,
    typer.Option("--polygons/--pixels", help="coco, labelme: outlines, or the pixels themselves.", show_default=False),
]


def convert(
    source: Source,
    target: Target,
    source_format: From = None,
    target_format: To = None,
    photo: Image = None,
    image: ImageName = None,
    classes: Classes = None,
    polygons: Polygons = None,
    tolerance: Tolerance = 0.0,
    quiet: o.Quiet = False,
) -> None:
    """Write results in another format; what that cannot keep is told."""
    from ..files import guard_output, write_atomic
    from ..formats import Options, check_options, count_losses, format_for, write
    from ..formats.reading import Known

    inputs = [path for path in (source, photo, classes) if path is not None]
    guard_output(target, inputs)
    name = format_for(target, target_format)
    names = _classes(classes)
    options = Options(polygons=polygons, tolerance=tolerance, classes=names if name == "yolo" else ())
    check_options(name, options)
    result = _read(source, source_format, photo, Known(str(source), image=image, classes=names), target_format=name)
    write_atomic(target, write(result, target, target_format, options))
    if not quiet:
        _report(target, result, name, count_losses(result, name, options))


def _read(source: Path, format: str | None, photo: Path | None, known: Known, *, target_format: str) -> Result:
    from ..formats.reading import read_result, recognise
    from ..images import read_picture

    data = _folder(source) if (source / "metadata.csv").is_file() else _bytes(source)
    format = format or recognise(source, data)
    if known.classes and "yolo" not in (format, target_format):
        raise PromptError(f"--classes is for yolo, and this is from {format} to {target_format}")
    if photo is None:
        return read_result(data, known, format)
    picture = read_picture(photo)
    result = read_result(data, replace(known, size=picture.size, image=known.image or picture.name), format)
    name = result.name or picture.name
    return replace(result, name=name, picture=picture, orientation=picture.orientation)


def _classes(path: Path | None) -> tuple[str, ...]:
    from ..formats.reading_yolo import read_classes

    return () if path is None else tuple(read_classes(_bytes(path), file=str(path)))


def _folder(path: Path) -> bytes:
    from ..formats.reading_amg import zip_folder

    return zip_folder(path)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise PromptError(f"{path} cannot be read: {reason}") from None


def _report(target: Path, result: Result, name: str, losses: list[Loss]) -> None:
    count = len(result.objects)
    say((str(target), "bold"), f": {count} object{'' if count == 1 else 's'} as {name}")
    tell_losses(name, losses)
