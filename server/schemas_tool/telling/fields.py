"""List the fields of a schema: each place in an event, with everything that is said of its value.

Place: telling.changes, telling.pages → HERE.
Rules: references and ``allOf`` are followed, so that two ways to write a schema give the same fields. Where several
parts say something of the same keyword, the first one counts for what only describes, and all for what judges. A schema
that holds itself is listed to a depth of 12.
Not here: what has changed (telling.changes).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from server.schemas.judges import Bundle
from server.schemas_tool.proof import views
from server.schemas_tool.proof.gap import bare
from server.schemas_tool.proof.views import Part

_MOST_DEPTH: Final = 12
_HOLDING: Final = frozenset(
    {"properties", "additionalProperties", "items", "required", "definitions", "examples", "$id", "$schema", "title"}
)
Where = tuple[str | int, ...]


class Field(NamedTuple):
    """One place: ``says`` maps a keyword to its value, as text of JSON where it is not one."""

    where: Where
    is_required: bool
    says: dict[str, Any]

    @property
    def kind(self) -> str:
        """Its types, as people read them."""
        found = self.says.get("type", "anything")
        return " or ".join(found) if isinstance(found, list) else str(found)


def fields_of(bundle: Bundle) -> dict[Where, Field]:
    """Return all fields below an event, in the order in which they are described."""
    found: dict[Where, Field] = {}
    _walk(bundle, views.parts_of(bundle, bundle.schema, ()), (), found)
    return found


def _walk(bundle: Bundle, parts: Sequence[Part], where: Where, found: dict[Where, Field]) -> None:
    if len(where) >= _MOST_DEPTH:
        return
    needed = views.required_in(parts)
    for name in views.names_in(parts):
        _add(bundle, views.property_view(bundle, parts, name), (*where, name), found, name in needed)
    dictionaries = [part.schema for part in parts if isinstance(part.schema, dict)]
    if any(isinstance(schema.get("additionalProperties"), dict) for schema in dictionaries):
        _add(bundle, views.property_view(bundle, parts, None), (*where, "*"), found, False)
    if any("items" in schema for schema in dictionaries):
        _add(bundle, views.item_view(bundle, parts, None), (*where, "[]"), found, False)


def _add(bundle: Bundle, parts: list[Part], where: Where, found: dict[Where, Field], is_required: bool) -> None:
    if any(part.schema is False for part in parts):
        return
    found[where] = Field(where, is_required, says(parts))
    _walk(bundle, parts, where, found)


def says(parts: Sequence[Part]) -> dict[str, Any]:
    """Return what parts say of a value, apart from the values inside it."""
    told: dict[str, Any] = {}
    for part in parts:
        for word, value in part.schema.items() if isinstance(part.schema, dict) else ():
            if word == "additionalProperties" and isinstance(value, bool):
                told.setdefault(word, value)
            elif word not in _HOLDING:
                _tell(told, word, value)
    return told


def _tell(told: dict[str, Any], word: str, value: Any) -> None:
    if isinstance(value, dict):
        value = json.dumps(bare(value), ensure_ascii=False, sort_keys=True)
    if word in told and word != "description" and told[word] != value:
        value = max(told[word], value, key=_strictness(word))
    if word not in told or word != "description":
        told[word] = value


def _strictness(word: str) -> Any:
    if word.startswith("max") or word == "exclusiveMaximum":
        return lambda value: -value
    return repr if not word.startswith(("min", "exclusiveMin")) else lambda value: value
