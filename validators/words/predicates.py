"""Functions that say at once that a value is valid: of a text, a number, a list, an object, or by any or all of others.

Place: passes makes them, a schema each → HERE.
Rule: each takes time linear in the value, asks its class first, and calls nothing that it was not given.
Not here: which schemas have one (passes), those that are written as code (written).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ciso8601 import parse_rfc3339
from msgspec import UNSET

from validators.formats import plain
from validators.formats.asserted import FORMATS
from validators.regex import pattern
from validators.words.keywords import MAX_SEARCHED

Test = Callable[[Any], Any]


class Never:
    """A class that no value has."""


class PropertyTest(NamedTuple):
    """A property: its name, ``kind`` and ``test`` of its schema, whether it has to be there, whether the walk asks."""

    name: str
    kind: type
    test: Test | None
    is_needed: bool
    is_asked: bool


def chain(tests: list[Test], is_every: bool) -> Test:
    """Whether a value passes every test, or any. (``all`` and ``any`` of a generator take three times as long.)"""
    first, *others = tests
    second = others[0] if len(others) == 1 else chain(others, is_every)
    if is_every:
        return lambda value: first(value) and second(value)
    return lambda value: first(value) or second(value)


def texts(values: Any) -> Test:
    """One of these texts."""
    return lambda value: value.__class__ is str and value in values


def of_class(kind: type) -> Test:
    """Any value of a class."""
    return lambda value: value.__class__ is kind


def string(low: float, high: float, text: str | None, form: str | None) -> Test:
    """A text of so many characters, with a pattern or a format, or both. A long one is left to the walk then."""
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
    """The quick test of a format, where there is one."""
    test = plain.TESTS.get(form)
    if test is None:
        return FORMATS[form]
    call = test.call
    return (lambda text: not call(text)) if test.refuses else _is_usual_time


def _is_usual_time(text: str) -> bool:
    try:
        return parse_rfc3339(text) is not None and " " not in text
    except ValueError:
        return False


def number(kinds: tuple[Any, ...], low: float, high: float) -> Test:
    """A number of one of these classes, between bounds that belong to it."""
    return lambda value: value.__class__ in kinds and low <= value <= high


def anything(_value: Any) -> bool:
    """Whatever it is."""
    return True


def items(kind: type, test: Test, low: float, high: float) -> Test:
    """A list of so many items, each of the class or passing the test."""

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


def members(rows: tuple[PropertyTest, ...], bare: tuple[str, ...], low: float, high: float) -> Test:
    """An object of so many members, with the names of ``bare``, whose other members are as their rows say."""

    def passes(value: Any) -> bool:
        if value.__class__ is not dict or not low <= len(value) <= high:
            return False
        for name in bare:
            if name not in value:
                return False
        get = value.get
        for name, kind, test, is_needed, _ in rows:
            each = get(name, UNSET)
            if each.__class__ is kind:
                continue
            if is_needed if each is UNSET else not test(each):  # type: ignore[misc]  # Each has one.
                return False
        return True

    return passes


def closed(test: Test, properties: dict[str, Any]) -> Test:
    """An object that passes, with no other member than these."""
    return lambda value: test(value) and value.keys() <= properties.keys()


def opened(test: Test, properties: dict[str, Any], kind: type, other: Test) -> Test:
    """An object that passes, whose other members are all of the class or pass the other test."""

    def passes(value: Any) -> bool:
        if not test(value):
            return False
        for name, each in value.items():
            if each.__class__ is not kind and name not in properties and not other(each):
                return False
        return True

    return passes
