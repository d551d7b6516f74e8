"""`clickmask batch`: a folder of photos into a folder of results; it may be stopped at any moment."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ...models.errors import StoppedError
from . import batch_options as b
from . import options as o
from .batch_progress import shown
from .batch_told import tell, tell_missing
from .batch_workers import Crew, open_workers
from .checks import check_soft
from .config import ConfigFileHere
from .settings import Settings
from .shell import UNEXPECTED, say, take_sigterm

if TYPE_CHECKING:
    from ..batch.questions import Question
    from ..batch.report import Report
    from ..batch.run import Batch
    from ..batch.settings import Formats
    from ..batch.sources import Scan
    from ..batch.task import Hands

SOME_FAILED = 3


def batch(
    photos: b.Photos,
    out: b.Out,
    everything: b.Everything = False,
    search: b.Search = None,
    subject: b.Subject = False,
    min_confidence: o.MinConfidence = None,
    point: b.Point = None,
    box: b.Box = None,
    prompts: b.Prompts = None,
    embed: b.Embed = False,
    format: b.Formats = None,
    polygons: b.Polygons = False,
    tolerance: b.Tolerance = 0.0,
    pad: o.Pad = 0,
    feather: o.Feather = 0.0,
    soft: o.Soft = False,
    shard_size: b.ShardSize = 10_000,
    shard_photos: b.ShardPhotos = False,
    shard: b.ShardOption = "1/1",
    resume: b.Resume = True,
    verify: b.Verify = False,
    devices: b.Devices = None,
    workers: b.Workers = None,
    ray: b.Ray = None,
    state: b.State = None,
    embeddings: b.Embeddings = None,
    fast_decode: b.FastDecode = False,
    pilot: b.Pilot = None,
    finish: b.Finish = False,
    model: o.Model = "vit_t",
    device: o.Device = "auto",
    precision: o.PrecisionOption = "auto",
    fit: o.FitOption = "auto",
    refine: o.RefineOption = "auto",
    graphs: o.Graphs = False,
    cache_dir: o.CacheDir = None,
    quiet: o.Quiet = False,
    config: ConfigFileHere = None,
) -> None:
    """Segment a folder of photos: any number, in any formats. Stopped or killed, the same command goes on."""
    options = locals()  # the arguments, by name
    _check_question(options)
    take_sigterm()
    planned = _plan(options)
    refine = "off" if planned.question.is_plain else refine
    settings = Settings(model, device, precision, fit, refine, cache_dir, graphs)
    open_hands = partial(open_workers, settings, Crew(options["devices"], workers, ray, planned.most), quiet=quiet)
    report = _finish(planned) if finish else _run(planned, open_hands, quiet=quiet)
    tell(report, quiet=quiet, finished=finish)
    if report.tally.failed:
        raise typer.Exit(SOME_FAILED)


def _check_question(options: Mapping[str, Any]) -> None:
    asked = [f"--{name}" for name in ("everything", "subject", "point", "box", "prompts", "embed") if options[name]]
    if len(asked) != 1:
        given = f"got {' and '.join(asked)}" if asked else "got none"
        ways = "--everything, --subject, --point, --box, --prompts, --embed"
        raise typer.BadParameter(f"say what to look for with one of {ways}: {given}")
    if options["search"] and not options["everything"]:
        raise typer.BadParameter("these are options of --everything", param_hint="'--search'")
    if options["finish"] and (options["pilot"] or not options["resume"] or options["shard"] != "1/1"):
        raise typer.BadParameter(
            "it does no work: give it without --pilot, --restart, --shard", param_hint="'--finish'"
        )
    if options["min_confidence"] is not None and not options["subject"]:
        raise typer.BadParameter("it is an option of --subject", param_hint="'--min-confidence'")


def _plan(options: Mapping[str, Any]) -> Batch:
    """All that can be checked before the model is loaded, checked."""
    from ..batch.run import Batch
    from ..batch.settings import Formats, ShardOptions
    from ..batch.shards import Shard
    from ..batch.sources import scan
    from ..formats import Options
    from .batch_outlet import open_outlet

    names = _names(options["format"], embed=options["embed"])
    pad, feather, soft = (options[name] for name in ("pad", "feather", "soft"))
    check_soft(soft=soft, feather=feather)
    drawn = Options(pad, feather, options["polygons"] or None, options["tolerance"], soft=soft)
    formats = Formats(names, drawn, ShardOptions(options["shard_size"], options["shard_photos"]))
    photos, place = (_everywhere(options[name]) if options["ray"] else options[name] for name in ("photos", "out"))
    shard, out = Shard.parse(options["shard"]), open_outlet(place, options["state"])
    out.check()
    found = scan(photos, options["out"])
    question = _question(options, found)
    restart, pilot = not options["resume"], options["pilot"] or 0
    embeddings = _embeddings(options["embeddings"])
    if options["fast_decode"]:
        _check_fast(question, formats, options)
    return Batch(
        found, question, formats, out, shard, options["verify"], restart, pilot, embeddings, options["fast_decode"]
    )


def _names(text: str | None, *, embed: bool) -> tuple[str, ...]:
    """The names of formats."""
    from ..batch.settings import EMBEDDING

    if embed and text is not None:
        raise typer.BadParameter("it writes embeddings alone: give it without --format", param_hint="'--embed'")
    if text is None:
        return (EMBEDDING,) if embed else ("png",)
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def _everywhere(path: str) -> str:
    """A path that means the same in all folders, and so to processes on other machines."""
    from ..batch.sources import is_url

    return path if path.startswith("@") or is_url(path) else os.path.abspath(path)


def _check_fast(question: Question, formats: Formats, options: Mapping[str, Any]) -> None:
    """Refuse what needs all pixels of a photo."""
    from ..formats import FORMATS

    wants = [name for name in formats.files if FORMATS[name].needs_photo]
    wants += [f"--{name}" for name in ("embed", "embeddings", "shard_photos") if options[name]]
    wants += [
        f"--search {name}" for name in ("tiles", "crop_n_layers") if question.describe().get("everything", {}).get(name)
    ]
    if wants:
        raise typer.BadParameter(f"{', '.join(wants)} need all of the photo", param_hint="'--fast-decode'")


def _embeddings(folder: Path | None) -> Path | None:
    from ..batch.sources import STATE

    if folder is not None and not (folder / STATE).is_dir():
        raise typer.BadParameter(f"{folder} is no OUT of a run with --embed", param_hint="'--embeddings'")
    return None if folder is None else folder.absolute()


def _question(options: Mapping[str, Any], found: Scan) -> Question:
    from ..batch.prompt_file import read_prompts
    from ..batch.questions import Everything, Nothing, Whole, parse_options
    from ..batch.subject_question import Subject

    if options["everything"]:
        return Everything(parse_options(options["search"] or ()))
    if options["embed"]:
        return Nothing()
    if options["subject"]:
        return Subject() if options["min_confidence"] is None else Subject(options["min_confidence"])
    if options["prompts"] is not None:
        wishes = read_prompts(options["prompts"], {source.name for source in found.sources})
        if wishes.note and not options["quiet"]:
            say(wishes.note)
        return wishes
    return Whole(options["point"] or options["box"])


def _finish(planned: Batch) -> Report:
    """Join what is there. What is not there yet is an exit code that scripts can wait by."""
    from ..batch.finish import Missing, finish

    try:
        done = finish(planned, lambda report: None)
    except StoppedError as error:
        say(("Error: ", "bold red"), str(error))
        raise typer.Exit(UNEXPECTED) from error
    if isinstance(done, Missing):
        tell_missing(done)
        raise typer.Exit(SOME_FAILED)
    return done


def _run(planned: Batch, open_hands: Callable[[], AbstractContextManager[Hands]], *, quiet: bool) -> Report:
    from ..batch.run import run_with

    try:
        with shown(quiet=quiet) as show:
            return run_with(planned, open_hands, show)
    except KeyboardInterrupt:
        if not quiet:
            say("What is done is kept: the same command goes on")
        raise
    except StoppedError as error:
        say(("Error: ", "bold red"), str(error))
        raise typer.Exit(UNEXPECTED) from error
