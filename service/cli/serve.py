"""`clickmask serve`: the HTTP service, from its settings to its exit code."""

from __future__ import annotations

import importlib.util
import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from ...models.errors import MissingExtraError
from . import options as o
from . import serve_limits as limit
from . import serve_options as s
from .config import ConfigFileHere
from .progress import download_bar
from .quantities import Size
from .serve_ray import RayChoice
from .settings import Settings
from .shell import say

if TYPE_CHECKING:
    from ..http.app import AppMaker
    from ..http.settings import ServeSettings
    from ..segmenter import Segmenter

# What the libraries beneath torch read once, when they are loaded. What the caller has set himself stays.
# GNU's OpenMP lets a thread that waits for its helpers run idle for milliseconds, on the very core that a helper may
# need when there is anything else to do: a click then takes up to ten times as long. A short while costs 2 ms of 15.
ENVIRONMENT: Mapping[str, str] = {"GOMP_SPINCOUNT": "500"}

_EXTRA = ("fastapi", "uvicorn", "h11", "multipart", "prometheus_client", "itsdangerous", "jwt", "psutil")
_OPEN_FILES = 65_536  # a connection is a file to the system, and many shells allow 1,024 of them
_ACCESS = ("token_file", "oidc_issuer", "oidc_audience", "oidc_jwks", "identity_header", "public")


def serve(
    host: s.Host = "127.0.0.1",
    port: s.Port = 7860,
    root_path: s.RootPath = "",
    allowed_host: s.AllowedHosts = None,
    origin: s.Origins = None,
    token_file: s.TokenFile = None,
    oidc_issuer: s.OidcIssuer = None,
    oidc_audience: s.OidcAudience = None,
    oidc_jwks: s.OidcJwks = None,
    identity_header: s.IdentityHeader = None,
    public: s.Public = False,
    proxy: s.Proxies = None,
    max_body: limit.MaxBody = limit.BODY,
    max_megapixels: limit.MaxMegapixels = 100.0,
    max_prompts: limit.MaxPrompts = 64,
    max_points: limit.MaxPoints = 64,
    timeout: limit.Timeout = 30.0,
    max_timeout: limit.MaxTimeout = 120.0,
    everything_timeout: limit.EverythingTimeout = 600.0,
    queue: limit.Queue = 64,
    queue_memory: limit.QueueMemory = limit.QUEUE_MEMORY,
    decoders: limit.DecoderCount = 2,
    decoder_memory: limit.DecoderMemory = limit.DECODER_MEMORY,
    decoder_timeout: limit.DecoderTimeout = 10.0,
    store_memory: limit.StoreMemory = None,
    mask_memory: limit.MaskMemory = limit.MASK_MEMORY,
    forget_after: limit.ForgetAfter = 3600.0,
    state_dir: limit.StateDir = None,
    batch_root: s.BatchRoots = None,
    batch_upload: limit.BatchUpload = limit.BATCH_UPLOAD,
    batch_photos: limit.BatchPhotos = 2000,
    batch_disk: limit.BatchDisk = limit.BATCH_DISK,
    batch_queue: limit.BatchQueue = 8,
    batch_keep: limit.BatchKeep = 24 * 3600.0,
    devices: s.Devices = "auto",
    ray: s.Ray = None,
    ray_replicas: s.RayReplicas = None,
    model: o.Model = "vit_t",
    precision: o.PrecisionOption = "auto",
    fit: o.FitOption = "auto",
    refine: o.RefineOption = "auto",
    graphs: o.Graphs = False,
    cache_dir: o.CacheDir = None,
    drain: s.Drain = 30.0,
    log_level: s.LogLevel = "info",
    config: ConfigFileHere = None,
) -> None:
    """Answer over HTTP: many people, one model."""
    require_extra("serve", _EXTRA)
    run_service(locals(), _service_alone, {"docs": "/docs"})


def _service_alone() -> AppMaker:
    from ..http.app import create_app

    return create_app


def require_extra(name: str, modules: Sequence[str] = ()) -> None:
    """Raises MissingExtraError, which says what to install, unless the modules of that command's extra are there."""
    if not all(importlib.util.find_spec(module) for module in (*_EXTRA, *modules)):
        raise MissingExtraError(f"clickmask {name} needs more than is installed: pip install 'clickmask[{name}]'")


def run_service(options: Mapping[str, Any], find_maker: Callable[[], AppMaker], pages: Mapping[str, str]) -> None:
    """Serve an app until it is told to stop; never returns.

    options: those of `serve`, by name. find_maker: imports what makes the app, once all else holds.
    pages: what there is for people, and under which paths.
    """
    if options["refine"] == "views":
        raise typer.BadParameter("views are for Python, segment and batch: others would wait", param_hint="'--refine'")
    settings = serve_settings(options)
    names = ("model", "devices", "precision", "fit", "refine", "cache_dir", "graphs")
    model = Settings(*(options[name] for name in names))
    choice = RayChoice(options["ray"], options["ray_replicas"], options["devices"])
    _serve(settings, model, options["log_level"], find_maker, pages, choice)


def serve_settings(options: Mapping[str, Any]) -> ServeSettings:
    """The service's settings from the options of `serve`, by name. Raises SettingsError for what makes no sense."""
    from ..http.settings import Access, Batches, Decoders, Limits, ServeSettings, Storage, parse_networks

    # Below, a size is a plain number: it may be shown in ways of its own here only.
    options = {name: int(value) if isinstance(value, Size) else value for name, value in options.items()}
    return ServeSettings(
        host=options["host"],
        port=options["port"],
        root_path=options["root_path"],
        drain=options["drain"],
        limits=Limits(
            body=options["max_body"],
            pixels=round(options["max_megapixels"] * 1e6),
            prompts=options["max_prompts"],
            points=options["max_points"],
            queue=options["queue"],
            queue_bytes=options["queue_memory"],
            deadline=options["timeout"],
            longest_deadline=options["max_timeout"],
            everything=options["everything_timeout"],
        ),
        storage=Storage(
            images=options["store_memory"],
            masks=options["mask_memory"],
            idle=options["forget_after"],
            folder=options["state_dir"],
        ),
        decoders=Decoders(options["decoders"], options["decoder_memory"], options["decoder_timeout"]),
        access=Access(
            proxies=parse_networks(options["proxy"] or ()),
            hosts=tuple(options["allowed_host"] or ()),
            origins=tuple(options["origin"] or ()),
            **{name: options[name] for name in _ACCESS},
        ),
        project=options.get("project"),
        batches=Batches(
            roots=tuple(options["batch_root"] or ()),
            upload=options["batch_upload"],
            photos=options["batch_photos"],
            disk=options["batch_disk"],
            queue=options["batch_queue"],
            keep=options["batch_keep"],
        ),
    )


def _serve(
    settings: ServeSettings,
    models: Settings,
    log_level: s.Level,
    find_maker: Callable[[], AppMaker],
    pages: Mapping[str, str],
    choice: RayChoice,
) -> NoReturn:
    """Check and bind first, load second: what cannot work is said at once, and nobody is let in before all is there."""
    from ..http.access.ways import open_callers
    from ..http.hosts import HostList
    from ..http.listener import address, bind
    from ..http.secret import load_secret
    from ..threads import in_own_thread

    HostList(settings.hosts)
    open_callers(settings.access, load_secret(settings.storage.folder))
    sockets = bind(settings.host, settings.port)
    signal.signal(signal.SIGTERM, _stop_loading)
    _prepare_process()
    segmenters = in_own_thread(lambda: _load(models)).result()

    from ..http.log import configure_logging
    from ..http.server import run

    configure_logging(log_level)
    root = settings.root_path
    place = (
        f"{address(settings.host, sockets)}{root} ({', '.join(f'{name}: {root}{at}' for name, at in pages.items())})"
    )
    with choice.encoders(models, segmenters[0].provenance, sockets[0].getsockname()[1]) as encoders:
        signal.signal(signal.SIGTERM, _stop_loading)  # Ray has one of its own
        app = find_maker()(segmenters, settings, encoders=encoders)
        code = run(app, settings, app.state.health, sockets, lambda: _announce(segmenters, place))
    logging.shutdown()
    sys.stderr.flush()
    os._exit(code)  # not by way of the interpreter: a thread still inside torch would abort the process


def _stop_loading(number: int, frame: FrameType | None) -> NoReturn:
    """Nothing is lost yet. Without a handler the first process of a container would not even hear of the wish."""
    sys.exit(0)


def _prepare_process() -> None:
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    few, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if most == resource.RLIM_INFINITY else min(_OPEN_FILES, most)
    if few != resource.RLIM_INFINITY and few < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def _load(models: Settings) -> list[Segmenter]:
    """A segmenter to each device. Raises SettingsError or WeightsError."""
    with download_bar(quiet=not sys.stderr.isatty()) as progress:
        return [replace(models, device=device).segmenter(progress) for device in _devices(models.device)]


def _devices(names: str) -> list[str]:
    if names != "all":
        return names.split(",")
    import torch

    return [f"cuda:{number}" for number in range(torch.cuda.device_count())] or ["auto"]


def _announce(segmenters: Sequence[Segmenter], place: str) -> None:
    """One line: for a person at the terminal, or to the log."""
    told = [segmenter.provenance for segmenter in segmenters]
    where = told[0]["device"] if len(told) == 1 else f"{len(told)} x {told[0]['device']}"
    line = f"clickmask serves {told[0]['model']} on {where} at {place}"
    if sys.stderr.isatty():
        say(line)
    else:
        logging.getLogger("clickmask").info(line)
