"""What makes a run's results what they are. Results of other settings never lie in one output folder unseen."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ...models.errors import OutputError, SettingsError
from ..family import check_question
from ..files import write_atomic
from ..formats import FORMATS, Options, check_options
from ..provenance import lasting
from ..shards.needs import need_pyarrow
from ..version import version
from .questions import Question

EMBEDDING = "embedding"  # the format that is what the encoder made of a photo, see `embeddings`
SHARDS = "shards"  # the format whose files are of thousands of photos each, see `service.shards`
_LAYOUT = 1  # of names and journal; the next one cannot go on where this one stopped


@dataclass(frozen=True)
class ShardOptions:
    """Of the format "shards": how many photos a shard has, and whether the photos' bytes lie in its tar.

    Raises SettingsError when the size is not positive.
    """

    size: int = 10_000
    photos: bool = False

    def __post_init__(self) -> None:
        """Refuse shards of nothing."""
        if self.size < 1:
            raise SettingsError(f"shard size: expected a whole number from 1 up, got {self.size}")


@dataclass(frozen=True)
class Formats:
    """The formats to write, and their options. Raises OutputError for unknown ones.

    "shards", which is of many photos, is one of them: MissingExtraError where it has not what it needs.
    """

    names: tuple[str, ...]
    options: Options
    shards: ShardOptions = ShardOptions()

    def __post_init__(self) -> None:
        """Refuse unknown names, and options that none of the formats takes."""
        known = ", ".join((*FORMATS, EMBEDDING, SHARDS))
        for name in self.names:
            if name not in FORMATS and name not in (EMBEDDING, SHARDS):
                raise OutputError(f"unknown format {name!r}: expected some of {known}")
        if not self.names:
            raise OutputError(f"no format: expected some of {known}")
        if SHARDS in self.names:
            need_pyarrow()
        elif self.shards != ShardOptions():
            raise OutputError(f"format {self.names[0]} has no shard size or photos: that is for {SHARDS}")
        for option, value in asdict(self.options).items():
            if value != getattr(Options(), option) and not any(option in FORMATS[name].takes for name in self.files):
                check_options((*self.files, "json")[0], self.options)

    @property
    def files(self) -> tuple[str, ...]:
        """Those of `FORMATS`, whose files are about one photo's objects each."""
        return tuple(name for name in self.names if name in FORMATS)

    def of_classes(self, labels: Sequence[str]) -> Formats:
        """With the names that numbers stand for, the same in all photos' files; those that were given stay."""
        takers = [name for name in self.files if "classes" in FORMATS[name].takes]
        if not takers or self.options.classes:
            return self
        return replace(self, options=replace(self.options, classes=tuple(labels)))


def fingerprint(provenance: Mapping[str, Any], question: Question, formats: Formats) -> dict[str, Any]:
    """All that the results depend on beside the photos, as plain values.

    Raises SettingsError for a question that the model does not answer.
    """
    check_question(question.describe(), provenance)
    model = lasting(provenance)
    options: dict[str, Any] = {name: formats.options.of(name) for name in formats.files if FORMATS[name].takes}
    if SHARDS in formats.names:
        options[SHARDS] = asdict(formats.shards)
    written = {"formats": sorted(formats.names), "options": options}
    return {"clickmask": version(), "layout": _LAYOUT, **model, **question.describe(), **written}


def recorded(path: Path, question: Question) -> dict[str, Any]:
    """A segmenter's lasting provenance, as an earlier run wrote it down among its settings."""
    values = json.loads(path.read_bytes())
    others = {"clickmask", "layout", "formats", "options", *question.describe()}
    return {key: value for key, value in values.items() if key not in others}


def agree(path: Path, own: Mapping[str, Any], out: str) -> None:
    """Write the settings down at the first run; later ones must have the same. Raises SettingsError naming each."""
    if not path.exists():
        write_atomic(path, json.dumps(own, indent=1).encode() + b"\n")
        return
    try:
        before = json.loads(path.read_bytes())
    except (OSError, ValueError):
        before = {}
    _compare(before, own, {*before, *own}, out)


def agree_on_question(path: Path, question: Question, formats: Formats, out: str) -> None:
    """Raise SettingsError, naming each, where anything but the model differs from what was written down."""
    own = fingerprint({}, question, formats)
    _compare(json.loads(path.read_bytes()), own, own, out)


def _compare(before: Mapping[str, Any], own: Mapping[str, Any], keys: Iterable[str], out: str) -> None:
    own = json.loads(json.dumps(own))
    changes = [
        f"{key} was {_shown(before, key)}, now {_shown(own, key)}"
        for key in sorted(keys)
        if before.get(key, ...) != own.get(key, ...)
    ]
    if changes:
        raise SettingsError(
            f"{out} holds results of other settings ({'; '.join(changes)}): choose another folder, "
            "go on with the former settings, or begin anew with --restart, which deletes its results"
        )


def _shown(values: Mapping[str, Any], key: str) -> str:
    if key not in values:
        return "not there"
    value = values[key]
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ",".join(map(str, value))
    return json.dumps(value) if isinstance(value, dict) else str(value)
