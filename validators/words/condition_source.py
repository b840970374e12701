"""Write the "certainly valid" test of an object as one Python expression.

Place: HERE → passes, which uses it for the members of a refused event. A loop over tuples takes three times as long: an
event with 100,000 objects of three bounded members would be refused in 1.7 times the time.
Rules:
1. The source holds names of the schema as literals and numbers below 2**63; all other values come in by their number.
2. ``MAX_SOURCE`` limits the source of one bundle: it costs about as many bytes of memory, and 0.1 µs for each, once.
Not here: which objects have such a test (passes).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from msgspec import UNSET

MAX_SOURCE = 2_000

Test = Callable[[Any], Any]


class ConditionSource:
    """The source that is written for one bundle."""

    def __init__(self) -> None:
        self._left = MAX_SOURCE
        self._names: dict[str, Any] = {
            "UNSET": UNSET,
            "__builtins__": {"dict": dict, "int": int, "len": len, "str": str},
        }

    def test(self, conditions: Iterable[str]) -> Test | None:
        """Return a function of ``x`` that is true when all conditions are. None: the limit is reached."""
        text = f"lambda x: {' and '.join(conditions)}"
        if len(text) > self._left:
            return None
        self._left -= len(text)
        test: Test = eval(text, self._names)
        return test

    def name(self, value: Any) -> str:
        """Return a name for a value that is no literal."""
        name = f"c{len(self._names)}"
        self._names[name] = value
        return name

    def member(self, name: str, schema: dict[str, Any], kind: type, test: Test | None, is_needed: bool) -> str:
        """Return the condition on a member: its value passes ``test``, or it is absent and not needed."""
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
    """Return the conditions for the bounds of a schema, each after an ``and``."""
    text = ""
    for word, sign in ((low, ">="), (high, "<=")):
        if word in schema:
            limit = schema[word]
            is_literal = limit.__class__ in (int, float) and abs(limit) < 2**63
            text += f" and {what} {sign} {limit!r}" if is_literal else " and 0"  # Such a test never passes.
    return text


_SAY_NOTHING = frozenset({"default", "description", "examples", "title"})
