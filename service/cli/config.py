"""Settings from a file, for all commands: what a flag or a variable says goes before it.

    model = "vit_b"          # at the top: for every command that has such an option
    device = "cuda"

    [serve]                  # for one command
    port = 8080
    max-body = "32MiB"
    proxy = ["10.1.0.0/16"]

Keys are the options' long names. Secrets are not written here: their options name files.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperOption

_NOT_SETTINGS = {"config", "help", "version"}

_Placed = dict[str, tuple[str, Any]]  # settings, each with the table it stands in


def _use_config(ctx: typer.Context, path: Path | None) -> Path | None:
    """Make a file's settings the commands' defaults, all of them checked. Raises BadParameter naming file and key."""
    if path is not None and not ctx.resilient_parsing:
        root = ctx.find_root()
        defaults = _Config(path, root).defaults(root.command, _read(path))
        for name in _names_below(root, ctx):
            defaults = defaults[name]
        ctx.default_map = defaults
    return path


def _names_below(root: Any, ctx: Any) -> list[str]:
    """By which names of commands one comes from the root down to a context."""
    return [] if ctx is root else [*_names_below(root, ctx.parent), ctx.info_name]


ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        exists=True,
        dir_okay=False,
        metavar="FILE",
        help="Settings from a TOML file: option names at the top, or in tables named by command.",
        envvar="CLICKMASK_CONFIG",
        callback=_use_config,
        is_eager=True,
    ),
]
ConfigFileHere = Annotated[  # the same after a command's name; the variable has been seen to by then
    Path | None,
    typer.Option(
        "--config",
        exists=True,
        dir_okay=False,
        metavar="FILE",
        help="The same as before the command.",
        callback=_use_config,
        is_eager=True,
    ),
]


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise typer.BadParameter(f"{path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{path} is not TOML: {error}") from error


@dataclass(frozen=True)
class _Config:
    """A file's path, for messages, and the context of the whole command line."""

    path: Path
    ctx: Any

    def defaults(self, group: Any, table: dict[str, Any], shared: _Placed | None = None, at: str = "") -> Any:
        """The group's defaults by its parameters' names, with those of its commands under their names."""
        commands = group.commands
        settings = {key: value for key, value in table.items() if not (key in commands and isinstance(value, dict))}
        self._check_keys(settings, [group, *_below(group)], [*commands], at)
        shared = {**(shared or {}), **_place(settings, at)}
        found = self._values(group, shared)
        for name, command in commands.items():
            own = table.get(name, {})
            below = f"{at}.{name}" if at else name
            if hasattr(command, "commands"):
                found[name] = self.defaults(command, own, shared, below)
            else:
                self._check_keys(own, [command], [], below)
                found[name] = self._values(command, {**shared, **_place(own, below)})
        return found

    def _check_keys(self, settings: dict[str, Any], commands: list[Any], tables: list[str], at: str) -> None:
        known = {key for command in commands for key in _options(command)}
        for key, value in settings.items():
            if key not in known:
                near = get_close_matches(key, [*known, *tables], n=1)
                what = "table" if isinstance(value, dict) else "setting"
                raise self._wrong(at, key, f"there is no such {what}" + (f". Did you mean {near[0]}?" if near else ""))

    def _values(self, command: Any, settings: _Placed) -> dict[str, Any]:
        """By parameter name. What does not concern the command is left out; what does is checked."""
        options = _options(command)
        return {
            str(options[key].name): self._checked(options[key], at, key, value)
            for key, (at, value) in settings.items()
            if key in options
        }

    def _checked(self, option: TyperOption, at: str, key: str, value: object) -> object:
        """The value as a variable of the environment would give it, which Typer can use."""
        expected = _mismatch(option, value)
        if expected:
            raise self._wrong(at, key, f"expected {expected}, got {value!r}")
        text = value if isinstance(value, bool | list) else str(value)
        try:
            option.process_value(self.ctx, text)
        except typer.BadParameter as error:
            raise self._wrong(at, key, error.message) from error
        return text

    def _wrong(self, at: str, key: str, what: str) -> typer.BadParameter:
        return typer.BadParameter(f"{self.path}, {f'[{at}] ' if at else ''}{key}: {what}")


def _place(settings: dict[str, Any], at: str) -> _Placed:
    return {key: (at, value) for key, value in settings.items()}


def _options(command: Any) -> dict[str, TyperOption]:
    """A command's settings by the long names of their options, without the dashes."""
    return {
        name.removeprefix("--"): option
        for option in command.params
        if isinstance(option, TyperOption)
        for name in option.opts
        if name.startswith("--") and name.removeprefix("--") not in _NOT_SETTINGS
    }


def _below(group: Any) -> Iterator[Any]:
    for command in getattr(group, "commands", {}).values():
        yield command
        yield from _below(command)


def _mismatch(option: TyperOption, value: object) -> str | None:
    """What was expected instead of a value of this type; None where it fits. What a text means is seen later."""
    if option.is_flag:
        return None if isinstance(value, bool) else "true or false"
    if option.multiple:
        fits = isinstance(value, list) and all(isinstance(one, str) for one in value)
        return None if fits else "a list of texts"
    return None if isinstance(value, str | int | float) and not isinstance(value, bool) else "a text or a number"
