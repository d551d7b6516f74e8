"""The page at /docs: the OpenAPI document for people to read. One file of HTML: no script, nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import Any
from urllib.parse import urljoin

from .docs_schemas import render_schema_table, render_type, schema_anchor, schema_examples
from .docs_style import STYLE

_DIGEST = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_DIGEST}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_VERBS = ("get", "post", "put", "patch", "delete", "head", "options")
_Operation = tuple[str, str, Mapping[str, Any]]  # verb, path, what OpenAPI says


def render_docs(openapi: Mapping[str, Any], base: str = "http://127.0.0.1:7860") -> tuple[str, str]:
    """The page, and the `Content-Security-Policy` to send with it.

    openapi: the document as a dictionary. base: the service's address, for the examples.
    """
    info, groups = openapi.get("info", {}), _groups(openapi)
    schemas = openapi.get("components", {}).get("schemas", {})
    base = urljoin(base, (openapi.get("servers") or [{}])[0].get("url", "")).rstrip("/")
    title = escape(info.get("title", "API"))
    calls = "".join(
        f"<h2>{escape(name)}</h2>{''.join(_call(operation, schemas, base) for operation in operations)}"
        for name, operations in groups.items()
    )
    page = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head>'
        f'<body><div class="page">{_contents(groups, schemas)}<main><h1>{title}</h1>'
        f'<p class="dim">Version {escape(info.get("version", "unknown"))}</p>'
        f"{_prose(info.get('summary'))}{_prose(info.get('description'))}{calls}{_schemas(schemas)}"
        "</main></div></body></html>"
    )
    return page, _POLICY


def _groups(openapi: Mapping[str, Any]) -> dict[str, list[_Operation]]:
    """The calls by their first tag, in the document's order."""
    groups: dict[str, list[_Operation]] = {}
    for path, item in openapi.get("paths", {}).items():
        for verb in _VERBS:
            if verb in item:
                tag = (item[verb].get("tags") or ["Calls"])[0]
                groups.setdefault(tag, []).append((verb, path, item[verb]))
    return groups


def _contents(groups: Mapping[str, list[_Operation]], schemas: Mapping[str, Any]) -> str:
    parts = [
        (name, [f'<a href="#{_anchor(verb, path)}">{_verb(verb)}{escape(path)}</a>' for verb, path, _ in operations])
        for name, operations in groups.items()
    ]
    if schemas:
        names = [f'<a href="#{schema_anchor(name)}">{escape(name)}</a>' for name in schemas]
        parts.append(("Schemas", names))
    lists = (f"<h2>{escape(name)}</h2><ul>{_each('li', links)}</ul>" for name, links in parts)
    return f"<nav>{''.join(lists)}</nav>"


def _call(operation: _Operation, schemas: Mapping[str, Any], base: str) -> str:
    verb, path, told = operation
    body = told.get("requestBody", {})
    return (
        f'<article id="{_anchor(verb, path)}"><h3>{_verb(verb)}<code>{escape(path)}</code></h3>'
        f'<p class="strong">{_inline(told.get("summary", ""))}</p>{_prose(told.get("description"))}'
        f"{_parameters(told.get('parameters', ()))}{_body(body)}"
        f"<h4>Example</h4><pre><code>{escape(_curl(operation, schemas, base))}</code></pre>"
        f"{_more_bodies(body, schemas)}{_answers(told.get('responses', {}), schemas)}</article>"
    )


def _parameters(parameters: Iterable[Mapping[str, Any]]) -> str:
    rows = [
        (
            f"<code>{escape(one['name'])}</code>",
            escape(one["in"]) + ("" if one.get("required") else ", optional"),
            render_type(one.get("schema", {})),
            _inline(one.get("description", "")),
        )
        for one in parameters
    ]
    return _titled("Parameters", _table(("Name", "In", "Type", ""), rows))


def _body(body: Mapping[str, Any]) -> str:
    """What goes into the body."""
    media = body.get("content", {})
    rows = [(f"<code>{escape(kind)}</code>", render_type(one.get("schema", {}))) for kind, one in media.items()]
    fields = [
        f"<h4>{escape(kind)}</h4>{render_schema_table(one['schema'])}"
        for kind, one in media.items()
        if "properties" in one.get("schema", {})
    ]
    return _titled("Body", _table(("Content type", "Schema"), rows)) + _prose(body.get("description")) + "".join(fields)


def _more_bodies(body: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    """The examples after the first, which the command shows."""
    media = body.get("content", {}).values()
    return _titled("Other bodies", "".join(_example(*one) for kind in media for one in _examples(kind, schemas)[1:]))


def _answers(responses: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    """What may come back; the errors, which are alike in all calls, folded away."""
    good = {status: one for status, one in responses.items() if not str(status).startswith(("4", "5"))}
    bad = {status: one for status, one in responses.items() if status not in good}
    examples = [
        _example(*example)
        for one in good.values()
        for media in one.get("content", {}).values()
        for example in _examples(media, schemas)
    ]
    answers = _titled("Answers", _answer_table(good) + "".join(examples))
    if not bad:
        return answers
    numbers = ", ".join(escape(str(status)) for status in bad)
    return f"{answers}<details><summary>Errors: {numbers}</summary>{_answer_table(bad)}</details>"


def _answer_table(responses: Mapping[str, Any]) -> str:
    rows = []
    for status, response in responses.items():
        kinds = [
            f"<code>{escape(kind)}</code> {render_type(media.get('schema', {}))}"
            for kind, media in response.get("content", {}).items()
        ]
        rows.append((escape(str(status)), _inline(response.get("description", "")), "<br>".join(kinds)))
    return _table(("Status", "", "Content"), rows)


def _examples(media: Mapping[str, Any], schemas: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """(name, value) of each example: of the call itself, else of its schema."""
    named = [(one.get("summary", name), one.get("value")) for name, one in media.get("examples", {}).items()]
    if "example" in media:
        named.insert(0, ("", media["example"]))
    return named or [("", value) for value in schema_examples(media.get("schema", {}), schemas)]


def _curl(operation: _Operation, schemas: Mapping[str, Any], base: str) -> str:
    """A command that does the call."""
    verb, path, told = operation
    words = ["curl", *([] if verb == "get" else ["-X", verb.upper()])]
    words.append(shlex.quote(base + re.sub(r"\{(\w+)\}", lambda match: match[1].upper(), path)))
    for kind, media in list(told.get("requestBody", {}).get("content", {}).items())[:1]:
        value = next((value for _, value in _examples(media, schemas)), {})
        if kind == "application/json":
            words += ["-H 'Content-Type: application/json' \\\n  -d", shlex.quote(json.dumps(value))]
        elif kind == "multipart/form-data":
            words += ["\\\n ", *(f"-F {shlex.quote(field)}" for field in _fields(media, value, schemas))]
        else:
            words += ["\\\n  --data-binary @photo.jpg", "-H", shlex.quote(f"Content-Type: {kind}")]
    return " ".join(words)


def _fields(media: Mapping[str, Any], values: Any, schemas: Mapping[str, Any]) -> Iterator[str]:
    """The fields of a form as curl takes them."""
    for name, schema in media.get("schema", {}).get("properties", {}).items():
        examples = schema_examples(schema.get("contentSchema", schema), schemas)
        example = examples[0] if examples else "..."
        value = values.get(name, example) if isinstance(values, Mapping) else example
        if schema.get("format") == "binary":
            yield f"{name}=@photo.jpg"
        else:
            yield f"{name}={value if isinstance(value, str) else json.dumps(value)}"


def _schemas(schemas: Mapping[str, Any]) -> str:
    if not schemas:
        return ""
    articles = (
        f'<article id="{schema_anchor(name)}"><h3><code>{escape(name)}</code></h3>'
        f"{_prose(schema.get('description'))}{render_schema_table(schema)}</article>"
        for name, schema in schemas.items()
    )
    return f"<h2>Schemas</h2>{''.join(articles)}"


def _titled(title: str, content: str) -> str:
    return f"<h4>{title}</h4>{content}" if content else ""


def _table(heads: Iterable[str], rows: list[tuple[str, ...]]) -> str:
    body = "".join(f"<tr>{_each('td', row)}</tr>" for row in rows)
    return f"<table><tr>{_each('th', heads)}</tr>{body}</table>" if rows else ""


def _example(name: str, value: Any) -> str:
    title = f'<p class="dim">{escape(name)}</p>' if name else ""
    return f"{title}<pre><code>{escape(value if isinstance(value, str) else _laid_out(value))}</code></pre>"


def _laid_out(value: Any) -> str:
    """JSON with its innermost lists on one line each."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return re.sub(r"\[\s+([^][{}\"]+?)\s+]", lambda match: f"[{' '.join(match[1].split())}]", text)


def _each(tag: str, texts: Iterable[str]) -> str:
    return "".join(f"<{tag}>{text}</{tag}>" for text in texts)


def _verb(verb: str) -> str:
    return f'<span class="verb {verb}">{verb.upper()}</span>'


def _anchor(verb: str, path: str) -> str:
    return escape(verb + re.sub(r"[^A-Za-z0-9]+", "-", path).rstrip("-"))


def _prose(text: str | None) -> str:
    """Paragraphs."""
    return "".join(f"<p>{_inline(part)}</p>" for part in re.split(r"\n\s*\n", text or "") if part.strip())


def _inline(text: str) -> str:
    """Escaped, with `code` set as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
