"""What a terminal sees: messages on standard error, data on standard output, and the exit code.

0: all well. 1: an unexpected error. 2: arguments or input that cannot be used. 130: interrupted.
"""

from __future__ import annotations

import signal
import sys
import threading
import traceback
from typing import Any

import typer
from rich.console import Console
from rich.text import Text
from typer.core import TyperGroup

from ...models.errors import ClickmaskError, OutputError

UNEXPECTED, BAD_INPUT, INTERRUPTED = 1, 2, 130
STREAM = "-"  # as a file's name: standard input or output


class Shell(TyperGroup):
    """A group of commands whose errors become a line on standard error and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command. Typer's own exceptions pass: they carry their exit code already."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise _failure("interrupted", INTERRUPTED) from None
        except BrokenPipeError:  # whoever read our output has gone; Typer knows what to do
            raise
        except ClickmaskError as error:
            _show_trace(ctx)
            raise _failure(str(error), BAD_INPUT) from error
        except Exception as error:
            if hasattr(error, "exit_code"):
                raise
            _show_trace(ctx)
            advice = "" if ctx.params["debug"] else "; `clickmask --debug ...` shows where it arose"
            what = f"{type(error).__name__}: {error}".strip(": ")
            raise _failure(f"unexpected error: {what} (please report it{advice})", UNEXPECTED) from error


def say(*parts: str | tuple[str, str]) -> None:
    """A line on standard error, of plain text or (text, style) pairs; never folded, so that others can read it."""
    Console(stderr=True).print(Text.assemble(*parts), soft_wrap=True)


def show(*parts: str | tuple[str, str]) -> None:
    """A line on standard output."""
    Console().print(Text.assemble(*parts), soft_wrap=True)


def take_sigterm() -> None:
    """Machines stop programs so: as good as Ctrl-C."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)


def write_stdout(data: bytes) -> None:
    """Write a file's bytes to standard output. Raises OutputError when that cannot be."""
    if sys.stdout is None:
        raise OutputError("standard output is closed")
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"standard output cannot be written: {error.strerror}") from error


def _failure(message: str, code: int) -> typer.Exit:
    say(("Error: ", "bold red"), message)
    return typer.Exit(code)


def _show_trace(ctx: Any) -> None:
    if ctx.params["debug"]:
        say(traceback.format_exc())
