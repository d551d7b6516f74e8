"""What is asked of every photo: everything, its middle, its whole, or what a file of prompts says."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ...models.errors import PromptError, SettingsError
from ..everything.options import Choice, Search, build, split
from ..formats.result import UNLABELLED, ObjectResult
from ..prompts import Prompt
from .box_wish import BoxWish

if TYPE_CHECKING:  # whoever only plans need not wait for torch
    from ..masks import BaseMask
    from ..open_image import OpenImage


@dataclass(frozen=True, eq=False)
class Wish:
    """One object to be found, what to call it, and where that was said: "prompts.csv, line 3" or nothing."""

    prompt: Prompt
    label: str | None = None
    place: str = ""

    @property
    def category(self) -> str:
        """The label, for formats that want one of everything."""
        return self.label if self.label and not self.label.isspace() else UNLABELLED

    def prompt_on(self, size: tuple[int, int]) -> Prompt:
        """The prompt for a photo of (width, height)."""
        return self.prompt

    def describe(self) -> dict[str, Any]:
        """What is asked, as plain values."""
        return self.prompt.describe()


@dataclass(frozen=True, eq=False)
class Answer:
    """A mask, and the label that was asked for."""

    mask: BaseMask
    label: str | None = None

    def to_object(self, number: int, *, alone: bool) -> ObjectResult:
        """As writers take it; of several masks only the run lengths are held, which are small."""
        mask = self.mask
        pixels = mask.pixels if alone else mask.rle()
        asked, window = mask.prompt.describe(), mask.frame.window
        return ObjectResult(pixels, mask.score, mask.stability, number, self.label, asked, window)


class Asks(Protocol):
    """What finds the objects of a photo."""

    def ask(self, name: str, image: OpenImage) -> list[Answer]:
        """The objects in the photo of this relative name. Raises PromptError."""
        ...


class Question(Asks, Protocol):
    """What is asked of every photo. is_plain: by masks that are the decoder's own, whatever `refine` is."""

    @property
    def is_plain(self) -> bool: ...

    def part(self, name: str) -> Asks:
        """What is asked of this photo; small, and picklable."""
        ...

    def concerns(self, name: str) -> bool:
        """Whether anything is asked of this photo."""
        ...

    def labels(self) -> list[str]:
        """What the objects may be called, each name once, sorted."""
        ...

    def describe(self) -> dict[str, Any]:
        """The question as plain values: the same for the same question."""
        ...


class AskedOfAll:
    """A question that is the same for every photo, and by which nobody says what the objects are."""

    is_plain = False

    def ask(self, name: str, image: OpenImage) -> list[Answer]:
        """As each of these questions does."""
        raise NotImplementedError

    def part(self, name: str) -> Asks:
        """The same for all."""
        return self

    def concerns(self, name: str) -> bool:
        """It is asked of all."""
        return True

    def labels(self) -> list[str]:
        """Nobody says what they are."""
        return [UNLABELLED]


@dataclass(frozen=True)
class Everything(AskedOfAll):
    """All objects; `options` are those of `OpenImage.everything`. Raises SettingsError for wrong ones."""

    is_plain = True
    options: Mapping[str, Any]

    def __post_init__(self) -> None:
        """Check the options now, not at the first photo."""
        search, choice = split(self.options)
        build(Search, search)
        Choice(**choice)

    def ask(self, name: str, image: OpenImage) -> list[Answer]:
        """All objects, the largest first."""
        return [Answer(mask) for mask in image.everything(**self.options)]  # pyright: ignore[reportArgumentType]

    def describe(self) -> dict[str, Any]:
        """The options that were set."""
        return {"everything": dict(sorted(self.options.items()))}


@dataclass(frozen=True)
class Whole(AskedOfAll):
    """One object a photo: a click on its middle ("center"), or a box around all of it ("full")."""

    kind: str

    def ask(self, name: str, image: OpenImage) -> list[Answer]:
        """The one mask."""
        width, height = image.size
        if self.kind == "center":
            return [Answer(image.click(width / 2, height / 2))]
        return [Answer(image.segment(box=(0, 0, width, height)))]

    def describe(self) -> dict[str, Any]:
        """Which of the two."""
        return {"point" if self.kind == "center" else "box": self.kind}


@dataclass(frozen=True)
class Nothing:
    """Nothing is asked: photos are encoded, and that is kept."""

    is_plain = True

    def ask(self, name: str, image: OpenImage) -> list[Answer]:
        """No objects."""
        return []

    def part(self, name: str) -> Asks:
        """The same for all."""
        return self

    def concerns(self, name: str) -> bool:
        """All are encoded."""
        return True

    def labels(self) -> list[str]:
        """There are no objects."""
        return []

    def describe(self) -> dict[str, Any]:
        """That it is nothing."""
        return {"embed": True}


@dataclass(frozen=True, eq=False)
class Wishes:
    """Prompts by the photos' relative names. note: what the file held that is asked of no photo, in words."""

    is_plain = False
    by_name: Mapping[str, Sequence[Wish | BoxWish]]
    note: str = ""

    def ask(self, name: str, image: OpenImage) -> list[Answer]:
        """A mask for each wish, in their order. Raises PromptError, naming the line, for one outside the photo."""
        wishes = self.by_name[name]
        prompts = [wish.prompt_on(image.size) for wish in wishes]
        try:
            masks = image.segment_many(prompts)
        except PromptError:
            for wish, prompt in zip(wishes, prompts, strict=True):
                _ask_alone(wish.place, prompt, image)
            raise
        return [Answer(mask, wish.label) for mask, wish in zip(masks, wishes, strict=True)]

    def part(self, name: str) -> Asks:
        """The prompts of this photo."""
        return Wishes({name: self.by_name[name]})

    def concerns(self, name: str) -> bool:
        """Whether there is a prompt for it."""
        return name in self.by_name

    def labels(self) -> list[str]:
        """Those of the prompts."""
        return sorted({wish.category for wishes in self.by_name.values() for wish in wishes})

    def describe(self) -> dict[str, Any]:
        """A digest of all prompts and labels, whatever the file is called and however it is laid out."""
        digest = hashlib.sha256()
        for name in sorted(self.by_name):
            wishes = [[wish.describe(), wish.label] for wish in self.by_name[name]]
            digest.update(json.dumps([name, wishes]).encode() + b"\n")
        return {"prompts": digest.hexdigest()}


def parse_options(texts: Sequence[str]) -> dict[str, Any]:
    """Options of everything-mode from "name=value" each, values as JSON has them or as plain words.

    Raises SettingsError for a text that is none; what the names and values mean `Everything` checks.
    """
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise SettingsError(f"--search {text!r}: expected NAME=VALUE, such as points_per_side=16 or tiles=auto")
        found[name.strip().replace("-", "_")] = _value(value.strip())
    return found


def _value(text: str) -> Any:
    try:
        return json.loads({"True": "true", "False": "false", "None": "null"}.get(text, text))
    except ValueError:
        return text


def _ask_alone(place: str, prompt: Prompt, image: OpenImage) -> None:
    try:
        image.segment_many([prompt])
    except PromptError as error:
        raise PromptError(f"{place}: {error}") from None
