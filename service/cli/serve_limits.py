"""The options of `clickmask serve` that limit what is asked for and what is remembered."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .quantities import Size, parse_megapixels, parse_seconds

_REQUEST, _LOAD, _MEMORY = "What one request may ask for", "Load", "What it remembers"
_BATCHES = "Batches of photos"

BODY, QUEUE_MEMORY, MASK_MEMORY, DECODER_MEMORY = Size(64 << 20), Size(1 << 30), Size(256 << 20), Size(3 << 30)
BATCH_UPLOAD, BATCH_DISK = Size(2 << 30), Size(8 << 30)

MaxBody = Annotated[
    Size,
    typer.Option(
        parser=Size.parse,
        metavar="SIZE",
        help="Bytes of one request.",
        envvar="CLICKMASK_MAX_BODY",
        rich_help_panel=_REQUEST,
    ),
]
MaxMegapixels = Annotated[
    float,
    typer.Option(
        parser=parse_megapixels,
        metavar="NUMBER",
        help="Millions of pixels of one image.",
        envvar="CLICKMASK_MAX_MEGAPIXELS",
        rich_help_panel=_REQUEST,
    ),
]
MaxPrompts = Annotated[
    int,
    typer.Option(
        min=1,
        metavar="NUMBER",
        help="Objects in one request.",
        envvar="CLICKMASK_MAX_PROMPTS",
        rich_help_panel=_REQUEST,
    ),
]
MaxPoints = Annotated[
    int,
    typer.Option(
        min=1, metavar="NUMBER", help="Points of one object.", envvar="CLICKMASK_MAX_POINTS", rich_help_panel=_REQUEST
    ),
]
Timeout = Annotated[
    float,
    typer.Option(
        parser=parse_seconds,
        metavar="SECONDS",
        help="How long a request may take that does not say so itself.",
        envvar="CLICKMASK_TIMEOUT",
        rich_help_panel=_REQUEST,
    ),
]
MaxTimeout = Annotated[
    float,
    typer.Option(
        parser=parse_seconds,
        metavar="SECONDS",
        help="How long a request may take that asks for longer.",
        envvar="CLICKMASK_MAX_TIMEOUT",
        rich_help_panel=_REQUEST,
    ),
]
EverythingTimeout = Annotated[
    float,
    typer.Option(
        parser=parse_seconds,
        metavar="SECONDS",
        help="How long a search for all objects of an image may take; then what was found is given.",
        envvar="CLICKMASK_EVERYTHING_TIMEOUT",
        rich_help_panel=_REQUEST,
    ),
]
Queue = Annotated[
    int,
    typer.Option(
        min=1,
        metavar="NUMBER",
        help="Requests admitted at a time; others are told to come again.",
        envvar="CLICKMASK_QUEUE",
        rich_help_panel=_LOAD,
    ),
]
QueueMemory = Annotated[
    Size,
    typer.Option(
        parser=Size.parse,
        metavar="SIZE",
        help="Bytes of their bodies and pixels together.",
        envvar="CLICKMASK_QUEUE_MEMORY",
        rich_help_panel=_LOAD,
    ),
]
DecoderCount = Annotated[
    int,
    typer.Option(
        "--decoders",
        min=1,
        metavar="NUMBER",
        help="Processes that decode images.",
        envvar="CLICKMASK_DECODERS",
        rich_help_panel=_LOAD,
    ),
]
DecoderMemory = Annotated[
    Size,
    typer.Option(
        parser=Size.parse,
        metavar="SIZE",
        help="Memory that each of them may take.",
        envvar="CLICKMASK_DECODER_MEMORY",
        rich_help_panel=_LOAD,
    ),
]
DecoderTimeout = Annotated[
    float,
    typer.Option(
        parser=parse_seconds,
        metavar="SECONDS",
        help="How long an image may take to decode.",
        envvar="CLICKMASK_DECODER_TIMEOUT",
        rich_help_panel=_LOAD,
    ),
]
StoreMemory = Annotated[
    Size | None,
    typer.Option(
        parser=Size.parse,
        metavar="SIZE",
        help="For images, encoded and as they came. Without it a quarter of the free memory, at most 2GiB.",
        envvar="CLICKMASK_STORE_MEMORY",
        rich_help_panel=_MEMORY,
    ),
]
MaskMemory = Annotated[
    Size,
    typer.Option(
        parser=Size.parse,
        metavar="SIZE",
        help="For earlier answers that clicks go on from.",
        envvar="CLICKMASK_MASK_MEMORY",
        rich_help_panel=_MEMORY,
    ),
]
BatchUpload = Annotated[
    Size,
    typer.Option(
        parser=Size.parse,
        metavar="SIZE",
        help="Bytes of the photos that are uploaded for one batch.",
        envvar="CLICKMASK_BATCH_UPLOAD",
        rich_help_panel=_BATCHES,
    ),
]
BatchPhotos = Annotated[
    int,
    typer.Option(
        min=0,
        metavar="NUMBER",
        help="How many photos may be uploaded for one batch; 0: the server takes no uploads of many.",
        envvar="CLICKMASK_BATCH_PHOTOS",
        rich_help_panel=_BATCHES,
    ),
]
BatchDisk = Annotated[
    Size,
    typer.Option(
        parser=Size.parse,
        metavar="SIZE",
        help="Bytes on the disk, in the state folder, of all uploads and their results.",
        envvar="CLICKMASK_BATCH_DISK",
        rich_help_panel=_BATCHES,
    ),
]
BatchQueue = Annotated[
    int,
    typer.Option(
        min=1,
        metavar="NUMBER",
        help="Batches that may wait for the one at work.",
        envvar="CLICKMASK_BATCH_QUEUE",
        rich_help_panel=_BATCHES,
    ),
]
BatchKeep = Annotated[
    float,
    typer.Option(
        parser=parse_seconds,
        metavar="SECONDS",
        help="When a batch that has ended is forgotten, with what was uploaded for it.",
        envvar="CLICKMASK_BATCH_KEEP",
        rich_help_panel=_BATCHES,
    ),
]
ForgetAfter = Annotated[
    float,
    typer.Option(
        parser=parse_seconds,
        metavar="SECONDS",
        help="When an image that nobody asked about is forgotten.",
        envvar="CLICKMASK_FORGET_AFTER",
        rich_help_panel=_MEMORY,
    ),
]
StateDir = Annotated[
    Path | None,
    typer.Option(
        file_okay=False,
        metavar="DIR",
        help="Where the secret is kept that ids and cookies are signed with; several servers share it. Without it the "
        "user's state folder.",
        envvar="CLICKMASK_STATE_DIR",
        rich_help_panel=_MEMORY,
    ),
]
