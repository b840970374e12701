"""Lint the annotations ``x-privacy`` of a schema: actions that do not exist, places that nothing obeys, types.

Place: lint.schema → HERE.
Rules: what the service refuses to load is an error, and so is an action that stores a value of another type than the
schema says, or none at all.
Not here: what the actions do (server.privacy).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from server.schemas.repository import ACTIONS, KEEP
from server.schemas_tool.lint import rules
from server.schemas_tool.lint.rules import LintRule

KEYWORD: Final = "x-privacy"
_OF_TEXT: Final = ("hash", "truncate-ip", "coarse-time")
_SCALARS: Final = frozenset({"integer", "number", "boolean"})

Found = tuple[LintRule, tuple[str | int, ...], str]


def found_in(schema: dict[str, Any], path: tuple[str | int, ...]) -> Iterator[Found]:
    """Yield the rules that the annotation of a schema breaks, and those that its properties break as properties."""
    yield from _required(schema, path)
    if KEYWORD not in schema:
        return
    action, at = schema[KEYWORD], (*path, KEYWORD)
    if not isinstance(action, str) or action not in ACTIONS:
        yield rules.PRIVACY, at, f"{action!r} is no action; there are {', '.join(ACTIONS)}."
    elif not path and action != KEEP:
        yield rules.PRIVACY, at, "Nothing would be left of an event."
    elif "propertyNames" in path:
        yield rules.PRIVACY, at, "An annotation speaks of values, and never of names."
    elif action in _OF_TEXT and schema.get("type") in _SCALARS:
        what = "text" if action == "hash" else "nothing"
        yield rules.PRIVACY_TYPE, at, f"The type is {schema['type']}, and {action} stores {what}."


def expected_in(schema: dict[str, Any], path: tuple[str | int, ...]) -> Iterator[Found]:
    """Yield the rule that an annotation in an expectation breaks."""
    if KEYWORD in schema:
        yield rules.PRIVACY, (*path, KEYWORD), "No value is stored by an expectation: annotate the schema of the value."


def _required(schema: dict[str, Any], path: tuple[str | int, ...]) -> Iterator[Found]:
    wanted, properties = schema.get("required"), schema.get("properties")
    if not isinstance(wanted, list) or not isinstance(properties, dict):
        return
    for name, inner in properties.items():
        if name in wanted and isinstance(inner, dict) and inner.get(KEYWORD) == "drop":
            yield rules.PRIVACY_REQUIRED, (*path, "properties", name, KEYWORD), ""
