"""From a reply that is an error to the error that is raised: the same, where there is one, as in process."""

from __future__ import annotations

import json

from ...models.errors import AccessError, ClickmaskError, ImageError, PromptError, ServiceError, ServiceUnavailableError
from .transport import Reply

_AS_IN_PROCESS: dict[str, type[ClickmaskError]] = {"bad_prompt": PromptError, "bad_image": ImageError}
_BY_STATUS: dict[int, type[ServiceError]] = {
    401: AccessError,
    403: AccessError,
    429: ServiceUnavailableError,
    502: ServiceUnavailableError,
    503: ServiceUnavailableError,
    504: ServiceUnavailableError,
}


def to_error(reply: Reply, address: str, advice: str = "") -> ClickmaskError:
    """The error that a reply of status 300 and up means: PromptError, ImageError, or a ServiceError that says more."""
    told = _told(reply)
    code, message = told.get("code"), told.get("message")
    if not isinstance(message, str):
        message = f"{address} answered {reply.status} and no more{_guess(reply)}"
    if code in _AS_IN_PROCESS:
        return _AS_IN_PROCESS[code](message)
    request_id = reply.headers.get("x-request-id")
    trace = f" (request {request_id})" if request_id else ""
    kind = _BY_STATUS.get(reply.status, ServiceError)
    text = f"{message}{advice}{trace}"
    return kind(text, status=reply.status, code=code, field=told.get("field"), request_id=request_id)


def is_gone(error: ServiceError) -> bool:
    """Whether the server holds something no more, or never did as far as it knows: 410 and 404."""
    return error.status in (404, 410)


def is_mask_gone(error: ServiceError) -> bool:
    """Whether it is an earlier mask that is gone, not the image."""
    return is_gone(error) and (error.code == "mask_gone" or (error.field or "").endswith("previous"))


def _told(reply: Reply) -> dict[str, str]:
    try:
        error = json.loads(reply.body)["error"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    return error if isinstance(error, dict) else {}


def _guess(reply: Reply) -> str:
    if 300 <= reply.status < 400:
        return f": it has moved to {reply.headers.get('location', 'elsewhere')}, give the client that address"
    if reply.status in (404, 405):
        return ": is this the address of a clickmask service, sub-path included?"
    return ""
