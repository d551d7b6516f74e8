"""The wire of batches: what may be asked, and how far it is, in JSON."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from ...subject.threshold import MIN_CONFIDENCE
from ..everything_schemas import EverythingRequest
from ..schemas import FileFormat

_Path = Annotated[str, Field(min_length=1, max_length=4096)]
_LONGEST_PROMPTS = 8 << 20  # characters

State = Literal["queued", "checking", "running", "stopping", "finished", "stopped", "failed"]


class SubjectRequest(BaseModel):
    """The one thing that each photo is of, without a click."""

    model_config = ConfigDict(extra="forbid")

    min_confidence: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = Field(
        default=MIN_CONFIDENCE, description="what the model is less sure of is not answered; 0 always answers"
    )


class BatchRequest(BaseModel):
    """Segment all photos of a folder at the server, or of an upload: say what to look for in one of five ways."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"photos": "photos/dogs", "out": "photos/dogs_masks", "point": "center", "formats": ["png", "coco"]},
            ]
        },
    )

    photos: _Path | None = Field(default=None, description="a folder, as /v1/folders names it; not for uploads")
    out: _Path | None = Field(
        default=None, description="a folder for the results: new, or of the same batch begun earlier; not for uploads"
    )
    everything: EverythingRequest | None = Field(
        default=None, description="all objects of each photo; without point_grids, floors, format, scale and stream"
    )
    subject: SubjectRequest | None = Field(default=None, description="the one thing that each photo is of")
    point: Literal["center"] | None = Field(default=None, description="the object in the middle of each photo")
    box: Literal["full"] | None = Field(default=None, description="the object that fills each photo")
    prompts: Annotated[str, Field(min_length=1, max_length=_LONGEST_PROMPTS)] | None = Field(
        default=None,
        description="the text of a prompts file: JSON Lines or CSV, one object a line: image, points, labels, box, "
        "label; names of images are relative to the folder",
    )
    formats: Annotated[list[FileFormat], Field(min_length=1, max_length=20)] = ["png"]
    pad: Annotated[int, Field(ge=0, le=10_000)] = 0
    feather: Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)] = 0.0
    polygons: bool = Field(default=False, description="coco: outlines instead of run lengths")
    tolerance: Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)] = Field(
        default=0.0, description="pixels by which outlines may be made simpler"
    )
    verify: bool = Field(default=False, description="read the files of earlier runs, and make spoilt ones again")
    restart: bool = Field(default=False, description="delete the results of earlier runs in `out`, and begin anew")


class BatchFailure(BaseModel):
    """A photo that could not be done."""

    name: str
    kind: str = Field(description="the kind of error")
    reason: str


class BatchResult(BaseModel):
    """A photo that was done lately, and its files below the folder of results."""

    name: str
    files: list[str]


class BatchAnswer(BaseModel):
    """How far a batch is."""

    id: str
    state: State
    photos: str | None = Field(default=None, description="the folder; null for uploads")
    out: str | None = None
    asked: str = Field(description="everything, point, box or prompts")
    formats: list[str]
    ahead: int = Field(default=0, description="batches that go first, of a queued one")
    total: int = Field(default=0, description="photos, and other files that are passed over; 0 until it is counted")
    done: int = 0
    failed: int = 0
    skipped: int = 0
    kept: int = Field(default=0, description="of those done, by an earlier run")
    objects: int = 0
    seconds: float = 0.0
    images_per_second: float = 0.0
    seconds_left: float | None = None
    failures: list[BatchFailure] = Field(default=[], description="the first 100")
    newest: list[BatchResult] = Field(default=[], description="the photos done last, the newest first")
    error: str | None = Field(default=None, description="why it failed")


class BatchList(BaseModel):
    """The caller's batches, the newest first; and whether there are folders to choose from."""

    batches: list[BatchAnswer]
    has_folders: bool
    upload: int = Field(description="bytes of an upload, at most")
    upload_photos: int = Field(description="photos of an upload, at most; 0: none is taken")


class FolderRow(BaseModel):
    """A folder."""

    name: str
    path: str = Field(description="to ask for it, or to name it in a batch")
    photos: int = Field(description="files in it that are called like photos, of the first 10,000 entries")
    has_results: bool = Field(description="whether it holds results of a batch")


class FolderAnswer(BaseModel):
    """A folder's folders; the server's own where no path was given."""

    path: str
    photos: int
    folders: list[FolderRow]
    complete: bool = Field(description="false: there are more folders than are listed")
