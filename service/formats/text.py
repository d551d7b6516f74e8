"""Documents to JSON text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from ...models.errors import OutputError


def encode_document(head: Mapping[str, object], key: str, items: Iterable[object]) -> bytes:
    """UTF-8 JSON: the fields of `head`, and after them `key`, a list of `items`, one a line.

    Items are taken one by one, so that they need not be in memory together. Raises OutputError when a value is more
    than JSON can say.
    """
    try:
        lines = [_line(item) for item in items]
        listed = b"[\n" + b",\n".join(lines) + b"\n]" if lines else b"[]"
        return _line(head)[:-1] + b", " + _line(key) + b": " + listed + b"}\n"
    except (TypeError, ValueError) as error:
        raise OutputError(f"the result cannot be written as JSON: {error}") from None


def _line(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
