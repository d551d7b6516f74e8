"""`clickmask batch`: a folder of photos into a folder of results; it may be stopped at any moment."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING, Any

import typer

from ...models.errors import StoppedError
from . import batch_options as b
from . import options as o
from .batch_progress import shown
from .batch_workers import open_workers
from .config import ConfigFileHere
from .settings import Settings
from .shell import UNEXPECTED, say

if TYPE_CHECKING:
    from ..batch.questions import Question
    from ..batch.report import Report
    from ..batch.run import Batch
    from ..batch.sources import Scan
    from ..batch.task import Hands

SOME_FAILED = 3
_SHOWN = 5  # failures named on the terminal; all are in the file


def batch(
    photos: b.Photos,
    out: b.Out,
    everything: b.Everything = False,
    search: b.Search = None,
    point: b.Point = None,
    box: b.Box = None,
    prompts: b.Prompts = None,
    format: b.Formats = "png",
    polygons: b.Polygons = False,
    tolerance: b.Tolerance = 0.0,
    pad: o.Pad = 0,
    feather: o.Feather = 0.0,
    shard: b.ShardOption = "1/1",
    resume: b.Resume = True,
    verify: b.Verify = False,
    devices: b.Devices = None,
    workers: b.Workers = None,
    ray: b.Ray = None,
    model: o.Model = "vit_t",
    device: o.Device = "auto",
    precision: o.PrecisionOption = "auto",
    fit: o.FitOption = "auto",
    refine: o.RefineOption = "auto",
    cache_dir: o.CacheDir = None,
    quiet: o.Quiet = False,
    config: ConfigFileHere = None,
) -> None:
    """Segment a folder of photos: any number, in any formats. Stopped or killed, the same command goes on."""
    options = locals()  # the arguments, by name
    _check_question(options)
    settings = Settings(model, device, precision, fit, refine, cache_dir)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # machines stop programs so: as good as Ctrl-C
    report = _run(
        _plan(options), partial(open_workers, settings, options["devices"], workers, quiet=quiet), quiet=quiet
    )
    _tell(report, quiet=quiet)
    if report.tally.failed:
        raise typer.Exit(SOME_FAILED)


def _check_question(options: Mapping[str, Any]) -> None:
    asked = [f"--{name}" for name in ("everything", "point", "box", "prompts") if options[name]]
    if len(asked) != 1:
        given = f"got {' and '.join(asked)}" if asked else "got none"
        raise typer.BadParameter(f"say what to look for with one of --everything, --point, --box, --prompts: {given}")
    if options["search"] and not options["everything"]:
        raise typer.BadParameter("these are options of --everything", param_hint="'--search'")


def _plan(options: Mapping[str, Any]) -> Batch:
    """All that can be checked before the model is loaded, checked."""
    from ..batch.outlet import Folder
    from ..batch.run import Batch
    from ..batch.settings import Formats
    from ..batch.shards import Shard
    from ..batch.sources import scan
    from ..formats import Options

    names = tuple(dict.fromkeys(name.strip() for name in options["format"].split(",") if name.strip()))
    drawn = Options(options["pad"], options["feather"], options["polygons"] or None, options["tolerance"])
    formats, shard = Formats(names, drawn), Shard.parse(options["shard"])
    out = Folder(options["out"])
    out.check()
    found = scan(options["photos"], options["out"])
    question = _question(options, found)
    return Batch(found, question, formats, out, shard, options["verify"], not options["resume"])


def _question(options: Mapping[str, Any], found: Scan) -> Question:
    from ..batch.prompt_file import read_prompts
    from ..batch.questions import Everything, Whole, parse_options

    if options["everything"]:
        return Everything(parse_options(options["search"] or ()))
    if options["prompts"] is not None:
        wishes = read_prompts(options["prompts"], {source.name for source in found.sources})
        if wishes.note and not options["quiet"]:
            say(wishes.note)
        return wishes
    return Whole(options["point"] or options["box"])


def _run(planned: Batch, open_hands: Callable[[], AbstractContextManager[Hands]], *, quiet: bool) -> Report:
    from ..batch.run import run_with

    try:
        with shown(quiet=quiet) as show:
            return run_with(planned, open_hands, show)
    except StoppedError as error:
        say(("Error: ", "bold red"), str(error))
        raise typer.Exit(UNEXPECTED) from error


def _tell(report: Report, *, quiet: bool) -> None:
    """Failures are errors, of which --quiet does not silence the sum."""
    tally = report.tally
    if not quiet:
        kept = f" ({tally.kept:,} of them before)" if tally.kept else ""
        passed = f", {tally.skipped:,} passed over" if tally.skipped else ""
        say(f"{tally.done:,} of {tally.total:,} done{kept}{passed}, {tally.objects:,} objects")
        for trouble in report.failures[:_SHOWN]:
            say(("Failed: ", "red"), f"{_printable(trouble.name)}: {_printable(trouble.reason)}")
    if tally.failed:
        what = "1 photo failed" if tally.failed == 1 else f"{tally.failed:,} photos failed"
        say(f"{what}: {report.failures_path} says which and why; run the same command again to try them once more")


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
