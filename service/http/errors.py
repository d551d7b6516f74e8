"""Errors as a caller over HTTP sees them: a status, a code to act on, a sentence to read, and no internals.

{"error": {"code": "image_gone", "message": "...", "field": "objects[0].points"}}
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

from starlette.types import Send

from ...models.errors import ClickmaskError, ImageError, PromptError, SettingsError

Headers = Sequence[tuple[bytes, bytes]]


class ApiError(Exception):
    """An answer that is an error.

    status: of HTTP. code: a stable word for programs. message: for people; names the field, never a path or a trace.
    field: where in the request, such as "objects[0].points". retry_after: seconds after which a repeat makes sense.
    """

    def __init__(
        self, status: int, code: str, message: str, *, field: str | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.field, self.retry_after = status, code, message, field, retry_after

    def as_json(self) -> dict[str, dict[str, str]]:
        """What the answer's JSON holds."""
        error = {"code": self.code, "message": self.message}
        if self.field is not None:
            error["field"] = self.field
        return {"error": error}

    def body(self) -> bytes:
        """The answer's JSON."""
        return json.dumps(self.as_json()).encode()

    def headers(self) -> list[tuple[bytes, bytes]]:
        """The answer's headers, `Retry-After` (whole seconds, at least 1) among them where there is one."""
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(self.body())).encode())]
        if self.retry_after is not None:
            headers.append((b"retry-after", str(max(1, math.ceil(self.retry_after))).encode()))
        return headers


def from_clickmask(error: ClickmaskError, *, field: str | None = None) -> ApiError:
    """What one of our errors means over HTTP: bad images and prompts are the caller's, all else is ours."""
    if isinstance(error, ImageError):
        return ApiError(422, "bad_image", str(error), field=field)
    if isinstance(error, PromptError):
        return ApiError(422, "bad_prompt", str(error), field=field)
    if isinstance(error, SettingsError):
        return ApiError(422, "not_supported", str(error), field=field)
    return ApiError(500, "internal", "the server could not do this; its log, under this request's id, says why")


async def send_error(send: Send, error: ApiError, headers: Headers = ()) -> None:
    """Answer with an error from a plain ASGI middleware, adding `headers`."""
    await send({"type": "http.response.start", "status": error.status, "headers": [*error.headers(), *headers]})
    await send({"type": "http.response.body", "body": error.body()})
