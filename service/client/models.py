"""Which models a server knows."""

from __future__ import annotations

from typing import Any

from ...models.errors import ServiceError
from .link import Link
from .transport import Request


async def ask_models(link: Link) -> list[dict[str, Any]]:
    """The server's list, a mapping for each model. Raises as `Link.ask` does."""
    answer = await link.ask(Request("GET", "/v1/models"), link.deadline())
    models = answer.get("models")
    if not isinstance(models, list):
        raise ServiceError(f"{link.address} did not answer with a list of models: is it a clickmask service?")
    return models
