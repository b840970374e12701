"""See a schema as the parts that all judge the same value, and one property or item of it in the same way.

Place: contain, witness → HERE.
Rules: a part is a schema without ``$ref`` and ``allOf``: they are followed, and a part keeps the path at which it is
written. A list of parts judges as all of them together; False in it refuses everything.
Not here: whether one list of parts implies another (contain).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from server.schemas.judges import Bundle, UnusableError, regex_matcher

Path = tuple[str | int, ...]


class Part(NamedTuple):
    """A schema and the path at which it is written; what a reference leads to has the path of the reference."""

    schema: Any
    path: Path
    is_behind_reference: bool = False


ATOMS: dict[str, frozenset[str]] = {
    "null": frozenset({"null"}),
    "boolean": frozenset({"boolean"}),
    "object": frozenset({"object"}),
    "array": frozenset({"array"}),
    "string": frozenset({"string"}),
    "integer": frozenset({"integer"}),
    "number": frozenset({"integer", "fraction"}),
}
ALL: frozenset[str] = frozenset().union(*ATOMS.values())
NUMERIC: frozenset[str] = ATOMS["number"]


def parts_of(bundle: Bundle, schema: Any, path: Path, *, is_behind: bool = False) -> list[Part]:
    """Return the parts of a schema. Raises UnusableError for references that lead in a circle without a value."""
    found: list[Part] = []
    waiting: list[tuple[Any, Path, bool, int]] = [(schema, path, is_behind, 0)]
    while waiting:
        schema, path, is_behind, depth = waiting.pop()
        if depth > 100:
            raise UnusableError("references lead in a circle")
        if isinstance(schema, dict) and "$ref" in schema:
            waiting.append((bundle.target(schema["$ref"]), path if is_behind else (*path, "$ref"), True, depth + 1))
        elif isinstance(schema, dict) and "allOf" in schema:
            found.append(Part({key: value for key, value in schema.items() if key != "allOf"}, path, is_behind))
            for index, each in enumerate(schema["allOf"]):
                waiting.append((each, path if is_behind else (*path, "allOf", index), is_behind, depth + 1))
        elif schema is not True:
            found.append(Part(schema, path, is_behind))
    return found


def below(bundle: Bundle, part: Part, schema: Any, *steps: str | int) -> list[Part]:
    """Return the parts of a schema that lies ``steps`` below a part."""
    path = part.path if part.is_behind_reference else (*part.path, *steps)
    return parts_of(bundle, schema, path, is_behind=part.is_behind_reference)


def property_view(bundle: Bundle, parts: Sequence[Part], name: str | None) -> list[Part]:
    """Return what judges the property ``name``; None: a property that no part names or matches with a pattern."""
    found: list[Part] = []
    for part in parts:
        if not isinstance(part.schema, dict):
            continue
        is_known = False
        if name is not None and name in part.schema.get("properties", {}):
            is_known = True
            found += below(bundle, part, part.schema["properties"][name], "properties", name)
        for text, schema in part.schema.get("patternProperties", {}).items():
            if name is not None and regex_matcher(text)(name):
                is_known = True
                found += below(bundle, part, schema, "patternProperties", text)
        if not is_known and "additionalProperties" in part.schema:
            found += below(bundle, part, part.schema["additionalProperties"], "additionalProperties")
    return found


def item_view(bundle: Bundle, parts: Sequence[Part], index: int | None) -> list[Part]:
    """Return what judges the item ``index``; None: an item behind all that are described one by one."""
    found: list[Part] = []
    for part in parts:
        items = part.schema.get("items", True) if isinstance(part.schema, dict) else True
        if not isinstance(items, list):
            found += below(bundle, part, items, "items")
        elif index is not None and index < len(items):
            found += below(bundle, part, items[index], "items", index)
        elif "additionalItems" in part.schema:
            found += below(bundle, part, part.schema["additionalItems"], "additionalItems")
    return found


def types_of(parts: Sequence[Part]) -> frozenset[str]:
    """Return the types that all parts allow; a number is an integer or a fraction."""
    types = ALL
    for part in parts:
        if part.schema is False:
            return frozenset()
        if "type" in part.schema:
            types &= atoms_of(part.schema["type"])
    return types


def atoms_of(names: str | Sequence[str]) -> frozenset[str]:
    """Return the types that a value of ``type`` names."""
    return frozenset().union(*(ATOMS[name] for name in ([names] if isinstance(names, str) else names)))


def values_of(bundle: Bundle, parts: Sequence[Part]) -> list[Any] | None:
    """Return all values that the parts take, where they are written down one by one; None elsewhere."""
    listed: list[Any] | None = None
    for part in parts:
        if isinstance(part.schema, dict):
            if "enum" in part.schema:
                listed = part.schema["enum"]
            elif "const" in part.schema:
                listed = [part.schema["const"]]
    types = types_of(parts)
    if listed is None and types <= {"null", "boolean"}:
        listed = [value for kind, value in (("null", None), ("boolean", False), ("boolean", True)) if kind in types]
    if listed is None:
        return None
    return [value for value in listed if all(bundle.accepts(part.schema, value) for part in parts)]


def names_in(parts: Sequence[Part]) -> dict[str, None]:
    """Return the names of all properties that the parts describe or require, in their order."""
    found: dict[str, None] = {}
    for part in parts:
        if isinstance(part.schema, dict):
            found |= dict.fromkeys(part.schema.get("properties", {}))
            found |= dict.fromkeys(part.schema.get("required", ()))
    return found


def required_in(parts: Sequence[Part]) -> set[str]:
    """Return the names that are required of an object."""
    return {name for part in parts if isinstance(part.schema, dict) for name in part.schema.get("required", ())}


def is_impossible(bundle: Bundle, parts: Sequence[Part]) -> bool:
    """Whether it is certain that the parts take no value at all."""
    if any(part.schema is False for part in parts) or not types_of(parts):
        return True
    if values_of(bundle, parts) == []:
        return True
    if types_of(parts) <= {"object"}:
        return any(any(p.schema is False for p in property_view(bundle, parts, name)) for name in required_in(parts))
    return False
