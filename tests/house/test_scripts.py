"""The page's scripts are written in one manner, as the Python is: no tool of theirs is needed to keep it so."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

WIDTH = 120
LINES_OF_A_FILE = 300

# A token that may hold quotes. A slash begins a regular expression where no value can stand before it; the text between
# `${` and `}` in a template is looked through as code is.
_TOKEN = re.compile(
    r"""(?P<comment>//[^\n]*|/\*.*?\*/)
    |(?P<text>'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*")
    |(?P<regex>(?:(?<=[(,=:\[!&|?{};>+\n])|(?<=return))\s*/(?![/*])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\[\n])+/[a-z]*)
    |(?P<mark>`|\$\{|[{}])
    |(?P<escape>\\.)""",
    re.DOTALL | re.VERBOSE,
)


def test_scripts_are_written_in_one_manner(root: Path) -> None:
    wrong = []
    for path in sorted((root / "ui" / "static").glob("*.js")):
        wrong += [f"{path.name}:{line}: {fault}" for line, fault in faults(path.read_text(encoding="utf-8"))]
    assert not wrong, "\n".join(wrong)


def test_scripts_are_short(root: Path) -> None:
    lengths = {
        path.name: path.read_text(encoding="utf-8").count("\n") for path in (root / "ui" / "static").glob("*.js")
    }
    assert {name: lines for name, lines in lengths.items() if lines > LINES_OF_A_FILE} == {}


@pytest.mark.parametrize(
    "code",
    [
        "const a = 'b';",
        'const a = "it\'s";',
        "const a = `\"${b['c'] ? `\"d\"` : ''}\"`; const e = 'f';",
        "const a = /[\"'`]/.test(b) && c.replace(/\"/g, '');",
        "const a = b / c; // \"d\" / 'e'",
        "/** import(\"./a.js\") */\nconst b = '\\'';",
    ],
)
def test_what_is_well_written_passes(code: str) -> None:
    assert list(faults(f"{code}\n")) == []


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ('const a = "b";\n', "double quotes"),
        ('const a = `${b["c"]}`;\n', "double quotes"),
        ('const a = /`"/; const b = "c";\n', "double quotes"),
        ("const a = 1; \n", "space at the end"),
        ("\tconst a = 1;\n", "tab"),
        (f"const a = '{'b' * WIDTH}';\n", "longer than 120"),
        ("const a = 1;", "no newline at the end"),
    ],
)
def test_what_is_not_is_told(code: str, fault: str) -> None:
    ((line, told),) = faults(code)
    assert line == 1 and fault in told


def faults(code: str) -> Iterator[tuple[int, str]]:
    """(line, what is wrong) of a script."""
    for number, line in enumerate(code.splitlines(), start=1):
        if line != line.rstrip():
            yield number, "a space at the end"
        if "\t" in line:
            yield number, "a tab"
        if len(line) > WIDTH:
            yield number, f"longer than {WIDTH}: {len(line)}"
    for start, text in _texts(code):
        if text[0] == '"' and "'" not in text:
            yield code.count("\n", 0, start) + 1, f"double quotes: {text}"
    if not code.endswith("\n"):
        yield code.count("\n") + 1, "no newline at the end"


def _texts(code: str) -> Iterator[tuple[int, str]]:
    """(where, text with its quotes) of each string; templates are none."""
    inside: list[str] = []  # of what: '`' a template, '{' code within one, or a block
    at = 0
    while found := _TOKEN.search(code, at):
        at = found.end()
        kind, token = found.lastgroup, found.group()
        if inside[-1:] == ["`"] and token[0] not in "`$\\":
            at = found.start() + 1  # in a template only its end, an escape and ${ mean anything
        elif kind == "text":
            yield found.start(), token
        elif token == "`" and inside[-1:] == ["`"]:
            inside.pop()
        elif token in ("`", "{"):
            inside.append(token)
        elif token == "${" and inside[-1:] == ["`"]:
            inside.append("{")
        elif token == "}" and inside:
            inside.pop()
