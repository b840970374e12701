"""Build "certainly valid" tests: of a text, a number, a list or an object, or from any or all of other tests.

Place: passes → HERE.
Rule: each test takes time linear in the value, looks at its class first, and calls only the tests it was given.
Not here: which schemas have a test (passes), tests that are written as code (condition_source).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from ciso8601 import parse_rfc3339

from validators.formats import plain
from validators.formats.asserted import FORMATS
from validators.regex import pattern
from validators.words.keywords import MAX_SEARCHED

Test = Callable[[Any], Any]
Size: TypeAlias = int | float  # A compiled ``float`` would take an integer for the nearest double.


class Never:
    """A class that no value has."""


class PropertyTest:
    """A property: its name, the ``kind`` and ``test`` of its schema (the test passes nothing if there is none), whether
    it is required, whether the walk uses the test, its place among the properties."""

    __slots__ = ("at", "is_asked", "is_needed", "kind", "name", "test")

    def __init__(self, name: str, kind: type, test: Test | None, is_needed: bool, is_asked: bool, at: int) -> None:
        self.name = name
        self.kind = kind
        self.test: Test = nothing if test is None else test
        self.is_needed = is_needed
        self.is_asked = is_asked
        self.at = at


def chain(tests: list[Test], is_every: bool) -> Test:
    """Test that a value passes every test, or any. (``all`` and ``any`` of a generator take three times as long.)"""
    first, *others = tests
    second = others[0] if len(others) == 1 else chain(others, is_every)
    if is_every:
        return lambda value: first(value) and second(value)
    return lambda value: first(value) or second(value)


def texts(values: Any) -> Test:
    """Test for one of these texts, in a time that does not depend on their number."""
    known = frozenset(each for each in values if each.__class__ is str)
    return lambda value: value.__class__ is str and value in known


def of_class(kind: type) -> Test:
    """Test for any value of a class."""
    return lambda value: value.__class__ is kind


def string(low: Size, high: Size, text: str | None, form: str | None) -> Test:
    """Test for a text within these lengths, with a pattern or a format, or both. Long texts with either are left to the
    walk."""
    searches = [] if text is None else [pattern.compiled(text).search]
    searches += [_formed(form)] if form in FORMATS else []
    if not searches:
        return lambda value: value.__class__ is str and low <= len(value) <= high
    high = min(high, MAX_SEARCHED)
    first, last = searches[0], searches[-1]
    if first is last:
        return lambda value: value.__class__ is str and low <= len(value) <= high and first(value)
    return lambda value: value.__class__ is str and low <= len(value) <= high and first(value) and last(value)


def _formed(form: str) -> Test:
    """Return the quick test of a format where there is one, else its checker."""
    test = plain.TESTS.get(form)
    if test is None:
        return FORMATS[form]
    if test.beside:
        return _is_usual_time
    call = test.call
    return (lambda text: not call(text)) if test.refuses else call


def _is_usual_time(text: str) -> bool:
    try:
        return parse_rfc3339(text) is not None and " " not in text
    except ValueError:
        return False


def number(kinds: tuple[Any, ...], low: Size, high: Size) -> Test:
    """Test for a number of one of these classes, between inclusive bounds."""
    return lambda value: value.__class__ in kinds and low <= value <= high


def anything(_value: Any) -> bool:
    """Accept any value."""
    return True


def nothing(_value: Any) -> bool:
    """Accept no value."""
    return False


def items(kind: type, test: Test, low: Size, high: Size) -> Test:
    """Test for a list within these sizes whose items are all of the class or pass the test."""

    def passes(value: Any) -> bool:
        if value.__class__ is not list or not low <= len(value) <= high:
            return False
        if test is anything:
            return True
        for each in value:  # noqa: SIM110 (all() of a generator takes twice as long)
            if each.__class__ is not kind and not test(each):
                return False
        return True

    return passes


def members(rows: dict[str, PropertyTest], needed: frozenset[str], low: Size, high: Size) -> Test:
    """Test for an object within these sizes that has the names in ``needed`` and whose members pass their rows. The
    members that are there are looked at: a schema may have ten times as many properties."""

    def passes(value: Any) -> bool:
        if value.__class__ is not dict or not low <= len(value) <= high or not needed <= value.keys():
            return False
        for name, each in value.items():
            row = rows.get(name)
            if row is not None and each.__class__ is not row.kind and not row.test(each):
                return False
        return True

    return passes


def closed(test: Test, properties: dict[str, Any]) -> Test:
    """Test for an object that passes ``test`` and has no other members than these."""
    return lambda value: test(value) and value.keys() <= properties.keys()


def opened(test: Test, properties: dict[str, Any], kind: type, other: Test) -> Test:
    """Test for an object that passes ``test``, whose other members are all of the class or pass ``other``."""

    def passes(value: Any) -> bool:
        if not test(value):
            return False
        for name, each in value.items():
            if each.__class__ is not kind and name not in properties and not other(each):
                return False
        return True

    return passes
