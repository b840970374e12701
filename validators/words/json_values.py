"""Compare JSON values as schemas do: their types, whether two are equal, whether a number is a multiple.

Place: HERE → invalid.
Rule: the answers are those of the compiled function: ``1.0`` is an integer and equals ``1``; ``true`` is neither.
Not here: keywords and wording (invalid).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from validators.unique import identity

IS: dict[str, Callable[[Any], bool]] = {
    "array": lambda value: isinstance(value, list),
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: (
        (isinstance(value, int) and not isinstance(value, bool)) or (isinstance(value, float) and value.is_integer())
    ),
    "null": lambda value: value is None,
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "object": lambda value: isinstance(value, dict),
    "string": lambda value: isinstance(value, str),
}


def is_multiple(value: float, step: float) -> bool:
    """Whether a number is a multiple of ``step``, by the arithmetic of the compiled function: integers are exact, other
    numbers count as the decimals that were written."""
    if value in (math.inf, -math.inf):  # The number overflowed a double, so its digits are unknown.
        return False
    whole = int(step)
    if whole == step:
        if isinstance(value, int):
            return value % whole == 0
        return (value / whole).is_integer() and (value == 0 or abs(value) >= 1)  # 5e-324 / 2 is 0.0.
    quotient = Decimal(repr(value)) / Decimal(repr(step))
    try:
        return int(quotient) == quotient and not math.isinf(value / step)
    except OverflowError:  # The integer overflows a float; the decimals have already decided.
        return True


def is_same(one: Any, other: Any) -> bool:
    """Whether two values are equal as JSON: ``1`` equals ``1.0``, ``true`` does not equal ``1``."""
    return bool(one == other) and _is_alike(one, other)


def _is_alike(one: Any, other: Any) -> bool:
    """Whether values that Python takes for equal have their booleans at the same places."""
    if isinstance(one, dict):
        for name, each in one.items():  # noqa: SIM110 (all() of a generator takes twice as long)
            if not _is_alike(each, other[name]):
                return False
        return True
    if isinstance(one, list):
        return all(map(_is_alike, one, other))
    return isinstance(one, bool) is isinstance(other, bool)


def is_one_of(values: list[Any], value: Any) -> bool:
    """Whether a value is the same as one of these."""
    for each in values:  # noqa: SIM110 (any() of a generator takes twice as long)
        if is_same(value, each):
            return True
    return False


class Enums:
    """Looks values up in the enums of one bundle, which outlives this object: texts in a set."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[frozenset[str], list[Any]]] = {}

    def hold(self, values: list[Any], value: Any) -> bool:
        """Whether a value is one of those of an enum."""
        found = self._known.get(id(values))
        if found is None:
            texts = frozenset(each for each in values if isinstance(each, str))
            found = self._known[id(values)] = texts, [each for each in values if not isinstance(each, str)]
        texts, others = found
        return value in texts if isinstance(value, str) else is_one_of(others, value)


def last_pair(value: list[Any]) -> tuple[int, int] | None:
    """Search as AJV does among objects: find the last item that equals an earlier one, and the nearest such earlier
    item."""
    latest: dict[Any, int] = {}
    pair = None
    for i, each in enumerate(value):
        key = identity(each)
        if key in latest:
            pair = (i, latest[key])
        latest[key] = i
    return pair


def last_scalar_pair(value: list[Any], is_wanted: Callable[[Any], bool]) -> tuple[int, int] | None:
    """Search as AJV does among scalars: from the end, find the first item that was met before."""
    met: dict[Any, int] = {}
    for i in range(len(value) - 1, -1, -1):
        if is_wanted(value[i]):
            key = identity(value[i])
            if key in met:
                return i, met[key]
            met[key] = i
    return None
