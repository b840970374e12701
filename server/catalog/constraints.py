"""Which streams are asked for: ``key=value`` and ``a[b][c]=value``, compared with effective settings.

Place: catalog.query → HERE (parse); catalog.views → HERE (matches).
Rules: every key must be there and not null; maps are compared key by key; of a list every expected element must be
there, in any order; all else is compared as text, as PHP writes it: true is ``1``, false is empty, 1.0 is ``1``. The
words ``true`` and ``false`` match too. ``stream`` is compared with the declared name, a regex by matching.
Not here: other parameters (catalog.query).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import unquote_plus

MAX_DEPTH = 10
MAX_CONSTRAINTS = 1_000

Constraints = dict[str, Any]  # Maps and lists of text.

_KEY = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_BRACKETS = re.compile(r"\[([^\[\]]*)\]")


class ConstraintError(ValueError):
    """What is wrong with a constraint, in words of our own: nothing of it is repeated."""


def parse(items: Iterable[str]) -> Constraints:
    """Items as they stand between the separators, each a query string of its own. Raises ConstraintError."""
    found: Constraints = {}
    pairs = [pair for item in items for pair in item.split("&") if pair]
    if len(pairs) > MAX_CONSTRAINTS:
        raise ConstraintError(f"there are more than {MAX_CONSTRAINTS} of them")
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise ConstraintError("one of them has no `=`: write key=value, or a[b]=value for a setting inside a map")
        _put(found, _path(unquote_plus(key)), unquote_plus(value))
    constraints: Constraints = _listed(found)
    if not isinstance(constraints.get("stream", ""), str):
        raise ConstraintError("`stream` takes one name; ask for several with streams=a|b")
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


def _path(key: str) -> list[str]:
    whole = _KEY.fullmatch(key)
    if whole is None:
        raise ConstraintError("one of them has a key that cannot be read: write a, a[b] or a[b][c]")
    path = [whole[1], *_BRACKETS.findall(whole[2])]
    if len(path) > MAX_DEPTH:
        raise ConstraintError(f"one of them goes deeper than {MAX_DEPTH} levels")
    return path


def _put(found: dict[str, Any], path: list[str], value: str) -> None:
    """A value that is set twice becomes a list; ``a[]`` takes the next place in one."""
    *above, last = path
    for name in above:
        below = found.setdefault(_next(found) if name == "" else name, {})
        if not isinstance(below, dict):
            raise ConstraintError("one key is used both for a value and for a map")
        found = below
    if last == "":
        found[_next(found)] = value
    elif isinstance(found.get(last), dict):
        if not _is_list(found[last]):
            raise ConstraintError("one key is used both for a value and for a map")
        found[last][_next(found[last])] = value
    elif last in found:
        found[last] = {"0": found[last], "1": value}
    else:
        found[last] = value


def _next(found: dict[str, Any]) -> str:
    return str(1 + max((int(name) for name in found if name.isdecimal() and name.isascii()), default=-1))


def _is_list(found: dict[str, Any]) -> bool:
    return all(name == str(index) for index, name in enumerate(found))


def _listed(found: Any) -> Any:
    """Maps whose keys count from 0 are lists. Those at the top have names of settings."""
    if not isinstance(found, dict):
        return found
    return {name: _inner(value) for name, value in found.items()}


def _inner(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    inner = {name: _inner(below) for name, below in value.items()}
    return list(inner.values()) if _is_list(inner) else inner


def _fits(actual: Any, expected: Any) -> bool:
    if actual is None:
        return False
    if isinstance(expected, dict):
        return isinstance(actual, dict) and all(_fits(actual.get(key), inner) for key, inner in expected.items())
    if isinstance(expected, list):
        return isinstance(actual, list) and all(any(_fits(each, one) for each in actual) for one in expected)
    return expected in _texts(actual)


def _texts(actual: Any) -> tuple[str, ...]:
    """How a setting may be written in a query; a map or a list cannot."""
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
