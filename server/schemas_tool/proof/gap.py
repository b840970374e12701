"""A gap in a proof, and what a schema says apart from what only describes.

Place: contain, walks → HERE → witness.
Rules: a keyword that only describes never judges a value. Keywords of one group decide together.
Not here: proofs (contain).
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from server.schemas_tool.proof.views import Part, Path

NOTES: Final = frozenset(
    (
        *("$id", "id", "$schema", "$comment", "title", "description", "default", "examples", "definitions"),
        *("readOnly", "writeOnly", "contentEncoding", "contentMediaType"),
    )
)
GROUPS: Final = (
    ("properties", "patternProperties", "additionalProperties"),
    ("items", "additionalItems"),
    ("if", "then", "else"),
)


class Gap(NamedTuple):
    """A constraint of the new schema that does not follow. ``where`` leads to the value in an event, with "*" for any
    property and "[]" for any item; ``place`` to the keyword in the new schema; ``old`` are the parts that hold
    there."""

    keyword: str
    where: Path
    place: Path
    constraint: Any
    old: tuple[Part, ...]
    new: tuple[Part, ...]


def with_group(part: Part, keyword: str) -> dict[str, Any]:
    """Return the schema of one keyword, with those that decide together with it."""
    words = next((group for group in GROUPS if keyword in group), (keyword,))
    return {word: part.schema[word] for word in words if word in part.schema}


def bare(schema: Any) -> Any:
    """Return a schema without the keywords that only describe, at any depth, with sorted keys."""
    if not isinstance(schema, dict):
        return schema
    found: dict[str, Any] = {}
    for key in sorted(schema):
        value = schema[key]
        if key in NOTES:
            continue
        if key in ("properties", "patternProperties", "dependencies") and isinstance(value, dict):
            found[key] = {name: bare(value[name]) for name in sorted(value)}
        elif key in ("anyOf", "oneOf", "allOf", "items") and isinstance(value, list):
            found[key] = [bare(each) for each in value]
        elif key == "required" and isinstance(value, list):
            found[key] = sorted(value)
        else:
            found[key] = bare(value) if isinstance(value, dict) and key not in ("enum", "const") else value
    return found
