"""What a type cannot say of a value, as a tree: structs makes it beside the type, generated turns it into code.

Place: structs → HERE → generated. None stands for: the type has said everything.
Rule: a check is asked only of values that the type beside it has let through, so it knows their Python class.
Not here: the code (generated), how types are made (structs).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from validators.formats.text_test import TextTest


class Text(NamedTuple):
    """A text that passes every test."""

    tests: tuple[TextTest, ...]


class Field(NamedTuple):
    """A member of an object: its name in JSON, its attribute, and whether it may be missing (it is UNSET then)."""

    name: str
    attribute: str
    is_optional: bool
    check: Check


class Object(NamedTuple):
    """A struct; ``type`` is its class."""

    type: type
    fields: tuple[Field, ...]


class Items(NamedTuple):
    """A list: of its items, and whether they differ from one another. Those that must differ can be hashed."""

    check: Check
    is_unique: bool


class Map(NamedTuple):
    """A dict: of its names, and of its values."""

    names: Check
    values: Check


class MembersCheck(NamedTuple):
    """A dict of raw values: a judge of the raw text for members with these names, and one for the rest.

    None: nothing is asked of them. ``required`` names are there.
    """

    judges: Mapping[str, Judge | None]
    rest: Judge | None
    names: Check
    required: frozenset[str]


class Choice(NamedTuple):
    """One of several classes, each with its check; for a class that is not named nothing is left to ask."""

    parts: tuple[tuple[type, Check], ...]


Check = Text | Object | Items | Map | MembersCheck | Choice | None
Judge = Callable[[Any], bool]  # Takes the JSON text of a value.


def asks(check: Check) -> bool:
    """Whether there is anything to ask of a value."""
    match check:
        case None:
            return False
        case Object():
            return any(asks(field.check) for field in check.fields)
        case Items():
            return check.is_unique or asks(check.check)
        case Map():
            return asks(check.names) or asks(check.values)
        case Choice():
            return any(asks(part) for _, part in check.parts)
    return True
