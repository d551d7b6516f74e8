"""What a scan found, held so compactly that millions fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import overload

from .source import Place, Source

STATE = ".clickmask-batch"  # the folder in an output folder that holds journal, lock, status and parts

_END = b"\0\0"  # sorts before everything that may stand in a name


@dataclass(frozen=True, slots=True)
class Trouble:
    """What cannot be looked at: its relative name, the kind of error, and the reason in words."""

    name: str
    kind: str
    reason: str


class Names(Sequence[str]):
    """The names of sources."""

    def __init__(self, entries: list[bytes]) -> None:
        self._entries = entries

    def __len__(self) -> int:
        return len(self._entries)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return list(map(_own_name, self._entries[index]))
        return _own_name(self._entries[index])

    def __iter__(self) -> Iterator[str]:
        return map(_own_name, self._entries)


class Sources(Sequence[Source]):
    """Sources in the order of their names, each made when it is asked for.

    Held is one piece of bytes a source: its key (see `key_of`), the number of its place, and what the place wants to
    know of it.
    """

    def __init__(self) -> None:
        self._entries: list[bytes] = []
        self._places: list[Place] = []

    def place(self, place: Place) -> bytes:
        """Make a place known; what is given back stands for it in `add`."""
        self._places.append(place)
        return _END + (len(self._places) - 1).to_bytes(2)

    def add(self, key: bytes, place: bytes, extra: bytes = b"") -> None:
        """One more. Of two with the same key, that with the greater `extra` will count."""
        self._entries.append(key + place + extra)

    def seal(self) -> list[str]:
        """Sort; give back the names that came more than once, each as often as it is dropped."""
        self._entries.sort()
        kept, twins, before = [], [], None
        for entry in self._entries:
            key = entry[: entry.index(_END) + 2]
            if key == before:
                twins.append(_name(key[:-2]))
                kept[-1] = entry
            else:
                kept.append(entry)
            before = key
        self._entries = kept
        return twins

    def keep(self, is_wanted: Callable[[Source], bool]) -> None:
        """Forget all but those."""
        self._entries = [entry for entry in self._entries if is_wanted(self._source(entry))]

    def drop(self, folder: bytes) -> None:
        """Forget all below a folder, given by its key."""
        below, itself = folder + b"\0", folder + _END
        self._entries = [entry for entry in self._entries if not entry.startswith(below) or entry.startswith(itself)]

    def __len__(self) -> int:
        return len(self._entries)

    @overload
    def __getitem__(self, index: int) -> Source: ...
    @overload
    def __getitem__(self, index: slice) -> list[Source]: ...
    def __getitem__(self, index: int | slice) -> Source | list[Source]:
        if isinstance(index, slice):
            return [self._source(entry) for entry in self._entries[index]]
        return self._source(self._entries[index])

    def __iter__(self) -> Iterator[Source]:
        return map(self._source, self._entries)

    @property
    def names(self) -> Names:
        """Their names, in the same order, each made when it is asked for."""
        return Names(self._entries)

    def _source(self, entry: bytes) -> Source:
        end = entry.index(_END)
        place = self._places[int.from_bytes(entry[end + 2 : end + 4])]
        return place.source(_name(entry[:end]), entry[end + 4 :])


@dataclass
class Scan:
    """Files in their order; folders and files that could not be read; and what was passed over, with the reason."""

    sources: Sources = field(default_factory=Sources)
    failed: list[Trouble] = field(default_factory=list)
    skipped: list[Trouble] = field(default_factory=list)


def key_of(name: str) -> bytes:
    """The bytes by which names are sorted, byte by byte, folder by folder: a zero byte for each slash."""
    return name.encode("utf-8", "surrogateescape").replace(b"/", b"\0")


def _own_name(entry: bytes) -> str:
    return _name(entry[: entry.index(_END)])


def _name(key: bytes) -> str:
    return key.replace(b"\0", b"/").decode("utf-8", "surrogateescape")


def why(error: Exception) -> str:
    """An error's reason, in few words."""
    return str(getattr(error, "strerror", None) or error)
