"""The options of `clickmask batch`: names, help, environment variables."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from .batch_workers import parse_devices
from .options import FLAG

_ASK, _RESULT, _RUN = "What to look for (one of these)", "The result", "The run"

Photos = Annotated[
    str,
    typer.Argument(
        metavar="PHOTOS",
        help="A folder, with all in it; a zip or tar file; in quotes a pattern, 'photos/**/*.jpg'; @list.txt, one path "
        "a line; or a URL in cloud storage, s3://bucket/photos.",
    ),
]
Out = Annotated[
    str,
    typer.Argument(
        metavar="OUT", help="A folder for the results: new, or of an earlier run; or a URL, such as s3://bucket/masks."
    ),
]

Everything = Annotated[
    bool, typer.Option("--everything", metavar=FLAG, help="All objects in each photo.", rich_help_panel=_ASK)
]
Search = Annotated[
    list[str] | None,
    typer.Option(
        "--search",
        metavar="NAME=VALUE",
        help="An option of --everything, as Python names it: points_per_side=16, tiles=auto, min_area=200, ... "
        "Give as many as you like.",
        rich_help_panel=_ASK,
    ),
]
Subject = Annotated[
    bool,
    typer.Option(
        "--subject",
        metavar=FLAG,
        help="The one thing each photo is of, without a click; no object where there is none to be sure of.",
        rich_help_panel=_ASK,
    ),
]
Point = Annotated[
    Literal["center"] | None,
    typer.Option("--point", metavar="center", help="The object in the middle of each photo.", rich_help_panel=_ASK),
]
Box = Annotated[
    Literal["full"] | None,
    typer.Option("--box", metavar="full", help="The object that fills each photo.", rich_help_panel=_ASK),
]
Prompts = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Points, boxes and labels from JSON Lines or CSV, one object a line: image, points, labels, box, label. "
        "Or the boxes of a COCO file, of a detector (instances.json,results.json), or of a folder of YOLO's labels.",
        rich_help_panel=_ASK,
    ),
]
Formats = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="NAME,NAME",
        help="One or more of png (masks), cutout, overlay, json, coco (one document of all photos), labelme, "
        "shards (Parquet and tars of many photos), embedding, and what else there is. Without it png.",
        envvar="CLICKMASK_BATCH_FORMAT",
        rich_help_panel=_RESULT,
    ),
]
Polygons = Annotated[
    bool,
    typer.Option(
        "--polygons",
        metavar=FLAG,
        help="Outlines instead of run lengths, in coco.",
        rich_help_panel=_RESULT,
    ),
]
Tolerance = Annotated[
    float,
    typer.Option(min=0.0, metavar="PIXELS", help="How much simpler outlines may be made.", rich_help_panel=_RESULT),
]
ShardSize = Annotated[
    int,
    typer.Option(min=1, metavar="N", help="Photos in each file of the format shards.", rich_help_panel=_RESULT),
]
ShardPhotos = Annotated[
    bool,
    typer.Option(
        "--shard-photos",
        metavar=FLAG,
        help="Have the photos themselves in the tars of the format shards.",
        rich_help_panel=_RESULT,
    ),
]
ShardOption = Annotated[
    str,
    typer.Option(
        "--shard",
        metavar="I/N",
        help="Do part I of N, such as 2/3: on as many machines as you like, one OUT. The last to end joins the parts.",
        envvar="CLICKMASK_BATCH_SHARD",
        rich_help_panel=_RUN,
    ),
]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume/--restart",
        metavar=FLAG,
        help="Go on where an earlier run was stopped, or delete its results and begin anew.",
        rich_help_panel=_RUN,
    ),
]
Pilot = Annotated[
    int | None,
    typer.Option(
        "--pilot",
        min=1,
        metavar="N",
        help="Do N photos, drawn by lot, and tell how long all would take and how much they would be. "
        "The same command without it does the others.",
        rich_help_panel=_RUN,
    ),
]
Finish = Annotated[
    bool,
    typer.Option(
        "--finish",
        metavar=FLAG,
        help="Join what shards did into the documents about all photos, without work on photos; "
        "refused while some are not done.",
        rich_help_panel=_RUN,
    ),
]
Verify = Annotated[
    bool,
    typer.Option(
        "--verify",
        metavar=FLAG,
        help="Read the files of earlier runs, and make those again that are not as they were written.",
        rich_help_panel=_RUN,
    ),
]
Devices = Annotated[
    str | None,
    typer.Option(
        "--devices",
        metavar="all|NAME,NAME",
        parser=parse_devices,
        help="Work on several devices at once: all (GPUs), or cuda:0,cuda:2.",
        envvar="CLICKMASK_BATCH_DEVICES",
        rich_help_panel=_RUN,
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers",
        metavar="N",
        min=1,
        max=256,
        help="Processes on each device, of some 1 GB each. Unless given: one; on a CPU one a core, at most 8.",
        envvar="CLICKMASK_BATCH_WORKERS",
        rich_help_panel=_RUN,
    ),
]
Ray = Annotated[
    str | None,
    typer.Option(
        "--ray",
        metavar="ADDRESS|local",
        help="Work on a Ray cluster, --workers on it in all; PHOTOS and OUT must be where every machine finds them.",
        envvar="CLICKMASK_BATCH_RAY",
        rich_help_panel=_RUN,
    ),
]
State = Annotated[
    Path | None,
    typer.Option(
        "--state",
        metavar="DIR",
        help="Where a run whose OUT is a URL keeps its journal; by default in your state folder, by OUT's name.",
        envvar="CLICKMASK_BATCH_STATE",
        rich_help_panel=_RUN,
    ),
]
Embed = Annotated[
    bool,
    typer.Option(
        "--embed",
        metavar=FLAG,
        help="No objects: keep what the encoder makes of each photo, for later runs with --embeddings.",
        rich_help_panel=_ASK,
    ),
]
Embeddings = Annotated[
    Path | None,
    typer.Option(
        "--embeddings",
        metavar="DIR",
        help="OUT of a run with --embed on the same PHOTOS: what it holds is not encoded again.",
        rich_help_panel=_RUN,
    ),
]
FastDecode = Annotated[
    bool,
    typer.Option(
        "--fast-decode",
        metavar=FLAG,
        help="Decode of large JPEGs only what the model looks at: quicker, and nearly the same masks. For formats that "
        "do not show the photo.",
        rich_help_panel=_RUN,
    ),
]
