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
# Values with which a keyword refuses nothing.
IDLE: Final[dict[str, Any]] = {
    **dict.fromkeys(("minLength", "minItems", "minProperties"), 0),
    "uniqueItems": False,
    "required": [],
    "additionalProperties": True,
    "additionalItems": True,
    "items": True,
}


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
    """Return a schema in one form: without keywords that only describe or refuse nothing, at any depth and sorted.
    Keywords that begin with ``x-`` refuse nothing."""
    if not isinstance(schema, dict):
        return schema
    found = {key: _bare(key, schema[key]) for key in sorted(schema) if key not in NOTES and not key.startswith("x-")}
    for key, value in IDLE.items():
        if key in found and found[key] == value and type(found[key]) is type(value):
            del found[key]
    if found.keys() == {"allOf"} and len(found["allOf"]) == 1:
        return found["allOf"][0]
    return found


def _bare(key: str, value: Any) -> Any:
    if isinstance(value, dict):
        if key in ("properties", "patternProperties", "dependencies"):
            return {name: bare(value[name]) for name in sorted(value)}
        return value if key == "const" else bare(value)
    if isinstance(value, list):
        if key in ("anyOf", "oneOf", "allOf", "items"):
            return [bare(each) for each in value]
        if key == "type" and len(value) == 1:
            return value[0]
        if key in ("required", "type", "enum"):
            return sorted(value, key=repr)
    return value
