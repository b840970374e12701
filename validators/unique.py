"""Whether a value occurs twice in a list, as JSON compares, at a cost that nobody can drive up.

Place: beside json_values; generated and source call it for ``uniqueItems``.
Rules: ``1.0`` is ``1``, ``true`` is not. Python hashes a number without a secret, so a client can send numbers that all
hash alike (the multiples of 2**61 - 1), and a set of them takes time with the square of their number: 18 s for 1 MB.
Texts are hashed with a secret of the process; so in a set a number stands as its text.
Not here: which of the items are the same (json_values).
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

FEW = 32  # So many may all hash alike: 32 * 31 / 2 comparisons take 15 µs. 40 ns an item instead of 250.


def identity(value: Any) -> Hashable:
    """Something hashable that is equal for equal JSON."""
    kind = value.__class__
    if kind is str:
        return str(value)
    if kind is int:
        return int, hex(value)  # In time linear in the digits, unlike decimals.
    if kind is float:
        return (int, hex(int(value))) if value.is_integer() else (float, value.hex())
    if kind is dict:
        return frozenset((name, identity(each)) for name, each in value.items())
    if kind is list:
        return tuple(map(identity, value))
    return kind, value


def has_repeats(items: list[Any]) -> bool:
    """Whether two are the same."""
    return len(set(map(identity, items))) < len(items)


def has_repeated_scalars(items: list[Any]) -> bool:
    """The same of texts, integers and null alone."""
    if len(items) <= FEW:
        return len(set(items)) < len(items)
    return has_repeats(items)
