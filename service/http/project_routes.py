"""Routes about the project: its photos, and the work on each. Where none is configured they do not exist."""

from __future__ import annotations

import asyncio
import re

from fastapi import APIRouter, Request
from starlette.responses import Response

from .errors import ApiError
from .openapi import errors, takes_session
from .project import LARGEST_SESSION, MOST_PHOTOS, Project
from .project_schemas import ProjectAnswer, ProjectPhoto
from .receiving import caller_of, enter, json_answer, service_of

router = APIRouter(prefix="/v1/project", tags=["project"])

_TAG = re.compile(r'"([A-Za-z0-9-]{1,40})"')
_OCTETS, _JSON = "application/octet-stream", "application/json"


@router.get("", response_model=ProjectAnswer, responses=errors())
async def show_project(request: Request) -> Response:
    """The project's photos, in natural order."""
    project = _project_of(request)
    photos = await asyncio.to_thread(project.photos)
    rows = [ProjectPhoto(id=photo.id, name=photo.name, bytes=photo.size, has_work=photo.has_work) for photo in photos]
    return json_answer(ProjectAnswer(name=project.name, photos=rows, complete=len(rows) < MOST_PHOTOS))


@router.get("/photos/{id}", response_class=Response, responses={200: {"content": {_OCTETS: {}}}, **errors(404)})
async def read_photo(request: Request, id: str) -> Response:
    """A photo's file, as it is."""
    project, service = _project_of(request), service_of(request)
    with enter(request):
        data = await service.heavy(caller_of(request), lambda: project.read_photo(id, service.settings.limits.body))
    return Response(data, media_type=_OCTETS)


@router.get(
    "/photos/{id}/session",
    response_class=Response,
    responses={
        200: {"content": {_JSON: {}}, "description": "`ETag` says which version it is."},
        204: {"description": "There is no work on this photo yet."},
        **errors(404),
    },
)
async def read_session(request: Request, id: str) -> Response:
    """The work on a photo, as it was kept last."""
    project = _project_of(request)
    with enter(request):
        session = await service_of(request).heavy(caller_of(request), lambda: project.read_session(id))
    if session is None:
        return Response(status_code=204)
    return Response(session.data, media_type=_JSON, headers={"ETag": f'"{session.tag}"'})


@router.put(
    "/photos/{id}/session",
    status_code=204,
    responses={204: {"description": "It is kept; `ETag` says as which version."}, **errors(404, 412, 422, 428)},
    openapi_extra=takes_session(),
)
async def write_session(request: Request, id: str) -> Response:
    """Keep the work on a photo, in place of the version that `If-Match` names (`If-None-Match: *`: of none)."""
    project, before = _project_of(request), _tag_of(request)
    with enter(request):
        body = await request.body()
        if len(body) > LARGEST_SESSION:
            raise ApiError(413, "body_too_large", f"expected at most {LARGEST_SESSION} bytes of JSON")
        tag = await service_of(request).heavy(caller_of(request), lambda: project.write_session(id, body, before))
    return Response(status_code=204, headers={"ETag": f'"{tag}"'})


def _project_of(request: Request) -> Project:
    return request.app.state.project


def _tag_of(request: Request) -> str | None:
    """Which version is to be replaced; None: there should be none yet. Raises ApiError 428."""
    match, none_match = request.headers.get("if-match"), request.headers.get("if-none-match")
    if match is None and none_match == "*":
        return None
    found = _TAG.fullmatch(match or "")
    if found is None or none_match is not None:
        message = "say which version is to be replaced: If-Match with its ETag, or If-None-Match: *"
        raise ApiError(428, "version_required", message, field="If-Match")
    return found[1]
