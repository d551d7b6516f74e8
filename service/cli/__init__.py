"""The command line: arguments in, files and exit codes out. Nothing heavy is imported before a command needs it."""

from .app import main

__all__ = ["main"]
