"""What is known of one photo, as bytes that stand by themselves.

    {"image": {"name", "width", "height", "sha256", "orientation"}, "key", "file_sha256", "objects": [...]}

is UTF-8 JSON; `image` and `objects` are those of `formats.schema`. `name` is relative to the folder of photos, with "/"
between folders; `key` is the sample's in the tar; `image.sha256` is of the upright pixels, as in all formats,
`file_sha256` of the file's bytes. What made the masks is not in it: that is the same for all photos of a run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ...models.errors import OutputError
from ..formats.result import Result
from ..formats.schema import SCHEMA, object_document, to_document
from ..formats.text import encode_document
from ..version import version

Document = dict[str, Any]


def encode(result: Result, key: str, file_sha256: str) -> bytes:
    """The payload of a photo. Raises OutputError when names or labels hold more than JSON can say."""
    image = to_document(Result(result.width, result.height, picture=result.picture, name=result.name))["image"]
    objects = [object_document(item) for item in result.objects]
    return dump({"image": image, "key": key, "file_sha256": file_sha256, "objects": objects})


def dump(document: Document) -> bytes:
    """The same bytes for the same document, whether it is new or was read from a shard."""
    try:
        return json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError) as error:
        raise OutputError(f"the result cannot be written as JSON: {error}") from None


def load(payload: bytes) -> Document:
    """The document that `dump` wrote."""
    return json.loads(payload)


def to_json_file(document: Document, provenance: Mapping[str, object]) -> bytes:
    """The document as `--format json` writes it, one line an object."""
    head = {"clickmask": version(), "schema": SCHEMA, "image": document["image"], "provenance": dict(provenance)}
    return encode_document(head, "objects", document["objects"])
