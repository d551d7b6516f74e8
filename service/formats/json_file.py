"""Results as a JSON file, and back. The shape is `schema.py`'s."""

from __future__ import annotations

from ..images import MAX_PIXELS
from .fields import load
from .result import Result
from .schema import from_document, to_document
from .text import encode_document


def write_json(result: Result) -> bytes:
    """UTF-8 JSON, one line an object. Raises OutputError when the provenance holds more than JSON can say."""
    document = to_document(result)
    return encode_document(document, "objects", document.pop("objects"))


def read_json(data: bytes, *, max_pixels: int = MAX_PIXELS) -> Result:
    """The result that `write_json` wrote, without its picture; masks come from their RLEs.

    Raises PromptError, naming the field, when `data` is no such file or its image has over `max_pixels`.
    """
    return from_document(load(data, "clickmask JSON"), max_pixels=max_pixels)
