"""Photos found by the names that other files give them, whatever folders stand before."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ...models.errors import PromptError
from .naming import safe


class PhotoNames:
    """The photos' relative names, by their last parts."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(names)
        self._by_last: dict[str, list[str]] = {}
        self._by_own: dict[str, str] = {}  # as our own documents write names that are not safe
        for name in sorted(self._names):
            self._by_last.setdefault(_last(name), []).append(name)
            own = "/".join(map(safe, name.split("/")))
            if own != name:
                self._by_own[own] = name

    def find(self, wanted: str, place: str) -> str:
        """The one photo of that name, or whose path ends so, or with whose path it ends.

        Raises PromptError, naming the `place` where the name stands, for none or several.
        """
        wanted = wanted.replace("\\", "/")
        if wanted in self._names:
            return wanted
        if wanted in self._by_own:
            return self._by_own[wanted]
        found = [name for name in self._by_last.get(_last(wanted), ()) if _ends_alike(name, wanted)]
        if len(found) == 1:
            return found[0]
        if found:
            raise PromptError(f"{place}: {wanted!r} may be {found[0]!r} or {found[1]!r}: give the folders before it")
        raise PromptError(f"{place}: there is no {wanted!r} among the photos; names are relative to PHOTOS")


def index(names: Iterable[str], key: Callable[[str], str]) -> dict[str, list[str]]:
    """Names by what `key` makes of them, in their order."""
    found: dict[str, list[str]] = {}
    for name in sorted(names):
        found.setdefault(key(name), []).append(name)
    return found


def _last(name: str) -> str:
    return name.rpartition("/")[2]


def _ends_alike(one: str, other: str) -> bool:
    return f"/{one}".endswith(f"/{other}") or f"/{other}".endswith(f"/{one}")
