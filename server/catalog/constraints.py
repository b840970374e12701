"""Select streams by constraints, ``key=value`` and ``a[b][c]=value``, on their effective settings.

Place: catalog.query → HERE (parse); catalog.views → HERE (matches).
Rules: every key must be present and not null; maps are compared key by key; a list must hold every expected element, in
any order; all other values are compared as text, as PHP writes it: true is ``1``, false is empty, 1.0 is ``1``. The
words ``true`` and ``false`` match too. ``stream`` is compared with the declared name, a regex by matching.
Not here: other parameters (catalog.query).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from server.text import percent

MAX_DEPTH = 10
MAX_CONSTRAINTS = 200  # Reading one takes 5 µs, and other requests wait meanwhile.

Constraints = dict[str, Any]  # Maps and lists of text.

_KEY = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
# PHP takes this for an index: no sign, no leading zero, and short enough for its integers (and for int() here, which
# refuses more than 4,300 digits). All other keys are names.
_INDEX = re.compile(r"0|[1-9][0-9]{0,17}")
_BRACKETS = re.compile(r"\[([^\[\]]*)\]")


class ConstraintError(ValueError):
    """A constraint that cannot be read. The message quotes nothing of it."""


def parse(items: Iterable[str]) -> Constraints:
    """Read the items between the separators, each of which is a query string. Raises ConstraintError."""
    found = _Map()
    pairs = [pair for item in items for pair in item.split("&") if pair]
    if len(pairs) > MAX_CONSTRAINTS:
        raise ConstraintError(f"there are more than {MAX_CONSTRAINTS} of them")
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise ConstraintError("one of them has no `=`: write key=value, or a[b]=value for a setting inside a map")
        _put(found, _path(_text_of(key)), _text_of(value))
    constraints = _listed(found)
    if not isinstance(constraints.get("stream", ""), str):
        raise ConstraintError("`stream` accepts one name; ask for several with streams=a|b")
    return constraints


def matches(settings: dict[str, Any], constraints: Constraints, is_named: Callable[[str], bool]) -> bool:
    """Whether effective settings fulfil all constraints; ``is_named`` tells whether the stream goes by a name."""
    for key, expected in constraints.items():
        if key == "stream":
            if not is_named(expected):
                return False
        elif not _fits(settings.get(key), expected):
            return False
    return True


def _text_of(escaped: str) -> str:
    return percent.text_of(escaped.encode()) if "%" in escaped or "+" in escaped else escaped


def _path(key: str) -> list[str]:
    if key.count("[") >= MAX_DEPTH:
        raise ConstraintError(f"one of them goes deeper than {MAX_DEPTH} levels")
    whole = _KEY.fullmatch(key)
    if whole is None:
        raise ConstraintError("one of them has a key that cannot be read: write a, a[b] or a[b][c]")
    return [whole[1], *_BRACKETS.findall(whole[2])]


class _Map(dict[str, Any]):
    """Keys in the order they came; ``next_index`` is where ``a[]`` goes, ``is_list`` whether they count from 0."""

    __slots__ = ("is_list", "next_index")

    def __init__(self) -> None:
        super().__init__()
        self.next_index = 0
        self.is_list = True

    def put(self, name: str, value: Any) -> None:
        """Set a key and update both attributes: looking through all keys each time would be quadratic."""
        if name not in self:
            self.is_list = self.is_list and name == str(len(self))
            if _INDEX.fullmatch(name):
                self.next_index = max(self.next_index, int(name) + 1)
        self[name] = value

    def below(self, name: str) -> _Map:
        """Return the map at a key, and make it when there is none. Raises ConstraintError when the key has a value."""
        name = name or str(self.next_index)
        if name not in self:
            self.put(name, _Map())
        inner = self[name]
        if not isinstance(inner, _Map):
            raise ConstraintError("one key is used both for a value and for a map")
        return inner


def _put(found: _Map, path: list[str], value: str) -> None:
    """Set the value at a path. A value that is set twice becomes a list; ``a[]`` takes the next place in a list."""
    *above, last = path
    for name in above:
        found = found.below(name)
    before = found.get(last) if last else None
    if before is None:
        found.put(last or str(found.next_index), value)
        return
    if not isinstance(before, _Map):
        values = _Map()
        values.put("0", before)
        found[last] = before = values
    elif not before.is_list:
        raise ConstraintError("one key is used both for a value and for a map")
    before.put(str(before.next_index), value)


def _listed(found: _Map) -> Constraints:
    """Turn maps whose keys count from 0 into lists, except the top map, whose keys are names of settings."""
    return {name: _inner(value) for name, value in found.items()}


def _inner(value: Any) -> Any:
    if not isinstance(value, _Map):
        return value
    inner = _listed(value)
    return list(inner.values()) if value.is_list else inner


def _fits(actual: Any, expected: Any) -> bool:
    if actual is None:
        return False
    if isinstance(expected, dict):
        return isinstance(actual, dict) and all(_fits(actual.get(key), inner) for key, inner in expected.items())
    if isinstance(expected, list):
        return isinstance(actual, list) and _has_all(actual, expected)
    return expected in _texts(actual)


def _has_all(actual: list[Any], expected: list[Any]) -> bool:
    """Whether a list holds every expected element. Text is looked up in a set, so that this is not quadratic."""
    texts = {text for each in actual for text in _texts(each)}
    return all(one in texts if isinstance(one, str) else any(_fits(each, one) for each in actual) for one in expected)


def _texts(actual: Any) -> tuple[str, ...]:
    """Return the spellings of a setting in a query; a map or a list has none."""
    if actual is True:
        return ("1", "true")
    if actual is False:
        return ("", "false")
    if isinstance(actual, str):
        return (actual,)
    if isinstance(actual, int):
        return (str(actual),)
    if isinstance(actual, float):
        return (repr(actual), str(int(actual))) if actual.is_integer() else (repr(actual),)
    return ()
