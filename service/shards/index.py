"""index.json: what there is in a folder of shards, so that nobody need open them to know.

    {"clickmask": "0.1.0", "schema": 1, "provenance": {...}, "photos", "objects", "failed", "labels": {label: objects},
     "shards": [{"number", "first", "last", "photos", "objects", "failed", "labels",
                 "files": {"00000.parquet": {"bytes", "sha256"}, "00000.tar": {...}}}]}

It is there when all shards are as it says, and gone while they are worked on. `photos` counts those in the
shards, `failed` those that could not be done and have no row. `first` and `last` are names of photos. Objects without a
label are not among `labels`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...models.errors import OutputError
from ..formats.schema import SCHEMA
from ..version import version

INDEX = "index.json"


def index_document(shards: Sequence[Mapping[str, Any]], provenance: Mapping[str, object]) -> bytes:
    """The index of shards, each described as above, one a line. The same shards give the same bytes."""
    labels: Counter[str] = Counter()
    for shard in shards:
        labels.update(shard["labels"])
    sums = {name: sum(shard[name] for shard in shards) for name in ("photos", "objects", "failed")}
    head = {"clickmask": version(), "schema": SCHEMA, "provenance": dict(provenance), **sums}
    head["labels"] = dict(sorted(labels.items()))
    lines = ",\n".join(json.dumps(shard, ensure_ascii=False) for shard in shards)
    return f'{json.dumps(head, ensure_ascii=False)[:-1]}, "shards": [\n{lines}\n]}}\n'.encode()


def read_index(folder: Path) -> dict[str, Any]:
    """The index of a folder of shards. Raises OutputError when there is none that can be read."""
    try:
        found = json.loads((folder / INDEX).read_bytes())
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OutputError(f"{folder / INDEX} cannot be read ({reason}): expected a folder of shards") from None
    if not isinstance(found, dict) or found.get("schema") != SCHEMA or "shards" not in found:
        raise OutputError(f"{folder / INDEX} is no index of shards of this version: expected schema {SCHEMA}")
    return found
