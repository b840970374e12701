"""Find the parts of a schema that make it unsafe to judge hostile events by.

Place: bundle → HERE → registry, which refuses such schemas unless told otherwise.
Rules, those of AJV's ``json-schema-secure`` and one more (marked +):
1. ``pattern`` or ``format`` needs ``maxLength`` next to it.
2. ``patternProperties`` needs ``propertyNames`` with ``maxLength``.
3. ``uniqueItems`` needs ``maxItems`` next to it where items can be objects or arrays: where their type says so, or
   where no type is declared. Repeats among numbers are found in linear time too (unique).
4. + A pattern must not repeat a part that itself repeats in varying length, ``(a+)+``, nor be one that only
   backtracking can run and that is not provably cheap: ``^(?!.*a.*a.*b)``. Any other takes linear time (pattern).
Not here: schemas that are merely wrong (reference).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from validators.load import dialect
from validators.load.bundle import target_of
from validators.regex import pattern

_SAFE_ITEMS = frozenset({"boolean", "integer", "null", "number", "string"})


class Insecure(NamedTuple):
    """One finding: the keyword, the JSON pointer of the schema that holds it, and the reason."""

    keyword: str
    pointer: str
    reason: str

    def __str__(self) -> str:
        return f"{self.keyword} at {self.pointer or '/'} {self.reason}"


def findings(whole: dict[str, Any]) -> list[Insecure]:
    """Return everything insecure in a bundle, its definitions included. Raises PatternError."""
    found: list[Insecure] = []
    waiting: list[tuple[str, Any]] = [("", whole)]
    while waiting:
        pointer, schema = waiting.pop()
        if isinstance(schema, dict) and "$ref" not in schema:
            found += (Insecure(keyword, pointer, reason) for keyword, reason in _reasons(whole, schema))
        if isinstance(schema, dict):
            children = [(pointer + dialect.step(keyword, key), each) for keyword, key, each in dialect.children(schema)]
            waiting += reversed(children)
    return found


def _reasons(whole: dict[str, Any], schema: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for keyword in ("pattern", "format"):
        if keyword in schema and "maxLength" not in schema:
            yield keyword, "needs maxLength next to it"
    if "patternProperties" in schema:
        names = schema.get("propertyNames")
        if not (names is False or (isinstance(names, dict) and "maxLength" in names)):
            yield "patternProperties", "needs propertyNames with maxLength next to it"
    if schema.get("uniqueItems") is True and "maxItems" not in schema and not _is_scalar(whole, schema.get("items")):
        yield "uniqueItems", "needs maxItems next to it, because its items can be objects or arrays"
    for keyword, text in dialect.patterns(schema):
        reason = pattern.danger(text)
        if reason is not None:
            yield keyword, f"{text!r} {reason}"


def _is_scalar(whole: dict[str, Any], items: Any) -> bool:
    while isinstance(items, dict) and "$ref" in items:
        items = target_of(whole, items["$ref"])
    wanted = items.get("type") if isinstance(items, dict) else None
    names = [wanted] if isinstance(wanted, str) else wanted or []
    return bool(names) and _SAFE_ITEMS.issuperset(names)
