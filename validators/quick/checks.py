"""Trees of checks for the rules that a type cannot express: structs makes one for a type, generated turns it into code.

Place: structs → HERE → generated. None means that the type expresses every rule.
Rule: a check only sees values that its type has let through, so it knows their Python class.
Not here: the code (generated), how types are made (structs).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from validators.formats.text_test import TextTest


class Text(NamedTuple):
    """A check that a text passes every test."""

    tests: tuple[TextTest, ...]


class Field(NamedTuple):
    """The check of an object's member: its name in JSON, its attribute, and whether it may be missing (UNSET)."""

    name: str
    attribute: str
    is_optional: bool
    check: Check


class Object(NamedTuple):
    """The check of a struct; ``type`` is its class."""

    type: type
    fields: tuple[Field, ...]


class Items(NamedTuple):
    """The check of a list: of each item, and whether all must differ. Items that must differ can be hashed."""

    check: Check
    is_unique: bool


class Map(NamedTuple):
    """The check of a dict: of its names, and of its values. The names in ``required`` must be present."""

    names: Check
    values: Check
    required: frozenset[str] = frozenset()


class Rule(NamedTuple):
    """The rule of a value that was decoded without a type: it is of the class ``kind``, or ``test`` must pass."""

    kind: type
    test: Callable[[Any], Any]


class ValuesCheck(NamedTuple):
    """The check of a dict of values that were decoded without a type: a rule for each member named in ``rules``, and
    ``rest`` for all others. The names in ``required`` must be present.
    """

    rules: Mapping[str, Rule]
    rest: Rule
    names: Check
    required: frozenset[str]


class MembersCheck(NamedTuple):
    """The check of a dict of raw values: a judge of the raw text for each member named in ``judges``, and ``rest`` for
    all others. A judge of None accepts every value. The names in ``required`` must be present.
    """

    judges: Mapping[str, Judge | None]
    rest: Judge | None
    names: Check
    required: frozenset[str]


class Choice(NamedTuple):
    """The check of a value of several classes, each with its own check; a class that is not named has none."""

    parts: tuple[tuple[type, Check], ...]


Check = Text | Object | Items | Map | MembersCheck | ValuesCheck | Choice | None
Judge = Callable[[Any], bool]  # Takes the JSON text of a value.


def asks(check: Check) -> bool:
    """Whether a check can refuse any value."""
    match check:
        case None:
            return False
        case Object():
            return any(asks(field.check) for field in check.fields)
        case Items():
            return check.is_unique or asks(check.check)
        case Map():
            return asks(check.names) or asks(check.values) or bool(check.required)
        case Choice():
            return any(asks(part) for _, part in check.parts)
    return True
