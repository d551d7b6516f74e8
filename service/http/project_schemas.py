"""What is answered about a project."""

from __future__ import annotations

from pydantic import BaseModel, Field


class ProjectPhoto(BaseModel):
    """A photo of the project."""

    id: str
    name: str = Field(description="its path below the project's folder, with slashes")
    bytes: int
    has_work: bool = Field(description="whether work on it is kept")


class ProjectAnswer(BaseModel):
    """The project: a folder of photos."""

    name: str
    photos: list[ProjectPhoto]
    complete: bool = Field(description="false: there are more photos than are listed")
