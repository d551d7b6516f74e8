"""The options of the commands: names, help, environment variables and first checks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .question import Click, Rectangle
from .settings import Fit, Precision, Refine, parse_device, parse_model

_ASK, _RESULT, _MODEL = "What to look for", "The result", "The model"

FLAG = ""  # the metavar of options without a value, which Typer would call <bool>

Photo = Annotated[
    str, typer.Argument(metavar="PHOTO", help="A JPEG, PNG, WebP, BMP, GIF or TIFF; - is standard input.")
]

Points = Annotated[
    list[Click] | None,
    typer.Option(
        "--point",
        metavar="X,Y[,LABEL]",
        parser=Click.parse,
        help="A pixel on the object, or with label 0 beside it. Give as many as you like.",
        rich_help_panel=_ASK,
    ),
]
Boxes = Annotated[
    list[Rectangle] | None,
    typer.Option(
        "--box",
        metavar="X0,Y0,X1,Y1",
        parser=Rectangle.parse,
        help="A box around the object.",
        rich_help_panel=_ASK,
    ),
]
Subject = Annotated[
    bool,
    typer.Option(
        "--subject",
        metavar=FLAG,
        help="The one thing the photo is of, without a click.",
        rich_help_panel=_ASK,
    ),
]
MinConfidence = Annotated[
    float | None,
    typer.Option(
        "--min-confidence",
        min=0.0,
        max=1.0,
        metavar="SHARE",
        help="Of --subject: answer only when at least so sure. Without it 0.5.",
        rich_help_panel=_ASK,
    ),
]
Window = Annotated[
    Rectangle | None,
    typer.Option(
        metavar="X0,Y0,X1,Y1",
        parser=Rectangle.parse,
        help="Look at this part of the photo only, more closely: for small things.",
        rich_help_panel=_ASK,
    ),
]
Candidates = Annotated[
    bool,
    typer.Option(
        "--candidates",
        metavar=FLAG,
        help="Write all three candidates, best first: _1, _2 and _3.",
        rich_help_panel=_ASK,
    ),
]
Output = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="Where to write; - is standard output. Without it PHOTO_mask.png (or _cutout.png, ...) in this folder.",
        rich_help_panel=_RESULT,
    ),
]
Format = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="png (black and white mask), cutout (object on transparent ground), overlay (marked photo), json, coco, "
        "labelme, sa1b, amg (a zip), yolo, labelmap, geojson or csv (measurements). Without it as the name says: "
        ".png, .jpg (overlay), .json, .geojson, .csv, .txt (yolo).",
        rich_help_panel=_RESULT,
    ),
]
Force = Annotated[
    bool,
    typer.Option(
        "--force",
        metavar=FLAG,
        help="Write over files whose names were not given with -o. An input is never written over.",
        rich_help_panel=_RESULT,
    ),
]
Pad = Annotated[
    int, typer.Option(min=0, metavar="PIXELS", help="Pixels left around a cutout.", rich_help_panel=_RESULT)
]
Feather = Annotated[
    float,
    typer.Option(min=0.0, metavar="PIXELS", help="Pixels over which a cutout's edge fades.", rich_help_panel=_RESULT),
]
Soft = Annotated[
    bool,
    typer.Option("--soft", help="Cutouts with soft edges, for hair and fur (extra matting).", rich_help_panel=_RESULT),
]
CleanSpecks = Annotated[
    float,
    typer.Option(
        min=0.0,
        max=1.0,
        metavar="SHARE",
        help="Remove parts below this share of the object's area.",
        rich_help_panel=_RESULT,
    ),
]
CleanHoles = Annotated[
    float,
    typer.Option(
        min=0.0,
        max=1.0,
        metavar="SHARE",
        help="Fill holes below this share of the object's area.",
        rich_help_panel=_RESULT,
    ),
]
Model = Annotated[
    str,
    typer.Option(
        metavar="NAME|FILE",
        parser=parse_model,
        help="A name from `clickmask models`, or a checkpoint (.pth, .pt, .safetensors).",
        envvar="CLICKMASK_MODEL",
        rich_help_panel=_MODEL,
    ),
]
Device = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        parser=parse_device,
        help="auto (a GPU where there is one), cpu, cuda, cuda:1 or mps.",
        envvar="CLICKMASK_DEVICE",
        rich_help_panel=_MODEL,
    ),
]
PrecisionOption = Annotated[
    Precision,
    typer.Option(
        metavar="NAME",
        help="auto, float32, bfloat16, or float16 (GPUs).",
        envvar="CLICKMASK_PRECISION",
        rich_help_panel=_MODEL,
    ),
]
FitOption = Annotated[
    Fit,
    typer.Option(
        metavar="NAME",
        help="auto, square (as SAM pads it) or rectangle (the photo alone: vit_t).",
        envvar="CLICKMASK_FIT",
        rich_help_panel=_MODEL,
    ),
]
Graphs = Annotated[
    bool,
    typer.Option(
        "--graphs",
        metavar=FLAG,
        help="Start the network as CUDA graphs (CUDA GPUs).",
        envvar="CLICKMASK_GRAPHS",
        rich_help_panel=_MODEL,
    ),
]
RefineOption = Annotated[
    Refine,
    typer.Option(
        metavar="NAME",
        help="clicks: respected. edges, which is auto: and those of the photo. views: slower, better. off: plain SAM.",
        envvar="CLICKMASK_REFINE",
        rich_help_panel=_MODEL,
    ),
]
CacheDir = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        file_okay=False,
        help="Where downloaded models are kept.",
        envvar="CLICKMASK_CACHE_DIR",
        rich_help_panel=_MODEL,
    ),
]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", metavar=FLAG, help="Say nothing but errors.", envvar="CLICKMASK_QUIET")
]
