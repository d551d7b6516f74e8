"""The wire: what requests and answers look like, in JSON.

Coordinates are pixels of the upright image, x right, y down; boxes end exclusively. Of a window too: its prompts and
masks stay in the frame of the image it is a part of.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from ..formats.names import LONGEST, is_file_name

MOST = 4096  # objects in a request, and points of an object, whatever the settings say

Real = Annotated[float, Field(allow_inf_nan=False)]
Whole = Annotated[int, Field(ge=0)]
PointXY = tuple[Real, Real]
BoxXYXY = tuple[Real, Real, Real, Real]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Format = Literal["rle", "polygons", "png", "logits", "cutout"]
FileFormat = Literal[  # those of `formats.FORMATS`
    "png", "cutout", "overlay", "json", "coco", "labelme", "sa1b", "amg", "yolo", "labelmap", "geojson", "csv"
]  # fmt: skip


def _check_file_name(name: str) -> str:
    if not is_file_name(name):
        message = f"expected a file's name, without a path or control characters, of at most {LONGEST} bytes"
        raise PydanticCustomError("file_name", message)  # pyright: ignore[reportArgumentType]
    return name


FileName = Annotated[str, Field(min_length=1, max_length=LONGEST), AfterValidator(_check_file_name)]


class _Wire(BaseModel):
    model_config = ConfigDict(extra="forbid")  # a field misspelt is an error, not a wish ignored


class InlineLogits(_Wire):
    """An earlier mask's low-res logits: 256 x 256 float16, little endian, row by row, in base64."""

    logits: Annotated[str, Field(min_length=174764, max_length=174764)]


class ObjectPrompt(_Wire):
    """What is known about one object: points, at most one box, at most one earlier mask."""

    points: list[PointXY] = Field(
        default=[], fail_fast=True, description="(x, y); each belongs to the pixel it lies in"
    )
    labels: Annotated[list[Literal[0, 1]], Field(max_length=MOST, fail_fast=True)] | None = Field(
        default=None, description="1 foreground, 0 background; all 1 if absent"
    )
    box: BoxXYXY | None = Field(default=None, description="(x0, y0, x1, y1)")
    previous: Annotated[str, Field(max_length=80)] | InlineLogits | None = Field(
        default=None, description="a mask_id of an earlier answer about this image, or logits"
    )


class Clean(_Wire):
    """Parts and holes below these shares of the object's area are removed and filled."""

    specks: Share = 0.0
    holes: Share = 0.0


class MasksRequest(_Wire):
    """Ask for masks: for each object a list of results, best first."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"objects": [{"points": [[290, 300]]}]},
                {"objects": [{"points": [[290, 300], [40, 40]], "labels": [1, 0], "box": [180, 120, 420, 610]}]},
            ]
        },
    )

    objects: Annotated[list[ObjectPrompt], Field(min_length=1, max_length=MOST, fail_fast=True)]
    multimask: Literal["auto"] | bool = Field(
        default="auto", description="auto: three candidates for one point alone, else one mask"
    )
    limit: Annotated[int, Field(ge=1, le=3)] | None = Field(default=None, description="results an object at most")
    format: Format = "rle"
    scale: Literal["full", "model"] = Field(
        default="full", description="model: masks with their longer side at most 1024, for previews"
    )
    clean: Clean = Clean()
    pad: Annotated[int, Field(ge=0, le=10_000)] = Field(default=0, description="pixels left around a cutout")
    feather: Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)] = Field(
        default=0.0, description="pixels over which a cutout's edge fades"
    )
    refine: Literal["auto", "off", "clicks", "edges"] = Field(
        default="auto",
        description="clicks: each is respected; edges: and edges are the photo's, at scale full; off: plain SAM, as "
        "always with stream; auto: edges at scale full and in cutouts, else clicks",
    )
    stream: Annotated[str, Field(min_length=1, max_length=64)] | None = Field(
        default=None, description="names a page's hovers: the latest wins, older ones are answered 409"
    )
    seq: Whole | None = Field(default=None, description="the hover's number, counting up")


class RleAnswer(BaseModel):
    """COCO's compressed run lengths."""

    size: tuple[int, int] = Field(description="(height, width) of the raster")
    counts: str


class MaskAnswer(BaseModel):
    """One result; of rle, polygons, png, logits and cutout the one that was asked for is there."""

    mask_id: str | None = Field(default=None, description="for `previous`; hovers have none")
    index: int = Field(description="the decoder's order: 0 to 2 of three candidates, else 0")
    score: float = Field(description="predicted IoU")
    stability: float = Field(description="stability score")
    area: int = Field(description="pixels of the image; at scale model an estimate")
    box: tuple[int, int, int, int] | None = Field(description="in the image's frame; null for an empty mask")
    rle: RleAnswer | None = None
    polygons: list[list[list[tuple[float, float]]]] | None = Field(
        default=None, description="parts, each an outer ring and its holes, in the image's frame"
    )
    png: str | None = Field(default=None, description="the mask, black and white, in base64")
    logits: str | None = Field(default=None, description="256 x 256 float16, little endian, in base64")
    cutout: str | None = Field(default=None, description="RGBA PNG, cropped, in base64; null for an empty mask")


class Raster(BaseModel):
    """Where the pixels of rle and png masks lie: so many columns and rows, spread over this box of the image."""

    width: int
    height: int
    box: tuple[int, int, int, int]


class MasksAnswer(BaseModel):
    """For each object its results, best first."""

    objects: list[list[MaskAnswer]]
    raster: Raster
    hover_ms: int | None = Field(description="leave so many milliseconds between hovers; null: stop for some seconds")
    provenance: dict[str, Any] | None = Field(default=None, description="model and settings; at scale full")


class SegmentAnswer(MasksAnswer):
    """The same, and the image's id, under which more may be asked."""

    id: str


class ImageAnswer(BaseModel):
    """An image the server holds for this caller."""

    id: str
    width: int
    height: int
    orientation: int = Field(description="of the file, by EXIF, 1 to 8; it is applied: sizes are the upright image's")
    model: str
    state: Literal["encoding", "ready"] = Field(description="masks may be asked for in both")
    parent: str | None = Field(default=None, description="of a window: the image's id")
    box: tuple[int, int, int, int] | None = Field(default=None, description="of a window: what was encoded")
    provenance: dict[str, Any]
    hover_ms: int | None = Field(description="leave so many milliseconds between hovers; null: stop for some seconds")


class WindowRequest(_Wire):
    """Look at a part of an image more closely: for small things."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"box": [180, 120, 420, 610]}]})

    box: BoxXYXY


class ExportPrompt(_Wire):
    """What was asked to get an object, for the record."""

    points: list[PointXY] = Field(default=[], max_length=MOST, fail_fast=True)
    labels: Annotated[list[Literal[0, 1]], Field(max_length=MOST, fail_fast=True)] | None = None
    box: BoxXYXY | None = None
    previous: bool | str = Field(default=False, description="whether there was an earlier mask; a mask_id will do")


class RleRequest(_Wire):
    """COCO's run lengths, compressed (a string) or as they are."""

    size: tuple[Whole, Whole] = Field(description="(height, width) of the image")
    counts: str | Annotated[list[Whole], Field(fail_fast=True)]


_Label = Annotated[str, Field(max_length=200)]


class ExportObject(_Wire):
    """A finished object."""

    rle: RleRequest
    label: _Label | None = None
    score: Real | None = None
    stability: Real | None = None
    prompt: ExportPrompt | None = None


class ExportRequest(_Wire):
    """Write finished objects: png and cutout one file an object, amg a folder, the others one; several are a zip."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "objects": [{"rle": {"size": [1024, 682], "counts": [307500, 300, 390568]}, "label": "dog"}],
                    "formats": ["png", "json"],
                },
                {
                    "objects": [{"rle": {"size": [1024, 682], "counts": [307500, 300, 390568]}, "label": "dog"}],
                    "formats": ["coco"],
                    "name": "dogs.jpg",
                },
            ]
        },
    )

    objects: Annotated[list[ExportObject], Field(min_length=1, max_length=1000, fail_fast=True)]
    formats: Annotated[list[FileFormat], Field(min_length=1, max_length=20)]
    pad: Annotated[int, Field(ge=0, le=10_000)] = 0
    feather: Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)] = 0.0
    name: FileName | None = Field(
        default=None, description="the image's file name: stands in the documents, and names the files"
    )
    polygons: bool | None = Field(
        default=None,
        description="coco, labelme: outlines (true) or exact pixels (false); null: coco run lengths, labelme outlines",
    )
    tolerance: Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)] = Field(
        default=0.0, description="pixels by which outlines may be made simpler"
    )
    classes: Annotated[list[_Label], Field(max_length=10_000, fail_fast=True)] = Field(
        default=[], description="yolo: the names of the classes in their order; else the labels, sorted"
    )


class SessionRequest(_Wire):
    """Sign in with a token."""

    token: Annotated[str, Field(min_length=1, max_length=16_384)]


class SessionAnswer(BaseModel):
    """Who is signed in now."""

    caller: str


class ModelAnswer(BaseModel):
    """A model there is."""

    name: str
    title: str
    served: bool
    provenance: dict[str, Any] | None = None


class ModelsAnswer(BaseModel):
    """The models there are; the served one answers."""

    models: list[ModelAnswer]


class ErrorDetail(BaseModel):
    """What went wrong: a code for programs, a sentence for people, and where in the request."""

    code: str
    message: str
    field: str | None = None


class ErrorAnswer(BaseModel):
    """Every error looks like this."""

    error: ErrorDetail
