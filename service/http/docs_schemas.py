"""JSON schemas in words and tables, for the page at /docs."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from html import escape
from typing import Any

_Schema = Mapping[str, Any]

_BOUNDS = {  # keyword -> words before its value
    "minimum": "at least",
    "exclusiveMinimum": "more than",
    "maximum": "at most",
    "exclusiveMaximum": "less than",
    "minLength": "length at least",
    "maxLength": "length at most",
    "minItems": "at least this many:",
    "maxItems": "at most this many:",
    "pattern": "matches",
    "default": "default",
}


def schema_anchor(name: str) -> str:
    """Where on the page a schema stands."""
    return "schema-" + re.sub(r"[^A-Za-z0-9]+", "-", name)


def render_type(schema: _Schema) -> str:
    """What a value may be, as HTML: "list of Point", "number or null"."""
    if "$ref" in schema:
        name = _name(schema)
        return f'<a href="#{schema_anchor(name)}">{escape(name)}</a>'
    if "const" in schema:
        return f"<code>{escape(json.dumps(schema['const']))}</code>"
    if "enum" in schema:
        return " or ".join(f"<code>{escape(json.dumps(value))}</code>" for value in schema["enum"])
    for keyword, word in (("anyOf", " or "), ("oneOf", " or "), ("allOf", " and ")):
        if keyword in schema:
            return word.join(render_type(part) for part in schema[keyword])
    return _plain_type(schema)


def _plain_type(schema: _Schema) -> str:
    kind = schema.get("type", "anything")
    if kind == "array" and "prefixItems" in schema:
        return "list: " + ", ".join(render_type(part) for part in schema["prefixItems"])
    if kind == "array":
        return "list of " + render_type(schema.get("items", {}))
    words = " or ".join(kind) if isinstance(kind, list) else str(kind)
    what = schema.get("format") or schema.get("contentMediaType")
    return escape(f"{words} ({what})" if what else words)


def render_schema_table(schema: _Schema) -> str:
    """A schema's properties; its type alone where it has none."""
    if "properties" not in schema:
        return f"<p>{render_type(schema)}</p>"
    rows = "".join(
        f"<tr><td><code>{escape(name)}</code></td><td>{render_type(part)}</td>"
        f"<td>{_remarks(part, name in schema.get('required', ()))}</td></tr>"
        for name, part in schema["properties"].items()
    )
    return f"<table><tr><th>Field</th><th>Type</th><th></th></tr>{rows}</table>"


def _remarks(schema: _Schema, required: bool) -> str:
    """What else is said of a property: its description and its bounds."""
    bounds = [
        f"{words} <code>{escape(json.dumps(schema[keyword]))}</code>"
        for keyword, words in _BOUNDS.items()
        if schema.get(keyword) is not None
    ]
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(schema.get("description", "")))
    notes = ", ".join((["required"] if required else []) + bounds)
    return f"<p>{text}</p>" * bool(text) + f'<p class="dim">{notes}</p>' * bool(notes)


def schema_examples(schema: _Schema, schemas: Mapping[str, Any]) -> list[Any]:
    """A schema's examples, looked up where it refers to another."""
    if "$ref" in schema:
        schema = schemas.get(_name(schema), {})
    return schema["examples"] if "examples" in schema else [schema["example"]] if "example" in schema else []


def _name(schema: _Schema) -> str:
    return str(schema["$ref"]).rpartition("/")[2]
