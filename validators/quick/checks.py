"""What a type cannot say of a value, as a tree: structs makes it beside the type, generated turns it into code.

Place: structs → HERE → generated. None stands for: the type has said everything.
Rule: a check is asked only of values that the type beside it has let through, so it knows their Python class.
Not here: the code (generated), how types are made (structs).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


class Test(NamedTuple):
    """``call`` gives something that is true when the text passes; it may raise ValueError instead of saying no.

    ``beside`` is a condition of our own, in Python, that must hold as well; ``{x}`` stands for the text. ``for_short``,
    where there is one, is called instead for texts of up to pattern.SHORT characters. ``refuses``: these give something
    true when the text does not pass.
    """

    call: Callable[[str], Any]
    beside: str = ""
    for_short: Callable[[str], Any] | None = None
    refuses: bool = False


def refusing(expression: str) -> Test:
    """Whether the whole text matches an expression of Python's. Saying no is what costs an object: 0.05 µs of 0.3."""
    return Test(re.compile(rf"(?!(?:{expression})\Z)").match, refuses=True)


class Text(NamedTuple):
    """A text that passes every test."""

    tests: tuple[Test, ...]


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


class Members(NamedTuple):
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


Check = Text | Object | Items | Map | Members | Choice | None
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
