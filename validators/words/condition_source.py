"""Write the condition that an object surely fulfils, as one Python expression.

Place: beside passes, which asks it of the members of a refused event. Tuples and a loop take three times as long.
Rules:
1. The source holds names of the schema as literals and numbers below 2**63; all else comes in by its number.
2. ``MAX_SOURCE`` for one bundle: about as many bytes of memory in the end, and 0.1 µs each, once.
Not here: which objects can be told at once (passes).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from msgspec import UNSET

MAX_SOURCE = 2_000

Test = Callable[[Any], Any]


class ConditionSource:
    """What is written for one bundle."""

    def __init__(self) -> None:
        self._left = MAX_SOURCE
        self._names: dict[str, Any] = {
            "UNSET": UNSET,
            "__builtins__": {"dict": dict, "int": int, "len": len, "str": str},
        }

    def test(self, conditions: Iterable[str]) -> Test | None:
        """A function of ``x`` that is true when all conditions are. None: there is no more room."""
        text = f"lambda x: {' and '.join(conditions)}"
        if len(text) > self._left:
            return None
        self._left -= len(text)
        test: Test = eval(text, self._names)
        return test

    def name(self, value: Any) -> str:
        """A name for a value that is no literal."""
        name = f"c{len(self._names)}"
        self._names[name] = value
        return name

    def member(self, name: str, schema: dict[str, Any], kind: type, test: Test | None, is_needed: bool) -> str:
        """The condition on a member: ``test`` passes its value, or it is not there and need not be."""
        value = f"(v := x.get({name!a}, UNSET))"
        if is_needed:
            return self._passes(value, schema, kind, test)
        return f"({value} is UNSET or {self._passes('v', schema, kind, test)})"

    def _passes(self, value: str, schema: dict[str, Any], kind: type, test: Test | None) -> str:
        if kind in (str, int):
            return f"{value}.__class__ is {kind.__name__}"
        words = schema.keys() - _SAY_NOTHING
        if schema.get("type") == "string" and words <= {"type", "minLength", "maxLength"}:
            return f"{value}.__class__ is str{between(schema, 'minLength', 'maxLength', 'len(v)')}"
        if schema.get("type") == "integer" and words <= {"type", "minimum", "maximum"}:
            return f"{value}.__class__ is int{between(schema, 'minimum', 'maximum', 'v')}"
        return f"{self.name(test)}({value})"


def between(schema: dict[str, Any], low: str, high: str, what: str) -> str:
    """The conditions that bounds of a schema are, each after an ``and``."""
    text = ""
    for word, sign in ((low, ">="), (high, "<=")):
        if word in schema:
            limit = schema[word]
            is_literal = limit.__class__ in (int, float) and abs(limit) < 2**63
            text += f" and {what} {sign} {limit!r}" if is_literal else " and 0"  # Nothing is known: never.
    return text


_SAY_NOTHING = frozenset({"default", "description", "examples", "title"})
