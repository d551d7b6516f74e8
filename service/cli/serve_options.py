"""The options of `clickmask serve` but for its limits: names, help, environment variables and first checks.

What they mean together is checked by the settings of the HTTP service, before torch is imported.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

import typer

from .options import FLAG
from .quantities import parse_seconds

_WHERE, _WHO, _MODEL, _RUN = "Where it listens", "Who may call", "The model", "Running it"
_PROJECT = "What is worked on"

BatchRoots = Annotated[
    list[Path] | None,
    typer.Option(
        "--batch-root",
        exists=True,
        file_okay=False,
        metavar="DIR",
        help="A folder below which callers may choose photos for a batch, and write its results; as many as you like.",
        envvar="CLICKMASK_BATCH_ROOT",
        rich_help_panel=_PROJECT,
    ),
]
Level = Literal["debug", "info", "warning", "error"]


def parse_devices(text: str) -> str:
    """auto, all, or devices with commas between. Raises BadParameter, which names the option."""
    names = text.split(",")
    known = text == "all" or all(re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", name) for name in names)
    if not known or len(set(names)) < len(names) or ("auto" in names and len(names) > 1):
        raise typer.BadParameter(f"{text!r}: expected auto, all, cpu, mps, cuda, or different ones as in cuda:0,cuda:1")
    return text


Host = Annotated[
    str,
    typer.Option(
        metavar="ADDRESS",
        help="The address to listen on. Others than this machine's own need a choice of who may call.",
        envvar="CLICKMASK_HOST",
        rich_help_panel=_WHERE,
    ),
]
Port = Annotated[
    int,
    typer.Option(
        min=0,
        max=65535,
        metavar="NUMBER",
        help="The port to listen on; 0 lets the system choose.",
        envvar="CLICKMASK_PORT",
        rich_help_panel=_WHERE,
    ),
]
RootPath = Annotated[
    str,
    typer.Option(
        metavar="/PATH",
        help="The sub-path under which a proxy shows the service.",
        envvar="CLICKMASK_ROOT_PATH",
        rich_help_panel=_WHERE,
    ),
]
AllowedHosts = Annotated[
    list[str] | None,
    typer.Option(
        "--allowed-host",
        metavar="NAME",
        help="A host name to answer to, such as masks.example.com; as many as you like. Without it: this machine's "
        "own names where only this machine may call, else any.",
        envvar="CLICKMASK_ALLOWED_HOST",
        rich_help_panel=_WHERE,
    ),
]
Origins = Annotated[
    list[str] | None,
    typer.Option(
        "--origin",
        metavar="URL",
        help="Another web origin whose pages may call, such as https://app.example.com; as many as you like.",
        envvar="CLICKMASK_ORIGIN",
        rich_help_panel=_WHERE,
    ),
]
TokenFile = Annotated[
    Path | None,
    typer.Option(
        exists=True,
        dir_okay=False,
        metavar="FILE",
        help="Callers are who knows a token of this file: lines name:token.",
        envvar="CLICKMASK_TOKEN_FILE",
        rich_help_panel=_WHO,
    ),
]
OidcIssuer = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Callers are who the company login at this address signed a token for.",
        envvar="CLICKMASK_OIDC_ISSUER",
        rich_help_panel=_WHO,
    ),
]
OidcAudience = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="For whom such tokens must have been made.",
        envvar="CLICKMASK_OIDC_AUDIENCE",
        rich_help_panel=_WHO,
    ),
]
OidcJwks = Annotated[
    str | None,
    typer.Option(
        metavar="URL|FILE",
        help="The keys that such tokens are verified with. Without it those that the issuer publishes.",
        envvar="CLICKMASK_OIDC_JWKS",
        rich_help_panel=_WHO,
    ),
]
IdentityHeader = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Callers are who a proxy (--proxy) names in this header.",
        envvar="CLICKMASK_IDENTITY_HEADER",
        rich_help_panel=_WHO,
    ),
]
Public = Annotated[
    bool,
    typer.Option(
        "--public",
        metavar=FLAG,
        help="Everybody may call; each browser sees its own images only.",
        envvar="CLICKMASK_PUBLIC",
        rich_help_panel=_WHO,
    ),
]
Proxies = Annotated[
    list[str] | None,
    typer.Option(
        "--proxy",
        metavar="ADDRESS",
        help="A proxy whose forwarded headers are believed, such as 10.0.0.7 or 10.1.0.0/16; as many as you like.",
        envvar="CLICKMASK_PROXY",
        rich_help_panel=_WHO,
    ),
]
Project = Annotated[
    Path | None,
    typer.Option(
        exists=True,
        file_okay=False,
        metavar="DIR",
        help="A folder of photos to work on: they are in the film strip, and the work is kept in its .clickmask "
        "folder. Everybody who may call shares it.",
        envvar="CLICKMASK_PROJECT",
        rich_help_panel=_PROJECT,
    ),
]
Devices = Annotated[
    str,
    typer.Option(
        "--devices",
        "--device",
        parser=parse_devices,
        metavar="NAMES",
        help="auto (a GPU where there is one), all (every GPU), cpu, mps, or several: cuda:0,cuda:1.",
        envvar=["CLICKMASK_DEVICES", "CLICKMASK_DEVICE"],
        rich_help_panel=_MODEL,
    ),
]
Ray = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Encode on a Ray cluster: its address, auto, or local for one of this machine alone.",
        envvar="CLICKMASK_RAY",
        rich_help_panel=_MODEL,
    ),
]
RayReplicas = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="NUMBER",
        help="How many replicas on the cluster hold the model; otherwise one for each GPU, or else for each machine.",
        envvar="CLICKMASK_RAY_REPLICAS",
        rich_help_panel=_MODEL,
    ),
]
Drain = Annotated[
    float,
    typer.Option(
        parser=parse_seconds,
        metavar="SECONDS",
        help="How long what was admitted may still take once a stop is asked for.",
        envvar="CLICKMASK_DRAIN",
        rich_help_panel=_RUN,
    ),
]
LogLevel = Annotated[
    Level,
    typer.Option(
        metavar="NAME",
        help="debug, info, warning or error; one line a request at info.",
        envvar="CLICKMASK_LOG_LEVEL",
        rich_help_panel=_RUN,
    ),
]
