"""Results as a JSON file, and back. The shape is `schema.py`'s."""

from __future__ import annotations

import json

from ...models.errors import OutputError, PromptError
from ..images import MAX_PIXELS
from .result import Result
from .schema import from_document, to_document


def write_json(result: Result) -> bytes:
    """UTF-8 JSON, one line an object. Raises OutputError when the provenance holds more than JSON can say."""
    document = to_document(result)
    objects = document.pop("objects")
    try:
        head = json.dumps(document, ensure_ascii=False, allow_nan=False)
        lines = [json.dumps(item, ensure_ascii=False, allow_nan=False) for item in objects]
        listed = "[\n" + ",\n".join(lines) + "\n]" if lines else "[]"
        return f'{head[:-1]}, "objects": {listed}}}\n'.encode()
    except (TypeError, ValueError) as error:
        raise OutputError(f"the result cannot be written as JSON: {error}") from None


def read_json(data: bytes, *, max_pixels: int = MAX_PIXELS) -> Result:
    """The result that `write_json` wrote, without its picture; masks come from their RLEs.

    Raises PromptError, naming the field, when `data` is no such file or its image has over `max_pixels`.
    """
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise PromptError(f"expected a clickmask JSON file, got something else: {error}") from None
    return from_document(document, max_pixels=max_pixels)
