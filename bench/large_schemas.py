"""Schemas that grow: one maker for each kind of construct, from harmless to too large.

Place: bench/compiling.py grows them to the bounds and measures; tests/validators/load/test_cost_limits.py holds that
each is refused beyond its bound.
Rule: a maker gives the documents of one schema by their file names, of a size in proportion to ``n`` (or of 2^n, where
references multiply); the first is the schema itself.
Not here: the bounds (validators.load.cost_limits).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

Schema = dict[str, Any]
Documents = dict[str, str]
URI = "/large/1.0.0"

TEXT: Schema = {"type": "string"}


def _properties(n: int, each: Callable[[int], Any]) -> Schema:
    return {"type": "object", "properties": {f"p{i}": each(i) for i in range(n)}}


def _nested(n: int, wrap: Callable[[Any], Schema], innermost: Schema) -> Schema:
    schema = innermost
    for _ in range(n):
        schema = wrap(schema)
    return schema


def _multiplied(n: int, refer: Callable[[Schema], Schema]) -> Schema:
    """Definitions that each refer twice to the next: 2^n ways through them."""
    definitions: Schema = {f"d{i}": refer({"$ref": f"#/definitions/d{i + 1}"}) for i in range(n)}
    definitions[f"d{n}"] = {"type": "object", "properties": {"x": {"type": "string", "default": "x"}}}
    return {"definitions": definitions, "properties": {"r": {"$ref": "#/definitions/d0"}}}


def _pattern(text: str) -> Schema:
    return {"type": "string", "maxLength": 20, "pattern": text}


def _chain(n: int) -> Schema:
    definitions: Schema = {f"d{i}": {"$ref": f"#/definitions/d{i + 1}"} for i in range(n)}
    return {"definitions": {**definitions, f"d{n}": TEXT}, "properties": {"r": {"$ref": "#/definitions/d0"}}}


KINDS: dict[str, Callable[[int], Schema]] = {
    "properties": lambda n: _properties(n, lambda i: TEXT),
    "properties, many keywords": lambda n: _properties(
        n, lambda i: {"type": "integer", "minimum": i, "maximum": i + 9, "multipleOf": 3}
    ),
    "properties, long names": lambda n: {"properties": {f"{i}{'p' * 500}": TEXT for i in range(n)}},
    "a long name": lambda n: {"properties": {"p" * n: _properties(50, lambda i: {"minimum": i, "maximum": 99})}},
    "formats": lambda n: _properties(n, lambda i: {"type": "string", "maxLength": 40, "format": "date-time"}),
    "types": lambda n: _properties(n, lambda i: {"type": ["array", "boolean", "null", "number", "object", "string"]}),
    "required": lambda n: {"required": [f"p{i}" for i in range(n)]},
    "nested objects": lambda n: _nested(n, lambda s: {"type": "object", "properties": {"a": s}}, TEXT),
    "nested arrays": lambda n: _nested(n, lambda s: {"type": "array", "items": s}, TEXT),
    "nested defaults": lambda n: _nested(n, lambda s: {"default": {}, "properties": {"a": s}}, {"default": 1}),
    "enum of texts": lambda n: {"enum": [f"value-{i}" for i in range(n)]},
    "enum of numbers": lambda n: {"enum": list(range(n))},
    "enum of objects": lambda n: {"enum": [{"a": i} for i in range(n)]},
    "enum of arrays, draft-04": lambda n: {
        "$schema": "http://json-schema.org/draft-04/schema#",
        "enum": [[i, [i]] for i in range(n)],
    },
    "enums": lambda n: _properties(n, lambda i: {"type": "string", "enum": ["a", "b", "c", f"d{i}"]}),
    "deep enum": lambda n: _nested(6, lambda s: {"properties": {"a" * 500: s}}, {"enum": list(range(n))}),
    "const of an object": lambda n: {"const": {f"a{i}": [1, 2, 3] for i in range(n)}},
    "patterns": lambda n: _properties(n, lambda i: _pattern(f"^[a-z]{{{i % 50}}}x{i}$")),
    "patterns of classes": lambda n: _properties(n, lambda i: _pattern(f"^\\S\\W{i}$")),
    "pattern of classes": lambda n: _pattern("\\S" * n),
    "pattern of unlike classes": lambda n: _pattern("".join(f"[^\\u{0x100 + i:04x}-\\u3000]" for i in range(n))),
    "long pattern": lambda n: _pattern("a" * n),
    "alternatives in a pattern": lambda n: _pattern("|".join(f"a{i}" for i in range(n))),
    "groups in a pattern": lambda n: _pattern("(a)" * n),
    "nested groups in a pattern": lambda n: _pattern("(" * n + ")" * n),
    "unclosed classes in a pattern": lambda n: _pattern("[" * n),
    "choices in a pattern": lambda n: _pattern("(a|b)?" * n),
    "automata": lambda n: _properties(n, lambda i: _pattern(f"^(.*x){{3}}{i}.*$")),
    "large automata": lambda n: _properties(n, lambda i: _pattern(f"^.*\\S{{900}}{i}.*$")),
    "patternProperties": lambda n: {
        "patternProperties": {f"^a{i}": TEXT for i in range(n)},
        "propertyNames": {"maxLength": 20},
    },
    "references to one": lambda n: {
        "definitions": {"x": TEXT},
        **_properties(n, lambda i: {"$ref": "#/definitions/x"}),
    },
    "references to many": lambda n: {
        "definitions": {f"x{i}": TEXT for i in range(n)},
        **_properties(n, lambda i: {"$ref": f"#/definitions/x{i}"}),
    },
    "references to names": lambda n: {
        "definitions": {f"x{i}": {"$id": f"#x{i}", **TEXT} for i in range(n)},
        **_properties(n, lambda i: {"$ref": f"#x{i}"}),
    },
    "references to what holds others": lambda n: {
        "definitions": {"x": _nested(90, lambda s: {"items": s}, TEXT)},
        "items": [{"$ref": "#/definitions/x" + "/items" * i} for i in range(min(n, 90))] * (n // 90 + 1),
    },
    "references to references": _chain,
    "references that multiply in place": lambda n: _multiplied(n, lambda ref: {"allOf": [ref, ref]}),
    "references that multiply in defaults": lambda n: _multiplied(
        n, lambda ref: {"properties": {"a": {**ref, "default": {}}, "b": {**ref, "default": {}}}}
    ),
    "anyOf": lambda n: {"anyOf": [{"type": "string", "minLength": i} for i in range(n)]},
    "oneOf": lambda n: {"oneOf": [{"type": "object", "properties": {"a": {"const": i}}} for i in range(n)]},
    "allOf": lambda n: {"allOf": [_properties(1, lambda i: {"type": "integer"}) for _ in range(n)]},
    "not": lambda n: {"allOf": [{"not": {"type": "string", "minLength": i}} for i in range(n)]},
    "if": lambda n: {"allOf": [{"if": {"type": "string"}, "then": {"minLength": i}, "else": False} for i in range(n)]},
    "contains": lambda n: {"allOf": [{"contains": {"type": "integer", "minimum": i}} for i in range(n)]},
    "unions in unions": lambda n: _nested(n, lambda s: {"anyOf": [s, {"type": "null"}]}, TEXT),
    "items": lambda n: {"items": [TEXT] * n},
    "dependencies": lambda n: {"dependencies": {f"p{i}": ["a", "b"] for i in range(n)}},
    "dependent schemas": lambda n: {"dependencies": {f"p{i}": {"required": ["a"]} for i in range(n)}},
    "defaults": lambda n: _properties(n, lambda i: {"type": "string", "default": "x"}),
    "a long description": lambda n: {"type": "object", "description": "x" * n},
    "examples": lambda n: {"type": "object", "examples": [[i] for i in range(n)]},
    "equal names": lambda n: {"items": [{"$id": "same", "title": f"{i}"} for i in range(n)]},
}


def documents(kind: str, n: int, *, as_yaml: bool = False) -> Documents:
    """The documents of one schema of this kind. JSON is YAML too: a comment before it has it read as such."""
    found: dict[str, Schema]
    if kind == "documents":
        found = {"large/1.0.0": {"items": [{"$ref": f"/part{i}/1.0.0"} for i in range(n)]}}
        found |= {f"part{i}/1.0.0": {"type": "string", "minLength": i} for i in range(n)}
    elif kind == "names in another document":
        names = {f"x{i}": {"$id": f"#x{i}", **TEXT} for i in range(n)}
        found = {
            "large/1.0.0": {"items": [{"$ref": f"/part/1.0.0#x{i}"} for i in range(n)]},
            "part/1.0.0": {"definitions": names},
        }
    else:
        found = {"large/1.0.0": KINDS[kind](n)}
    return {name: "#\n" * as_yaml + json.dumps(schema) for name, schema in found.items()}


NAMES = [*KINDS, "documents", "names in another document"]
