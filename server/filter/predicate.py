"""Turn the tree of a filter into a predicate.

Place: filter.language → HERE.
Rules:
1. A predicate is total: it returns for every event, and raises nothing.
2. Its cost is bounded by counting, for every event: at most MAX_LOOKED values per comparison, MAX_SEARCHED values
and MAX_SEARCHED_CHARS characters per search. Wildcards are found from left to right, without going back.
3. A value is compared with values of its own type: a number with numbers, a time with strings that are times.
Not here: the grammar (filter.parse).
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, TypeAlias

from server.filter.tree import ANY_ELEMENT, All, Compare, Either, Has, Node, Not, Path, Search, Value

MAX_LOOKED: Final = 256
MAX_SEARCHED: Final = 2000
MAX_SEARCHED_CHARS: Final = 262_144
MAX_TIME_CHARS: Final = 40

Predicate: TypeAlias = Callable[[Any, Mapping[str, Any]], bool]
Test: TypeAlias = Callable[[Any], bool]

_ORDERS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_WORDS: Final = {"true": True, "false": False, "null": None}


def predicate(node: Node, is_fact: Callable[[Path], bool]) -> Predicate:
    """Return the predicate of a tree. ``is_fact`` says which paths lead to facts instead of into the event."""
    if isinstance(node, All | Either):
        parts = [predicate(part, is_fact) for part in node.parts]
        if isinstance(node, All):
            return lambda event, facts: all(part(event, facts) for part in parts)
        return lambda event, facts: any(part(event, facts) for part in parts)
    if isinstance(node, Not):
        inner = predicate(node.part, is_fact)
        return lambda event, facts: not inner(event, facts)
    if isinstance(node, Search):
        wanted = node.text.lower()
        return lambda event, _: any(wanted in text.lower() for text in _texts(event))
    path, is_of_facts = node.path, is_fact(node.path)
    if isinstance(node, Has):
        return lambda event, facts: any(True for _ in values_at(facts if is_of_facts else event, path))
    test = _test(node)
    if node.operator == "!=":
        return lambda event, facts: _differs(facts if is_of_facts else event, path, test)
    return lambda event, facts: any(map(test, values_at(facts if is_of_facts else event, path)))


def _differs(document: Any, path: Path, test: Test) -> bool:
    """The member is there, and no value of it is one of those named."""
    found = list(values_at(document, path))
    return bool(found) and not any(map(test, found))


def values_at(document: Any, path: Path) -> Iterator[Any]:
    """Yield the values at a path: a name also leads into the elements of a list, and a list at the end stands for
    itself and for its elements. At most MAX_LOOKED values are looked at on the way."""
    return _values(document, path.steps, [MAX_LOOKED])


def _values(value: Any, steps: tuple[str | int, ...], left: list[int]) -> Iterator[Any]:
    """``left`` is the number of values that may still be looked at, in a list that all levels share."""
    left[0] -= 1
    if not steps:
        yield value
        if isinstance(value, list):
            yield from value[: max(0, left[0])]
            left[0] -= len(value)
        return
    first, rest = steps[0], steps[1:]
    if isinstance(value, Mapping):
        if isinstance(first, str) and first in value:
            yield from _values(value[first], rest, left)
    elif isinstance(value, list):
        if isinstance(first, int) and first != ANY_ELEMENT:
            if first < len(value):
                yield from _values(value[first], rest, left)
            return
        for element in value:
            if left[0] <= 0:
                return
            if first == ANY_ELEMENT:
                yield from _values(element, rest, left)
            elif isinstance(element, Mapping):
                yield from _values(element, steps, left)
            else:
                left[0] -= 1


def _texts(event: Any) -> Iterator[str]:
    """Yield the names of members, the strings and the numbers of an event, as text."""
    open_values: list[Iterator[tuple[str, Any]]] = [iter([("", event)])]
    chars = MAX_SEARCHED_CHARS
    for _ in range(MAX_SEARCHED):
        name, value = next(open_values[-1], (None, None))
        if name is None:
            open_values.pop()
            if not open_values:
                return
            continue
        text = _text(value)
        for one in (name, text):
            if one:
                yield one[:chars]
                chars -= len(one)
            if chars <= 0:
                return
        if isinstance(value, Mapping):
            open_values.append(iter(value.items()))
        elif isinstance(value, list):
            open_values.append(("", element) for element in value)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    is_number = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    return _number_text(value) if is_number else ""


def _number_text(value: float | Decimal) -> str:
    try:
        return str(value)
    except ValueError:  # An integer of more digits than Python turns into text (sys.set_int_max_str_digits).
        return ""


def _test(term: Compare) -> Test:
    if term.operator in _ORDERS:
        return _order(term.operator, term.values[0])
    tests = [_equal(value, has_wildcards=term.operator == ":") for value in term.values]
    return tests[0] if len(tests) == 1 else lambda found: any(test(found) for test in tests)


def _equal(value: Value, *, has_wildcards: bool) -> Test:
    """Equality: a word is the string, the number or the constant of this text, a quoted one is a string alone."""
    text = value.text
    if value.is_quoted:
        return lambda found: isinstance(found, str) and found == text
    if has_wildcards and "*" in text:
        return _wildcards(text)
    if text in _WORDS:
        constant = _WORDS[text]
        return lambda found: found is constant or (isinstance(found, str) and found == text)
    number = number_of(text)
    if number is not None:
        return lambda found: (isinstance(found, str) and found == text) or (_is_number(found) and found == number)
    return lambda found: isinstance(found, str) and found == text


def _wildcards(text: str) -> Test:
    """A pattern of a string: each ``*`` stands for any characters. The first place of each part is the best one, so
    none is tried twice."""
    first, *middle, last = text.split("*")

    def matches(found: Any) -> bool:
        if not isinstance(found, str) or len(found) < len(first) + len(last):
            return False
        if not (found.startswith(first) and found.endswith(last)):
            return False
        at, end = len(first), len(found) - len(last)
        for part in middle:
            at = found.find(part, at, end)
            if at < 0:
                return False
            at += len(part)
        return True

    return matches


def _order(sign: str, value: Value) -> Test:
    compare = _ORDERS[sign]
    number = None if value.is_quoted else number_of(value.text)
    if number is not None:
        return lambda found: _is_number(found) and compare(found, number)
    limit = time_of(value.text)

    def compares(found: Any) -> bool:
        time = time_of(found) if isinstance(found, str) else None
        return time is not None and limit is not None and compare(time, limit)

    return compares


def _is_number(found: Any) -> bool:
    if isinstance(found, bool):
        return False
    return isinstance(found, int) or (isinstance(found, float | Decimal) and math.isfinite(found))


def number_of(text: str) -> int | float | None:
    """Return the number of a text in JSON's grammar, or nearly; None: it is none, or too large for a float."""
    if not text or text[-1] not in "0123456789" or not set(text) <= set("0123456789+-.eE"):
        return None
    try:
        number = int(text) if set(text) <= set("0123456789-") else float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def time_of(text: str) -> float | None:
    """Return the seconds since 1970 of a date (its first moment in UTC) or of a date-time of RFC 3339."""
    if not 10 <= len(text) <= MAX_TIME_CHARS or text[4] != "-" or text[7] != "-":
        return None
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
