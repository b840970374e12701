"""Count what judging one event by one schema costs, in steps that no machine and no load change.

Place: function_source writes the counting into functions, notes counts for the walk; step_estimate adds up beforehand.
Rules:
1. A step takes some 0.1 to 1 µs: a schema applied to a value is one, and what takes longer counts for more.
   ``weigh`` says how much, from the keywords of the schema alone and, where they matter, the sizes of the value.
2. ``MAX_STEPS`` is the most that one event may take: its worker serves nothing else meanwhile. (Before: 80 `multipleOf`
   in an ``anyOf``, and 9,000 integers, took 10 s; lists in lists could take any time.)
Not here: which events are counted (validator), how many steps there can be (step_estimate).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from validators.formats.asserted import FORMATS
from validators.regex import pattern

MAX_STEPS: Final = 500_000

_MEMBERS: Final = (
    *("additionalProperties", "dependencies", "maxProperties", "minProperties", "patternProperties"),
    *("properties", "propertyNames", "required"),
)
STEP_NS: Final = 1_024  # The most that a step should take, where that is known.
DIGIT_BYTES: Final = 38  # So many digits have 128 bits.
_EIGHTH: Final = 3  # A member of an object is an eighth of a step.
_QUARTER: Final = 2  # A value in an enum is a quarter, as a name in a list of required ones is.

_ANY_LENGTH: Final = 1 << 62

Named = Callable[[str], str]


class FormatCost(NamedTuple):
    """The most ns that the checker of a format takes for any text, and more for each character."""

    text: int = 0
    character: int = 20


_USUAL: Final = FormatCost()
FORMAT_COSTS: Final = {  # A leap second, an address and its parts are looked at once more.
    "date-time": FormatCost(2_500),
    "email": FormatCost(3_500, 64),
    "hostname": FormatCost(0, 80),
    "ipv6": FormatCost(1_500),
    "regex": FormatCost(8_000, 3_000),
    "time": FormatCost(1_500),
    "uri": FormatCost(2_500),
    "uri-reference": FormatCost(2_500),
}


def format_cost(name: Any) -> FormatCost:
    """Return what a format takes; nothing if it asserts nothing."""
    return FORMAT_COSTS.get(name, _USUAL) if name in FORMATS else FormatCost(0, 0)


class TooDearError(Exception):
    """Judging an event takes more than ``MAX_STEPS``."""


class Weight(NamedTuple):
    """The steps of one schema for one value, without those of the schemas inside it.

    ``fixed`` are due for every value, ``member`` eighths for each member of an object, ``name`` and ``text`` ns for
    each character of a name or a text, ``form`` ns for each text, ``digit`` for 128 bits of an integer, ``inside`` for
    each value in a list. Only texts of up to ``longest`` characters are searched.
    """

    fixed: int = 1
    member: int = 0
    name: int = 0
    text: int = 0
    digit: int = 0
    inside: int = 0
    longest: int = _ANY_LENGTH
    form: int = 0

    @property
    def depends(self) -> bool:
        """Whether the steps depend on the value."""
        return bool(self.member or self.name or self.text or self.digit or self.inside or self.form)

    def of(self, value: Any) -> int:
        """Return the steps for a value."""
        kind: type = value.__class__
        if kind is str:
            return self.fixed + ((self.form + self.text * len(value)) // STEP_NS if len(value) <= self.longest else 0)
        if kind is dict:
            steps = self.fixed + (self.member * len(value) >> _EIGHTH)
            return steps + self.name * sum(map(len, value)) // STEP_NS if self.name else steps
        if kind is list:
            return self.fixed + self.inside * count(value) if self.inside else self.fixed
        if kind is int and self.digit:
            return self.fixed + self.digit * (int(value.bit_length()) >> 7)
        return self.fixed


def weigh(schema: dict[str, Any], named: Named = str) -> Weight:
    """Weigh a schema. ``named`` returns the expression that a pattern in it stands for."""
    values = [*schema.get("enum", ()), *((schema["const"],) if "const" in schema else ())]
    listed = sum(count(each) for each in values if each.__class__ is not str)  # Texts are looked up in a set.
    listed += len(schema.get("required", ())) + sum(
        len(each) for each in schema.get("dependencies", {}).values() if isinstance(each, list)
    )
    fixed, digit = 1 + (listed >> _QUARTER) + any(each.__class__ in (dict, list) for each in values), 0
    fixed += "contains" in schema
    if "multipleOf" in schema:
        digit = 0 if schema["multipleOf"] == int(schema["multipleOf"]) else 1
        fixed += 5 if digit else 1
    patterns = [named(text) for text in schema.get("patternProperties", ())]
    member = 0
    if any(word in schema for word in _MEMBERS):
        member = 1 + 12 * len(patterns)
        if isinstance(schema.get("additionalProperties"), dict):
            member += len(schema.get("properties", ())) >> _EIGHTH
    text = pattern.ns_per_character(named(schema["pattern"])) if "pattern" in schema else 0
    form = format_cost(schema.get("format"))
    name = sum(map(pattern.ns_per_character, patterns))
    is_unique = schema.get("uniqueItems") is True
    longest = int(schema.get("maxLength", _ANY_LENGTH))
    return Weight(fixed, member, name, text + form.character, digit, int(is_unique), longest, form.text)


def count(value: Any) -> int:
    """Return the number of values in a value, itself included."""
    kind = value.__class__
    if kind is dict:
        return 1 + sum(map(count, value.values()))
    return 1 + sum(map(count, value)) if kind is list else 1


class Steps:
    """The steps that the work on one event may still take."""

    __slots__ = ("left",)

    def __init__(self, left: int = 0) -> None:
        self.left = left

    def spend(self, steps: int) -> None:
        """Count steps. Raises TooDearError when there were too many."""
        self.left -= steps
        if self.left < 0:
            raise TooDearError
