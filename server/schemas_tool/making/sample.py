"""Make the example event that jsonschema-tools generates for a schema which has none.

Place: materialize → HERE; witness begins with such an event where a schema has no examples.
Rules: the same schema gives the same event: every choice is made at 0.15 of its range, as json-schema-faker makes it
with that number in place of a random one. All properties are filled in.
Not here: events that break a rule (witness).
"""

from __future__ import annotations

import math
import re
from typing import Any, Final

CHOICE: Final = 0.15
SAFE_INTEGER: Final = 2**53 - 1
_MOST_DEPTH: Final = 20
_FORMATS: Final = {
    "date-time": "2021-01-01T00:00:00.0Z",
    "date": "2021-01-01",
    "time": "00:00:00Z",
    "uri": "http://example.org",
    "uri-reference": "http://example.org",
    "email": "user@example.org",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "hostname": "example.org",
    "uuid": "33333333-3333-3333-3333-333333333333",
}


def sample_of(schema: Any, depth: int = 0) -> Any:
    """Return an event of a schema without references; it may be invalid where a pattern is not understood."""
    if not isinstance(schema, dict) or depth > _MOST_DEPTH:
        return None if schema is not True else {}
    if schema.get("enum"):
        return schema["enum"][math.floor(CHOICE * len(schema["enum"]))]
    if "const" in schema:
        return schema["const"]
    for keyword in ("oneOf", "anyOf"):
        if schema.get(keyword):
            branch = schema[keyword][0]
            inherited = {"type": schema["type"]} if "type" in schema else {}
            return sample_of({**branch, **inherited} if isinstance(branch, dict) else branch, depth + 1)
    kind = schema.get("type", "object" if "properties" in schema else None)
    if isinstance(kind, list):
        kind = kind[0]
    if kind == "object":
        return _object(schema, depth)
    if kind == "array":
        items = schema.get("items", True)
        count = max(1, schema.get("minItems", 1))
        return [
            sample_of(items[min(at, len(items) - 1)] if isinstance(items, list) else items, depth + 1)
            for at in range(count)
        ]
    return _scalar(kind, schema)


def _scalar(kind: str | None, schema: dict[str, Any]) -> Any:
    if kind in ("integer", "number"):
        return _number(schema, is_integer=kind == "integer")
    if kind == "string":
        return _text(schema)
    return {"boolean": False, "null": None}.get(kind or "", "dolor")


def _object(schema: dict[str, Any], depth: int) -> dict[str, Any]:
    event = {
        name: sample_of(inner, depth + 1) for name, inner in schema.get("properties", {}).items() if inner is not False
    }
    extra = schema.get("additionalProperties")
    if not event and isinstance(extra, dict):
        event["dolorb"] = sample_of(extra, depth + 1)
    for name in schema.get("required", ()):
        event.setdefault(name, "dolor")
    return event


def _number(schema: dict[str, Any], *, is_integer: bool) -> Any:
    low = schema.get("minimum", schema.get("exclusiveMinimum", -SAFE_INTEGER))
    high = schema.get("maximum", schema.get("exclusiveMaximum", SAFE_INTEGER))
    if is_integer:
        return math.floor(CHOICE * (high - low + 1)) + low
    value = CHOICE * (high - low) + low
    return int(value) if float(value).is_integer() else value


def _text(schema: dict[str, Any]) -> str:
    if schema.get("format") in _FORMATS:
        return _FORMATS[schema["format"]]
    if isinstance(schema.get("pattern"), str) and (found := text_of_pattern(schema["pattern"])) is not None:
        return found
    text = "dolor"
    while len(text) < schema.get("minLength", 0):
        text += " dolor"
    return text[: schema.get("maxLength", len(text))]


def text_of_pattern(pattern: str) -> str | None:
    """Return a text for a pattern of plain characters, classes and fixed counts; None for any other."""
    body = pattern.removeprefix("^").removesuffix("$")
    result, at = "", 0
    token = re.compile(r"(\[[^\]^\\]+\]|\\[dw]|[A-Za-z0-9_\- /:])(\{(\d+)(,\d*)?\}|[+*?])?")
    while at < len(body):
        match = token.match(body, at)
        if match is None:
            return None
        count = int(match[3]) if match[3] else 1
        result += _character(match[1]) * count
        at = match.end()
    return result


def _character(piece: str) -> str:
    if piece in ("\\d", "\\w"):
        return "1"
    if len(piece) == 1:
        return piece
    chars: list[str] = []
    for first, last in re.findall(r"(.)(?:-(.))?", piece[1:-1]):
        chars += [chr(code) for code in range(ord(first), ord(last or first) + 1)]
    return sorted(chars)[math.floor(CHOICE * len(chars))] if len(chars) > 1 else chars[0]
