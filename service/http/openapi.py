"""The API's description, from which clients can be generated: routes with the schemas they check by themselves."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from . import schemas
from .attention_schemas import AttentionRequest
from .batches.schemas import BatchRequest
from .everything_schemas import EverythingRequest
from .schemas import ErrorAnswer, ExportRequest, MasksRequest, SessionRequest, WindowRequest

_REF = "#/components/schemas/{model}"
_ERRORS = {
    400: "The request cannot be read.",
    401: "Who calls is not known.",
    403: "The request comes from a page of another origin.",
    404: "There is nothing of this caller's under this id.",
    408: "The body came too slowly.",
    409: "A newer hover of this stream took its place; or the batch has no results yet, or is still at work.",
    410: "The image, the mask or the batch is held no longer: send it again.",
    412: "It has changed since the version that `If-Match` names.",
    413: "The body is too large.",
    415: "Not a kind of image, or of body, that the server reads.",
    422: "The image or the prompt makes no sense; `field` says where.",
    428: "The request does not say which version it is about.",
    429: "This caller sends too much; come again after `Retry-After` seconds.",
    431: "The headers are too large.",
    503: "The server has too much to do, or stops; come again after `Retry-After` seconds.",
    504: "The deadline has passed.",
}


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that may answer so, besides what every route may."""
    always = (400, 401, 403, 408, 413, 415, 429, 431, 503, 504)
    return {status: {"model": ErrorAnswer, "description": _ERRORS[status]} for status in sorted({*statuses, *always})}


def takes(model: type[BaseModel]) -> dict[str, Any]:
    """The `openapi_extra` of a route whose body is this JSON."""
    schema = {"$ref": _REF.format(model=model.__name__)}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def takes_image() -> dict[str, Any]:
    """The `openapi_extra` of the route whose body is an image, raw or in a form."""
    binary = {"schema": {"type": "string", "format": "binary"}}
    content: dict[str, Any] = {"application/octet-stream": binary, "multipart/form-data": _form(["file"])}
    return {"requestBody": {"required": True, "content": content}}


def takes_session() -> dict[str, Any]:
    """The `openapi_extra` of the route whose body is a session file of the page."""
    headers = [
        {"name": name, "in": "header", "required": False, "schema": {"type": "string"}, "description": text}
        for name, text in (("If-Match", "the `ETag` of the version to be replaced"), ("If-None-Match", "`*`: of none"))
    ]
    schema = {"type": "object", "minProperties": 1}
    return {
        "parameters": headers,
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
    }


def takes_batch() -> dict[str, Any]:
    """The `openapi_extra` of the route that begins a batch: JSON about the server's folders, or a form of photos."""
    request = {"$ref": _REF.format(model=BatchRequest.__name__)}
    photo = {"type": "string", "format": "binary"}
    form = {
        "photos": {"type": "array", "items": photo, "minItems": 1, "description": "files; names may hold folders"},
        "request": {
            "type": "string",
            "description": "JSON, without photos and out",
            "contentMediaType": "application/json",
            "contentSchema": request,
        },
    }
    upload = {"schema": {"type": "object", "properties": form, "required": list(form)}}
    content = {"application/json": {"schema": request}, "multipart/form-data": upload}
    return {"requestBody": {"required": True, "content": content}}


def takes_image_and_prompts() -> dict[str, Any]:
    """The `openapi_extra` of the route that does all at once."""
    content = {"multipart/form-data": _form(["file", "prompts"])}
    return {"requestBody": {"required": True, "content": content}}


def describe_api(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, made once."""
    if app.openapi_schema is None:
        document = FastAPI.openapi(app)
        bodies = (
            MasksRequest,
            AttentionRequest,
            EverythingRequest,
            WindowRequest,
            ExportRequest,
            SessionRequest,
            BatchRequest,
        )
        _, definitions = models_json_schema([(body, "validation") for body in bodies], ref_template=_REF)
        components = document["components"]["schemas"]
        components |= definitions["$defs"]
        _leave_out_what_never_comes(document["paths"], components)
        document["components"]["securitySchemes"] = {
            "bearer": {"type": "http", "scheme": "bearer"},
            "session": {"type": "apiKey", "in": "cookie", "name": "clickmask_session"},
        }
        document["security"] = [{}, {"bearer": []}, {"session": []}]
        app.openapi_schema = document
    return app.openapi_schema


def _leave_out_what_never_comes(paths: dict[str, Any], components: dict[str, Any]) -> None:
    """FastAPI's own shape of a 422: every error here has ours."""
    for name in ("HTTPValidationError", "ValidationError"):
        components.pop(name, None)
    for operations in paths.values():
        for operation in operations.values():
            if operation["responses"].get("422", {}).get("description") == "Validation Error":
                del operation["responses"]["422"]


def _form(fields: list[str]) -> dict[str, Any]:
    kinds = {
        "file": {"type": "string", "format": "binary", "description": "the image"},
        "prompts": {
            "type": "string",
            "description": "JSON as for `/v1/images/{id}/masks`",
            "contentSchema": _prompts(),
        },
    }
    return {"schema": {"type": "object", "properties": {name: kinds[name] for name in fields}, "required": fields}}


def _prompts() -> dict[str, str]:
    return {"$ref": _REF.format(model=schemas.MasksRequest.__name__)}
