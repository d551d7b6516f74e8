"""`clickmask segment`: one photo, one question, one mask (or its three candidates)."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import typer

from ...models.errors import ImageError
from . import options as o
from .checks import check_soft
from .config import ConfigFileHere
from .losses import tell_losses
from .progress import download_bar
from .question import Question, Rectangle
from .settings import Settings
from .shell import STREAM, UNEXPECTED, say, write_stdout

if TYPE_CHECKING:
    from ..images import Picture
    from ..masks import Mask
    from ..open_image import OpenImage
    from .outputs import Outputs

_CANDIDATES = 3


def segment(
    photo: o.Photo,
    point: o.Points = None,
    box: o.Boxes = None,
    subject: o.Subject = False,
    min_confidence: o.MinConfidence = None,
    window: o.Window = None,
    candidates: o.Candidates = False,
    output: o.Output = None,
    format: o.Format = None,
    force: o.Force = False,
    pad: o.Pad = 0,
    feather: o.Feather = 0.0,
    soft: o.Soft = False,
    clean_specks: o.CleanSpecks = 0.0,
    clean_holes: o.CleanHoles = 0.0,
    model: o.Model = "vit_t",
    device: o.Device = "auto",
    precision: o.PrecisionOption = "auto",
    fit: o.FitOption = "auto",
    refine: o.RefineOption = "auto",
    cache_dir: o.CacheDir = None,
    quiet: o.Quiet = False,
    config: ConfigFileHere = None,
) -> None:
    """Find one object in a photo and write its mask."""
    from ..formats import Options
    from .outputs import plan_outputs

    started = time.monotonic()
    question = Question(tuple(point or ()), _single(box), window, _subject(subject, min_confidence, candidates))
    check_soft(soft=soft, feather=feather)
    inputs = [name for name in (photo, model) if name != STREAM] + _redirected(photo)
    count = _CANDIDATES if candidates else None
    outputs = plan_outputs(
        photo, output, format, Options(pad, feather, soft=soft), count=count, force=force, inputs=inputs
    )
    settings = Settings(model, device, precision, fit, refine, cache_dir)
    masks = _find(photo, question, settings, candidates=candidates, quiet=quiet)
    if clean_specks or clean_holes:
        masks = [mask.clean(clean_specks, clean_holes) for mask in masks]
    _write(masks, outputs, quiet=quiet)
    if not quiet:
        _report(masks, outputs, time.monotonic() - started)


def _redirected(photo: str) -> list[str]:
    """The file that standard input comes from, where the system tells: it is an input too."""
    if photo != STREAM or sys.stdin is None:
        return []
    try:
        name = f"/proc/self/fd/{sys.stdin.fileno()}"
    except OSError:  # not a file of the system
        return []
    return [name] if os.path.isfile(name) else []


def _subject(subject: bool, min_confidence: float | None, candidates: bool) -> float | None:
    """How sure it has to be of the subject; None where that is not what is asked."""
    from ..subject.threshold import MIN_CONFIDENCE

    if min_confidence is not None and not subject:
        raise typer.BadParameter("it is an option of --subject", param_hint="'--min-confidence'")
    if subject and candidates:
        raise typer.BadParameter("--subject has one answer: leave it out", param_hint="'--candidates'")
    return (MIN_CONFIDENCE if min_confidence is None else min_confidence) if subject else None


def _single(boxes: Sequence[Rectangle] | None) -> Rectangle | None:
    if boxes and len(boxes) > 1:
        raise typer.BadParameter("one object has one box: run again for another object", param_hint="'--box'")
    return boxes[0] if boxes else None


def _find(photo: str, question: Question, settings: Settings, *, candidates: bool, quiet: bool) -> list[Mask]:
    picture = _read(photo)
    question.check(*picture.size)  # before torch is imported and the model read
    with download_bar(quiet=quiet) as progress:
        segmenter = settings.segmenter(progress)
    window = None if question.window is None else question.window.sides
    image = segmenter.open(picture, window=window)
    if question.subject is not None:
        return [_find_subject(image, question.subject)]
    points, labels = [(c.x, c.y) for c in question.clicks], [c.label for c in question.clicks]
    box = None if question.box is None else question.box.sides
    if candidates:
        return image.candidates(points, labels, box)
    return [image.segment(points, labels, box)]


def _find_subject(image: OpenImage, min_confidence: float) -> Mask:
    """The subject; without one a line that says why, and an exit code that tells it from success."""
    found = image.subject(min_confidence=min_confidence)
    if found:
        return found
    say(
        ("No subject: ", "bold red"), f"{found.reason} (confidence {found.confidence:.2f}, wanted {min_confidence:.2f})"
    )
    if found.guess is not None:
        say("A lower --min-confidence writes the best guess; --point or --box says what is meant")
    raise typer.Exit(UNEXPECTED)


def _read(photo: str) -> Picture:
    from ..images import read_picture

    if photo != STREAM:
        return read_picture(photo)
    if sys.stdin is None or sys.stdin.isatty():
        raise ImageError("- reads the photo from standard input, but nothing is sent there: add < photo.jpg")
    return replace(read_picture(sys.stdin.buffer, name="standard input"), name=None)


def _write(masks: Sequence[Mask], outputs: Outputs, *, quiet: bool) -> None:
    from ..files import write_atomic
    from ..formats import count_losses, write
    from ..masks import to_result

    for number, mask in enumerate(masks):
        result = to_result([mask], mask.source, mask.provenance)
        data = write(result, f"x{outputs.extension}", outputs.format, outputs.options)
        if outputs.paths:
            write_atomic(outputs.paths[number], data)
        else:
            write_stdout(data)
        if not quiet:
            tell_losses(outputs.format, count_losses(result, outputs.format, outputs.options))


def _report(masks: Sequence[Mask], outputs: Outputs, seconds: float) -> None:
    names = [str(path) for path in outputs.paths] or ["standard output"]
    for mask, name in zip(masks, names, strict=True):
        height, width = mask.pixels.shape
        box = "" if mask.box is None else f" in box {Rectangle(*mask.box)}"
        share = f"{mask.area:,} px ({mask.area / (height * width):.1%} of the photo)"
        found = share if mask.area else "an empty mask, nothing was found there"
        say((name, "bold"), f": {found}{box}, score {mask.score:.2f}, {seconds:.1f} s")
