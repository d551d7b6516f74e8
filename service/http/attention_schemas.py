"""The wire of attention: what may be asked about, and how its arrays look, in JSON."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from .schemas import ObjectPrompt, PointXY

MOST_ARRAYS = 64  # in a request

Name = Annotated[str, Field(max_length=80)]


class AttentionRequest(ObjectPrompt):
    """What a prompt's tokens look at in the mask decoder; or, with `patch`, what a patch looks at in the encoder."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"points": [[290, 300]]},
                {"points": [[290, 300]], "arrays": ["walk/token_to_image 3/keys"], "head": 0, "dtype": "float32"},
                {"patch": [290, 300], "arrays": ["0/weights"]},
            ]
        },
    )

    patch: PointXY | None = Field(default=None, description="the patch at this point instead, and no prompt")
    rollout: bool = Field(default=False, description="of the patch, too; of plain ViTs only, and slow on a CPU")
    arrays: Annotated[list[Name], Field(max_length=MOST_ARRAYS, fail_fast=True)] | None = Field(
        default=None,
        description="by name, such as token_to_image, walk/mask/filter, 0/weights; else the weights, or all as npz",
    )
    head: Annotated[int, Field(ge=0, le=63)] | None = Field(
        default=None, description="that head alone, of each array that has heads: this axis is left out"
    )
    at: PointXY | None = Field(
        default=None,
        description="walk/mask/pixels and walk/mask/logits at this point alone, without their first two axes",
    )
    dtype: Literal["float16", "float32"] = Field(default="float16", description="of the arrays in the answer")
    format: Literal["json", "npz"] = Field(default="json", description="npz: a file of NumPy's, in float32")


class ArrayAnswer(BaseModel):
    """An array: its shape, and its numbers in base64, little endian, the last axis fastest."""

    shape: list[int]
    data: str


class BlockAnswer(BaseModel):
    """A block of the encoder; place and corner are (row, column) in its grid."""

    name: str
    stride: int = Field(description="pixels of the model frame to a place")
    place: tuple[int, int] = Field(description="of the patch")
    corner: tuple[int, int] = Field(description="of the first place of its window")


class AttentionAnswer(BaseModel):
    """What was looked at. Of a prompt: tokens, chosen, score; of a patch: blocks, corner."""

    tokens: list[str] | None = Field(default=None, description="their names, in the arrays' order")
    chosen: str | None = Field(default=None, description="the token that the mask came from")
    score: float | None = Field(default=None, description="the mask's predicted IoU")
    blocks: list[BlockAnswer] | None = None
    corner: tuple[int, int] | None = Field(
        default=None, description="(row, column) of the first pixel of the first layer, model frame"
    )
    arrays: dict[str, ArrayAnswer]
    dtype: Literal["float16", "float32"]
    box: tuple[int, int, int, int] = Field(description="what was encoded, in the image's frame")
    scaled: tuple[int, int] = Field(description="(width, height) of it in the model frame of 1024 x 1024")
    provenance: dict[str, Any]
