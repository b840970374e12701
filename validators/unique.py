"""Find out whether a list repeats a value, as JSON compares, at a cost that a client cannot drive up.

Place: generated and function_source call it for ``uniqueItems``.
Rules: ``1.0`` equals ``1``, ``true`` does not. Python hashes a number without a secret, so a client can send numbers
that all hash alike (the multiples of 2**61 - 1), and a set of them takes time with the square of their number: 18 s
for 1 MB. Texts are hashed with a secret of the process; so a number is put into a set as its text.
Not here: which of the items are equal (json_values).
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

FEW = 32  # If so many hash alike, 32 * 31 / 2 comparisons take 15 µs. The plain set takes 40 ns for each item, not 250.


def identity(value: Any) -> Hashable:
    """Return a hashable value that is equal for equal JSON."""
    kind = value.__class__
    if kind is str:
        return str(value)
    if kind is int:
        return int, hex(value)  # Takes time linear in the digits, unlike decimals.
    if kind is float:
        return (int, hex(int(value))) if value.is_integer() else (float, value.hex())
    if kind is dict:
        return frozenset((name, identity(each)) for name, each in value.items())
    if kind is list:
        return tuple(map(identity, value))
    return kind, value


def has_repeats(items: list[Any]) -> bool:
    """Whether two of the items are equal."""
    return len(set(map(identity, items))) < len(items)


def has_repeated_scalars(items: list[Any]) -> bool:
    """Whether two of the items are equal; all of them are texts, integers or null."""
    if len(items) <= FEW:
        return len(set(items)) < len(items)
    return has_repeats(items)
